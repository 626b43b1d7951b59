"""The context layer: no request leaves that is too long for its model."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic_ai import AgentRunResult, RunContext
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering, WrapRunHandler
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestContext, infer_model

from mamba_agents._internal.models import Wrappers
from mamba_agents.context.compaction.base import CompactionResult
from mamba_agents.context.compactor import Compactor, Request, check_parts
from mamba_agents.context.config import CompactionConfig
from mamba_agents.context.limits import Limits
from mamba_agents.context.overflow import is_context_overflow
from mamba_agents.context.recovery import RecoveringModel
from mamba_agents.context.replies import ReplyReader
from mamba_agents.context.shortening import OnBilled, OnCompacted, OnRunAccount, Shortening
from mamba_agents.context.windows import FindWindow
from mamba_agents.errors import ContextOverflowError
from mamba_agents.tokens import TokenCounter


@dataclass
class CompactContext(AbstractCapability[Any]):
    """Keeps each request of a run, its first and its hundredth, within the window of its model.

    Works on any pydantic-ai agent: `Agent(…, capabilities=[CompactContext()])`. What it takes out of the history stays
    out for the rest of the run.
    """

    config: CompactionConfig = field(default_factory=CompactionConfig)
    token_counter: TokenCounter = field(default_factory=TokenCounter)
    find_window: FindWindow | None = None
    """Gives the window of a model whose config names none; left out, pydantic-ai's profile and price table do."""

    find_model: Callable[[str], Model] = infer_model
    """Makes the model that the config names for summaries."""

    on_account: OnRunAccount | None = None
    on_compacted: OnCompacted | None = None
    on_billed: OnBilled | None = None
    _: KW_ONLY
    id: str | None = "mamba_context"

    def __post_init__(self) -> None:
        check_parts(self.config, self.token_counter, self.find_window)
        self._shortening = Shortening(
            self._make_compactor,
            on_account=self.on_account,
            on_compacted=self.on_compacted,
            on_billed=self.on_billed,
        )
        self._requests = self._shortening.requests
        self._recovering = Wrappers(lambda model: RecoveringModel(model, self._shortening))
        if not isinstance(self.config.strategy, str) or self.config.summarization_model != "same":
            # A class of one's own that cannot be made, or a model that does not exist, is an error now.
            self.compactor.named_summarizer  # noqa: B018

    def get_ordering(self) -> CapabilityOrdering:
        """Outermost, so that what others add for one request is added to the shortened history."""
        return CapabilityOrdering(position="outermost")

    @property
    def compactor(self) -> Compactor:
        """What measures requests and shortens them."""
        return self._shortening.compactor

    def _make_compactor(self) -> Compactor:
        return Compactor(self.config, self.token_counter, self.find_window, self.find_model)

    @cached_property
    def _replies(self) -> ReplyReader:
        return ReplyReader(self.compactor)

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """The run's result; what was kept of its requests ends with it."""
        try:
            return await handler()
        finally:
            self._requests.end(ctx.run_id)

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """The request, shortened when it would pass the trigger."""
        requesting = self._requests.begin(ctx, is_streaming=request_context.streaming)
        if self._shortening.leave_out(ctx):
            request_context = replace(request_context, messages=list(ctx.messages))
        model, parameters = request_context.model, request_context.model_request_parameters
        gauge = self.compactor.gauge(model)
        at_most = gauge.at_most(ctx.messages, parameters)
        windows = self.compactor.windows
        if at_most <= windows.harmless:
            return request_context
        limits = await windows.limits(model, request_context.model_settings)
        if at_most <= limits.trigger:
            return request_context
        requesting.is_near_trigger = True
        if gauge.estimate(ctx.messages, parameters) <= limits.trigger:
            return request_context
        request = Request(
            messages=ctx.messages, model=model, parameters=parameters, settings=request_context.model_settings
        )
        requesting.was_compacted = True
        result = await self._shortening.compact(ctx, request, limits.target)
        self._refuse_what_cannot_fit(result, limits, model)
        if self._shortening.go_on_with(ctx, request, result):
            return replace(request_context, messages=list(ctx.messages))
        return request_context

    async def after_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, response: ModelResponse
    ) -> ModelResponse:
        """The response; what it says of the size of its request is compared with what was sent."""
        requesting = self._requests.of(ctx.run_id)
        if requesting is None:
            return response
        if not requesting.was_shortened:
            await self._replies.read(request_context, response, is_counted=requesting.is_near_trigger)
        elif not requesting.is_whole_history:
            self._replies.shortened(ctx, request_context, response)
        return response

    async def on_model_request_error(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, error: Exception
    ) -> ModelResponse:
        """The answer to a shorter request, where the model refused this one as too long."""
        if request_context.streaming or not is_context_overflow(error):
            raise error
        sent = Request(
            messages=request_context.messages,
            model=request_context.model,
            parameters=request_context.model_request_parameters,
            settings=request_context.model_settings,
        )
        recovering = RecoveringModel(request_context.model, self._shortening)
        return await recovering.recovered(error, sent, self._requests.of(ctx.run_id))

    def get_wrapper_model(self, model: Model) -> Model | None:
        """The model of a stream, whose refusals of long prompts are met by a shorter one.

        pydantic-ai tells nobody of the error of a stream that does not begin; of all other errors it does, and a
        wrapper costs more than a hook that is seldom called (23 µs a request, 2.62).
        """
        requesting = self._requests.of(None)
        if requesting is not None and not requesting.is_streaming:
            return None
        return self._recovering.around(model)

    def _refuse_what_cannot_fit(self, result: CompactionResult[ModelMessage], limits: Limits, model: Model) -> None:
        """Raise where the least that can be sent is more than the model takes, as far as that is certain."""
        if result.reached_target or result.tokens_after <= limits.window or not limits.is_known:
            return
        if self.token_counter.is_exact(model.model_name):
            raise ContextOverflowError(
                current_tokens=result.tokens_after, max_tokens=limits.window, compaction_attempted=True
            )
