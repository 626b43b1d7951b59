"""One place among pydantic-ai's capabilities for all of our layers.

pydantic-ai copies the run's context for every capability at every hook, about 18 times a turn, which costs 60 to 100
µs a capability (2.62, measured 2026-11-22): three layers of ours made a turn 13 % slower. Sharing one seat, they
cost it 1 %.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any

from pydantic_ai import AgentRunResult, RunContext, ToolDefinition
from pydantic_ai.capabilities import AbstractCapability, ValidatedToolArgs, WrapRunHandler, WrapToolExecuteHandler
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models import Model, ModelRequestContext

from mamba_agents.agent.layers.hooks import HOOKS, has_own

if TYPE_CHECKING:
    PendingMessageDrainCapability = AbstractCapability[Any]
else:
    try:
        from pydantic_ai.capabilities._pending_messages import PendingMessageDrainCapability
    except ImportError:
        # It is no public name. Where it is gone, our layers sit apart: the same, a little slower.
        PendingMessageDrainCapability = AbstractCapability

type _Layers = Sequence[AbstractCapability[Any]]


@dataclass
class Seat(AbstractCapability[Any]):
    """Gives each hook to every layer in turn: the first is outermost. A layer may have the hooks defined here."""

    _: KW_ONLY
    id: str | None = "mamba_agents"
    layers: _Layers = field(default=())

    def __post_init__(self) -> None:
        """Refuse layers that would never be asked.

        Raises:
            TypeError: a layer has a hook that the seat does not pass on.
        """
        for layer in self.layers:
            if unknown := _kept_back_by(type(layer)):
                raise TypeError(
                    f"found {type(layer).__name__} with {', '.join(sorted(unknown))}, which nobody would ask it for "
                    f"here; expected none but {', '.join(sorted(_PASSED_ON))}: have Seat pass it on, or give the layer "
                    "a place of its own among the agent's capabilities"
                )

    @cached_property
    def _around_runs(self) -> _Layers:
        return self._with("wrap_run")

    @cached_property
    def _before_requests(self) -> _Layers:
        return self._with("before_model_request")

    @cached_property
    def _after_requests(self) -> _Layers:
        return self._with("after_model_request")

    @cached_property
    def _at_request_errors(self) -> _Layers:
        return self._with("on_model_request_error")

    @cached_property
    def _around_tools(self) -> _Layers:
        return self._with("wrap_tool_execute")

    @cached_property
    def _at_tool_errors(self) -> _Layers:
        return self._with("on_tool_execute_error")

    @cached_property
    def _around_models(self) -> _Layers:
        return self._with("get_wrapper_model")

    def _with(self, hook: str) -> _Layers:
        return [layer for layer in self.layers if has_own(layer, hook)]

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """The run's result, through the layers from the innermost out."""
        for layer in reversed(self._around_runs):
            handler = partial(layer.wrap_run, ctx, handler=handler)
        return await super().wrap_run(ctx, handler=handler)

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """The request as the layers leave it, from the outermost in."""
        request_context = await super().before_model_request(ctx, request_context)
        for layer in self._before_requests:
            request_context = await layer.before_model_request(ctx, request_context)
        return request_context

    async def after_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, response: ModelResponse
    ) -> ModelResponse:
        """The response as the layers leave it, from the innermost out."""
        for layer in reversed(self._after_requests):
            response = await layer.after_model_request(ctx, request_context=request_context, response=response)
        return response

    async def on_model_request_error(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, error: Exception
    ) -> ModelResponse:
        """What the innermost layer makes of the error that makes anything of it."""
        for layer in reversed(self._at_request_errors):
            try:
                return await layer.on_model_request_error(ctx, request_context=request_context, error=error)
            except Exception as raised:  # noqa: BLE001 - the next layer decides, and the last one's is raised
                error = raised
        raise error

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """The tool's result, through the layers from the innermost out."""
        for layer in reversed(self._around_tools):
            handler = _around_tool(layer, ctx, call, tool_def, handler)
        return await handler(args)

    async def on_tool_execute_error(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
        error: Exception,
    ) -> Any:
        """What the innermost layer makes of the error that makes anything of it."""
        for layer in reversed(self._at_tool_errors):
            try:
                return await layer.on_tool_execute_error(ctx, call=call, tool_def=tool_def, args=args, error=error)
            except Exception as raised:  # noqa: BLE001 - the next layer decides, and the last one's is raised
                error = raised
        raise error

    def get_wrapper_model(self, model: Model) -> Model | None:
        """The model as the layers wrap it; None when none does."""
        wrapped = model
        for layer in reversed(self._around_models):
            wrapped = layer.get_wrapper_model(wrapped) or wrapped
        return None if wrapped is model else wrapped


def _around_tool(
    layer: AbstractCapability[Any],
    ctx: RunContext[Any],
    call: ToolCallPart,
    tool_def: ToolDefinition,
    handler: WrapToolExecuteHandler,
) -> WrapToolExecuteHandler:
    async def wrapped(args: ValidatedToolArgs) -> Any:
        return await layer.wrap_tool_execute(ctx, call=call, tool_def=tool_def, args=args, handler=handler)

    return wrapped


_PASSED_ON = HOOKS & vars(Seat).keys()
_KEPT_BACK = HOOKS - _PASSED_ON


@lru_cache(maxsize=64)  # the same few kinds for every agent
def _kept_back_by(kind: type[AbstractCapability[Any]]) -> frozenset[str]:
    return frozenset(hook for hook in _KEPT_BACK if getattr(kind, hook) is not getattr(AbstractCapability, hook))


@dataclass
class SharedSeat(Seat, PendingMessageDrainCapability):
    """The seat of the one capability that pydantic-ai gives to every agent and that nobody brings or overrides."""
