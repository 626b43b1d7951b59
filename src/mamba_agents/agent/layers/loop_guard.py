"""The end of a run that repeats itself."""

import json
from dataclasses import KW_ONLY, dataclass
from typing import Any, cast

from pydantic_ai import AgentRunResult, RunContext, SkipModelRequest
from pydantic_ai.capabilities import AbstractCapability, WrapRunHandler
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestContext

from mamba_agents.agent.layers.closing import Ending
from mamba_agents.agent.layers.warn import warn
from mamba_agents.errors import BudgetExceededError
from mamba_agents.tokens.budget import OnExceeded


@dataclass
class LoopGuard(AbstractCapability[Any]):
    """Ends a run whose model made the same tool call with the same arguments `limit` times in a row.

    Calls beside each other count each. Another call between them begins the row anew.
    """

    limit: int
    on_exceeded: OnExceeded = "stop"
    _: KW_ONLY
    id: str | None = "mamba_loop_guard"

    def __post_init__(self) -> None:
        # Not read off the history, which compaction shortens.
        self._rows: dict[str, _Row] = {}

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """The run's result; its calls are forgotten with it."""
        try:
            return await handler()
        finally:
            self._rows.pop(ctx.run_id or "", None)

    async def after_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, response: ModelResponse
    ) -> ModelResponse:
        """The response; its calls lengthen the row, or begin another one."""
        if calls := response.tool_calls:
            row = self._rows.get(ctx.run_id or "")
            for call in calls:
                if row is None or not _is_same(row.call, call):
                    row = _Row(call)
                row.length += 1
            self._rows[ctx.run_id or ""] = cast("_Row", row)
        else:
            self._rows.pop(ctx.run_id or "", None)
        return response

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Let the request pass, or answer in its place."""
        row = self._rows.get(ctx.run_id or "")
        if row is None or row.length < self.limit:
            return request_context
        tool_name = row.call.tool_name
        error = BudgetExceededError("run", "calls", limit=self.limit, spent=row.length, key=ctx.run_id)
        if self.on_exceeded == "warn":
            if not row.was_told:
                row.was_told = True
                warn(f"{tool_name}: {error.message}; the run goes on")
            return request_context
        ending = Ending(
            reason="loop",
            run_id=ctx.run_id,
            otherwise=f"Stopped after the same call of {tool_name} {row.length} times in a row.",
            error=error,
            may_close=self.on_exceeded == "stop",
            log_line=f"{tool_name}: {error.message}",
        )
        parameters = request_context.model_request_parameters
        raise SkipModelRequest(ending.in_place_of_request(ctx.usage, ctx.messages, parameters))


@dataclass
class _Row:
    """The newest call of a run, and how often it was made without another one between."""

    call: ToolCallPart
    length: int = 0
    was_told: bool = False


def _is_same(one: ToolCallPart, other: ToolCallPart) -> bool:
    if one.tool_name != other.tool_name:
        return False
    return one.args == other.args or _canonical(one) == _canonical(other)


def _canonical(call: ToolCallPart) -> str:
    """The arguments in one form, whether they came as text or as data, and in whatever order."""
    args = call.args or {}
    if isinstance(args, str):
        try:
            args = json.loads(args)
        except ValueError:
            return args
    return json.dumps(args, sort_keys=True, default=str)
