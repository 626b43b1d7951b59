"""The end of a run that repeats itself."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from pydantic_ai import RunContext, SkipModelRequest
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestContext

from mamba_agents.agent.layers.closing import can_close, closing
from mamba_agents.agent.layers.warn import logger, warn
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

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Let the request pass, or answer in its place."""
        row = _row(ctx.messages, ctx.run_id)
        if row is None or row[1] < self.limit:
            return request_context
        call, count, of_newest = row
        error = BudgetExceededError("run", "calls", limit=self.limit, spent=count, key=ctx.run_id)
        if self.on_exceeded == "warn":
            if count - of_newest < self.limit:  # said when the row became that long
                warn(f"{call.tool_name}: {error.message}; the run goes on")
            return request_context
        if self.on_exceeded == "raise" or not can_close(request_context.model_request_parameters):
            raise error
        logger.warning("%s: %s", call.tool_name, error.message)
        # pydantic-ai counts what is answered in the model's place as a request too.
        ctx.usage.requests -= 1
        otherwise = f"Stopped after the same call of {call.tool_name} {count} times in a row."
        raise SkipModelRequest(closing("loop", ctx.messages, ctx.run_id, otherwise=otherwise))


def _row(messages: Sequence[ModelMessage], run_id: str | None) -> tuple[ToolCallPart, int, int] | None:
    """The newest call of the run, how long its row is, and how much of that the newest response made."""
    newest: ToolCallPart | None = None
    length = of_newest = 0
    for calls in _calls(messages, run_id):
        for call in reversed(calls):
            if newest is not None and not _is_same(call, newest):
                return newest, length, of_newest or length
            newest = newest or call
            length += 1
        if not calls:
            break
        of_newest = of_newest or length
    return newest and (newest, length, of_newest)


def _calls(messages: Sequence[ModelMessage], run_id: str | None) -> Iterator[Sequence[ToolCallPart]]:
    """The tool calls of the run's responses, the newest response first."""
    for message in reversed(messages):
        if message.run_id != run_id:
            return
        if isinstance(message, ModelResponse):
            yield message.tool_calls


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
