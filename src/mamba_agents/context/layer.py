"""The context layer: no request leaves that is too long for its model."""

import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from pydantic_ai import AgentRunResult, RunContext
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering, WrapRunHandler
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestContext

from mamba_agents._internal.identity import ByIdentity
from mamba_agents._internal.models import Wrappers
from mamba_agents.context.compaction.base import CompactionResult
from mamba_agents.context.compactor import Compactor, Request
from mamba_agents.context.config import CompactionConfig
from mamba_agents.context.gauge import marked_with_size, remember
from mamba_agents.context.limits import Limits
from mamba_agents.context.overflow import is_context_overflow
from mamba_agents.context.recovery import RecoveringModel, Requesting
from mamba_agents.context.replies import ReplyReader
from mamba_agents.context.windows import FindWindow
from mamba_agents.errors import ContextOverflowError
from mamba_agents.tokens import TokenCounter

type OnCompacted = Callable[[RunContext[Any], Sequence[ModelMessage], CompactionResult[ModelMessage]], None]
"""Told of a compaction in a run: the messages before it, and what it made of them."""

type OnBilled = Callable[[RunContext[Any], Sequence[ModelResponse]], None]
"""Told of the replies of models that were asked for summaries or scores in a run."""

_SMALLEST_WINDOW = 2_048
"""No server is known that gives a model less (Ollama gave 2,048 until 2025). Smaller requests need no closer look."""

