"""One place among pydantic-ai's capabilities for all of our layers.

pydantic-ai copies the run's context for every capability at every hook, about 18 times a turn, which costs 60 to 100
µs a capability (2.62, measured 2026-11-22): three layers of ours made a turn 13 % slower. Sharing one seat, they
cost it 1 %.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from pydantic_ai import AgentRunResult, RunContext, ToolDefinition
from pydantic_ai.capabilities import AbstractCapability, ValidatedToolArgs, WrapRunHandler, WrapToolExecuteHandler
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models import Model, ModelRequestContext

if TYPE_CHECKING:
    PendingMessageDrainCapability = AbstractCapability[Any]
else:
    try:
        from pydantic_ai.capabilities._pending_messages import PendingMessageDrainCapability
    except ImportError:
        # It is no public name. Where it is gone, our layers sit apart: the same, a little slower.
        PendingMessageDrainCapability = AbstractCapability

type Layers = Sequence[AbstractCapability[Any]]


@dataclass
class Seat(AbstractCapability[Any]):
    """Gives each hook to every layer in turn: the first is outermost. A layer may use the hooks defined here."""

    _: KW_ONLY
    id: str | None = "mamba_agents"
    layers: Layers = field(default=())

    @cached_property
    def _around_runs(self) -> Layers:
        return self._with_hook(lambda layer: layer.wrap_run)

    @cached_property
    def _before_requests(self) -> Layers:
        return self._with_hook(lambda layer: layer.before_model_request)

    @cached_property
    def _after_requests(self) -> Layers:
        return self._with_hook(lambda layer: layer.after_model_request)

    @cached_property
    def _around_tools(self) -> Layers:
        return self._with_hook(lambda layer: layer.wrap_tool_execute)

    @cached_property
    def _around_models(self) -> Layers:
        return self._with_hook(lambda layer: layer.get_wrapper_model)

    def _with_hook(self, hook: Callable[[type[AbstractCapability[Any]]], object]) -> Layers:
        """The layers that do something at a hook: most do at one or two."""
        return [layer for layer in self.layers if hook(type(layer)) is not hook(AbstractCapability)]

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
        for layer in reversed(self.layers):
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
        for layer in reversed(self.layers):
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


@dataclass
class SharedSeat(Seat, PendingMessageDrainCapability):
    """The seat of the one capability that pydantic-ai gives to every agent and that nobody brings or overrides."""