_logger = logging.getLogger("mamba_agents.context")


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

    summarizer: Callable[[Model], Model] | None = None
    """Gives the model that is asked for summaries, from the one that the request is for; left out, it is the one that
    the config names."""

    on_account: Callable[[RunContext[Any], Model], Model] | None = None
    """Gives the model that is asked for a run in place of another, such as one that keeps to the run's budget."""

    on_compacted: OnCompacted | None = None
    on_billed: OnBilled | None = None
    _: KW_ONLY
    id: str | None = "mamba_context"

    def __post_init__(self) -> None:
        # A class of one's own that cannot be made is an error now.
        is_built_in = isinstance(self.config.strategy, str)
        self._compactor = None if is_built_in else Compactor(self.config, self.token_counter, self.find_window)
        self._recovering = Wrappers(lambda model: RecoveringModel(model, self))
        self._requesting: dict[str, Requesting] = {}
        self._resent: ByIdentity[ModelMessage, CompactionResult[ModelMessage]] = ByIdentity()

    def get_ordering(self) -> CapabilityOrdering:
        """Outermost, so that what others add for one request is added to the shortened history."""
        return CapabilityOrdering(position="outermost")

    @property
    def compactor(self) -> Compactor:
        """What measures requests and shortens them."""
        if self._compactor is None:  # not before it is needed: its strategy takes longer to make than an agent
            self._compactor = Compactor(self.config, self.token_counter, self.find_window)
        return self._compactor

    @cached_property
    def _replies(self) -> ReplyReader:
        return ReplyReader(self.compactor)

    @cached_property
    def _harmless(self) -> int:
        """A request of so many tokens is too long for no model and past no trigger."""
        window = self.config.window_tokens or _SMALLEST_WINDOW
        by_fraction = 0 if self.config.trigger_fraction is None else int(window * self.config.trigger_fraction)
        return min(window // 2, by_fraction or self.config.trigger_threshold_tokens)

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """The run's result; what was kept of its requests ends with it."""
        try:
            return await handler()
        finally:
            self._requesting.pop(ctx.run_id or "", None)

    def requesting(self, run_id: str | None) -> Requesting | None:
        """The request that a run makes, the one of this task where no run is named; None outside of runs.

        Streams are made in tasks of their own.
        """
        return self._requesting.get(run_id or "") or _requesting.get().get(id(self))

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """The request, shortened when it would pass the trigger."""
        requesting = Requesting(ctx, is_streaming=request_context.streaming)
        self._requesting[ctx.run_id or ""] = requesting
        _requesting.set({**_requesting.get(), id(self): requesting})
        if self._resent:
            request_context = self._without_what_was_left_out(ctx, request_context)
        model, parameters = request_context.model, request_context.model_request_parameters
        gauge = self.compactor.gauge(model)
        at_most = gauge.at_most(ctx.messages, parameters)
        if at_most <= self._harmless:
            return request_context
        limits = await self.compactor.windows.limits(model, request_context.model_settings)
        if at_most <= limits.trigger:
            return request_context
        requesting.is_near_trigger = True
        if gauge.estimate(ctx.messages, parameters) <= limits.trigger:
            return request_context
        request = Request(
            messages=ctx.messages, model=model, parameters=parameters, settings=request_context.model_settings
        )
        result = await self.compact(ctx, request, limits.target)
        self.bill(ctx, result)
        self._refuse_what_cannot_fit(result, limits, model)
        return self._with_result(ctx, request_context, request, result)

    async def compact(
        self,
        ctx: RunContext[Any] | None,
        request: Request,
        target_tokens: int,
        *,
        at_most_tokens: int | None = None,
    ) -> CompactionResult[ModelMessage]:
        """What a compaction leaves of a request, its summaries written by the run's summariser."""
        summarizer = on_account = None
        if request.model is not None and self.summarizer is not None:
            summarizer = self.summarizer(request.model)
        if ctx is not None and self.on_account is not None:
            on_account = partial(self.on_account, ctx)
        return await self.compactor.compact(
            request, target_tokens, summarizer, on_account, at_most_tokens=at_most_tokens
        )

    async def after_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, response: ModelResponse
    ) -> ModelResponse:
        """The response; what it says of the size of its request is compared with what was sent."""
        requesting = self.requesting(ctx.run_id)
        if requesting is None:
            return response
        if not requesting.was_shortened:
            await self._replies.read(request_context, response, is_counted=requesting.is_near_trigger)
        elif not requesting.is_whole_history:
            self._replies.shortened(ctx, request_context, response)
        return response

    def bill(self, ctx: RunContext[Any], result: CompactionResult[ModelMessage]) -> None:
        """Put what a compaction cost on the run's account, and in the log what did not go as planned."""
        for note in result.notes:
            _logger.warning("%s", note)
        for response in result.responses:
            ctx.usage.incr(response.usage)
            ctx.usage.requests += 1
        if result.responses and self.on_billed is not None:
            self.on_billed(ctx, result.responses)

    def sent_again(self, ctx: RunContext[Any], request: Request, result: CompactionResult[ModelMessage]) -> None:
        """Remember what was left out of a request that was refused at first.

        The history of a run may only be changed before a request is made, so it is changed before the next one.
        """
        self.bill(ctx, result)
        self._mark(request, result)
        before = list(ctx.messages)
        self._resent[before[-1]] = result
        if self.on_compacted is not None:
            self.on_compacted(ctx, before, result)

    def _without_what_was_left_out(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        for index, message in enumerate(ctx.messages):
            if message in self._resent:
                result = self._resent.pop(message)
                ctx.messages[: index + 1] = result.messages
                return replace(request_context, messages=list(ctx.messages))
        return request_context

    def _with_result(
        self,
        ctx: RunContext[Any],
        request_context: ModelRequestContext,
        request: Request,
        result: CompactionResult[ModelMessage],
    ) -> ModelRequestContext:
        """Have the run go on with what a compaction left."""
        before = list(ctx.messages)
        if _is_same(before, result.messages):
            return request_context
        self._mark(request, result)
        ctx.messages[:] = result.messages
        if self.on_compacted is not None:
            self.on_compacted(ctx, before, result)
        return replace(request_context, messages=list(ctx.messages))

    def _mark(self, request: Request, result: CompactionResult[ModelMessage]) -> None:
        """Have the newest request say how large it is now, and the log what was done."""
        newest = result.messages[-1]
        newest.metadata = marked_with_size(newest, result.tokens_after)
        remember(newest, self.compactor.gauge(request.model).measured(request.parameters))
        _logger.info(
            "shortened the context from %d to %d tokens (%s, %d messages gone)",
            result.tokens_before,
            result.tokens_after,
            result.strategy,
            result.removed_count,
        )

    async def on_model_request_error(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, error: Exception
    ) -> ModelResponse:
        """The answer to a shorter request, where the model refused this one as too long."""
        if request_context.streaming or not self.config.overflow_retries or not is_context_overflow(error):
            raise error
        sent = Request(
            messages=request_context.messages,
            model=request_context.model,
            parameters=request_context.model_request_parameters,
            settings=request_context.model_settings,
        )
        return await RecoveringModel(request_context.model, self).recovered(error, sent, self.requesting(ctx.run_id))

    def get_wrapper_model(self, model: Model) -> Model | None:
        """The model of a stream, whose refusals of long prompts are met by a shorter one.

        pydantic-ai tells nobody of the error of a stream that does not begin; of all other errors it does, and a
        wrapper costs more than a hook that is seldom called (23 µs a request, 2.62).
        """
        requesting = self.requesting(None)
        if not self.config.overflow_retries or (requesting is not None and not requesting.is_streaming):
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


_requesting: ContextVar[dict[int, Requesting]] = ContextVar("mamba_agents_requesting", default={})  # noqa: B039


def _is_same(before: Sequence[ModelMessage], after: Sequence[ModelMessage]) -> bool:
    return len(before) == len(after) and all(old is new for old, new in zip(before, after, strict=True))
