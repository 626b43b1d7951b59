"""One compaction: what the strategy is asked for, and what the request is like afterwards."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, override

from pydantic_ai.exceptions import RunCancelled, RunTimedOut
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model, ModelRequestParameters, infer_model
from pydantic_ai.settings import ModelSettings

from mamba_agents.context.compaction.base import (
    CompactionResult,
    CompactionStrategy,
    OnAccount,
    compacting_with,
)
from mamba_agents.context.compaction.choice import strategy_named
from mamba_agents.context.compaction.foreign import Unusable, is_ours, name_of, usable
from mamba_agents.context.compaction.hybrid import HybridStrategy
from mamba_agents.context.compaction.plan import CompactionPlan, plan_compaction
from mamba_agents.context.compaction.sliding_window import SlidingWindowStrategy
from mamba_agents.context.compaction.stand_in import stand_in_for
from mamba_agents.context.config import CompactionConfig
from mamba_agents.context.gauge import Gauge
from mamba_agents.context.windows import FindWindow, Windows
from mamba_agents.errors import BudgetExceededError
from mamba_agents.tokens import TokenCounter
from mamba_agents.tokens.given import require


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as far as its size goes."""

    messages: Sequence[ModelMessage]
    model: Model | None = None
    parameters: ModelRequestParameters | None = None
    settings: ModelSettings | None = None
    reported_tokens: int | None = None
    """Its size, where the provider told it."""


def check_parts(config: object, counter: object, find_window: object) -> None:
    """Refuse what a context cannot be kept with.

    Raises:
        TypeError: something of another type.
    """
    require(
        "config", config, CompactionConfig, expected='a CompactionConfig, such as CompactionConfig(strategy="hybrid")'
    )
    require("token_counter", counter, TokenCounter, expected="a TokenCounter")
    if find_window is not None and not callable(find_window):
        raise TypeError(
            f"found {type(find_window).__name__} as find_window; expected an async function that gives a model's "
            "window: one that is a number belongs into the config, as window_tokens"
        )


type _Use = Callable[[CompactionStrategy, list[ModelMessage], int], Awaitable[CompactionResult[ModelMessage]]]


class Compactor:
    """Measures requests against their model's window and shortens those that are too large.

    It holds no state of any run, only what it learned of models. Safe to share between runs, threads and event loops.
    """

    def __init__(
        self,
        config: CompactionConfig,
        counter: TokenCounter,
        find_window: FindWindow | None = None,
        find_model: Callable[[str], Model] = infer_model,
    ) -> None:
        self.config = config
        self.counter = counter
        self.strategy: CompactionStrategy = strategy_named(
            config.strategy,
            token_counter=counter,
            preserve_system_prompt=config.preserve_system_prompt,
        )
        self.windows = Windows(config, find_window)
        self._find_model = find_model

    @cached_property
    def named_summarizer(self) -> Model | None:
        """The model that the config names for summaries; None for the one of the request, or where none is asked."""
        name = self.config.summarization_model
        return None if name == "same" or not self.strategy.calls_model else self._find_model(name)

    async def _asked_for_summaries(self, model: Model | None) -> tuple[Model | None, int | None]:
        """The model that is asked for summaries of what another is sent, and its window where somebody knows it."""
        if not self.strategy.calls_model:
            return model, None
        named = self.named_summarizer
        return named or model, await self.windows.find(named or model, is_named=named is not None)

    def gauge(self, model: Model | None) -> Gauge:
        """What measures requests to a model."""
        return Gauge(self.counter, None if model is None else model.model_name)

    async def compact(
        self,
        request: Request,
        target_tokens: int,
        on_account: OnAccount | None = None,
        *,
        at_most_tokens: int | None = None,
    ) -> CompactionResult[ModelMessage]:
        """The request's messages so that all of it is at most `target_tokens`, where that is possible.

        What the strategy leaves above `at_most_tokens`, the model's window unless said, is left to a sliding window.

        `on_account` puts what is asked of any model on somebody's account. The figures of the result are those of the
        whole request, as its provider would count it.
        """
        fit = _Fit(self.counter, self.gauge(request.model), request)
        asked, window = await self._asked_for_summaries(request.model)
        with compacting_with(asked, on_account, window_tokens=window):
            result = await self._by_strategy(self.strategy, list(request.messages), fit.for_messages(target_tokens))
        if at_most_tokens is None:
            at_most_tokens = (await self.windows.limits(request.model, request.settings)).usable
        result = await self._within(result, fit.for_messages(at_most_tokens))
        after = fit.of_request(result.tokens_after)
        return replace(
            result,
            tokens_before=fit.of_request(result.tokens_before),
            tokens_after=after,
            target_tokens=target_tokens,
            notes=(*result.notes, *_missed(result, after, target_tokens)),
        )

    async def _by_strategy(
        self, strategy: CompactionStrategy, messages: list[ModelMessage], target_tokens: int
    ) -> CompactionResult[ModelMessage]:
        """What the strategy makes of the messages, or a sliding window where that is nothing to go on with."""
        try:
            result = await strategy.compact(list(messages), target_tokens, self.config.preserve_recent_turns)
            return usable(
                strategy,
                result,
                messages,
                target_tokens,
                self.counter,
                preserve_system_prompt=self.config.preserve_system_prompt,
            )
        except Unusable as unusable_result:
            failure = unusable_result
        except Exception as error:
            if _is_ours_throughout(strategy) or _ends_the_run(error):
                raise
            failure = Unusable.raised(error)
        note = f"{name_of(strategy)} {failure}; the oldest turns went instead."
        result = await self._oldest_turns_gone(messages, target_tokens)
        return replace(result, notes=(note, *result.notes), responses=failure.responses)

    async def _within(
        self, result: CompactionResult[ModelMessage], at_most_tokens: int
    ) -> CompactionResult[ModelMessage]:
        """The result, or what a sliding window makes of it where that is smaller and it has to be."""
        if result.tokens_after <= at_most_tokens:
            return result
        smaller = await self._oldest_turns_gone(result.messages, at_most_tokens)
        if smaller.tokens_after >= result.tokens_after:
            return result
        note = f"{result.strategy} left more than the window takes; the oldest turns went too."
        return replace(
            smaller,
            removed_count=result.removed_count + smaller.removed_count,
            tokens_before=result.tokens_before,
            notes=(*result.notes, note, *smaller.notes),
            responses=result.responses,
        )

    async def _oldest_turns_gone(
        self, messages: list[ModelMessage], target_tokens: int
    ) -> CompactionResult[ModelMessage]:
        window = SlidingWindowStrategy(
            token_counter=self.counter, preserve_system_prompt=self.config.preserve_system_prompt
        )
        return await window.compact(messages, target_tokens, self.config.preserve_recent_turns)

    async def plan(self, request: Request, target_tokens: int) -> CompactionPlan:
        """What `compact` would do, without a request to any model."""
        fit = _Fit(self.counter, self.gauge(request.model), request)
        stand_in = stand_in_for(self.strategy)
        with compacting_with(self.named_summarizer or request.model):
            plan = await plan_compaction(
                self.strategy if stand_in is None else _AsUsed(stand_in, self._by_strategy),
                list(request.messages),
                fit.for_messages(target_tokens),
                self.config.preserve_recent_turns,
                self.counter,
            )
        before = fit.of_request(plan.tokens_before)
        after = None if plan.tokens_after is None else fit.of_request(plan.tokens_after)
        return replace(
            plan,
            tokens_before=before,
            tokens_after=after,
            freed_tokens=None if after is None else before - after,
            target_tokens=target_tokens,
        )


class _AsUsed(CompactionStrategy):
    """What a compaction makes of a strategy's results."""

    name: ClassVar[str] = "as_used"

    def __init__(self, strategy: CompactionStrategy, use: _Use) -> None:
        self._strategy = strategy
        self._use = use

    @override
    async def compact(
        self, messages: Sequence[ModelMessage], target_tokens: int, preserve_recent: int = 0
    ) -> CompactionResult[ModelMessage]:
        return await self._use(self._strategy, list(messages), target_tokens)


class _Fit:
    """Turns sizes of messages, as they are counted here, into sizes of requests, as their provider counts them."""

    def __init__(self, counter: TokenCounter, gauge: Gauge, request: Request) -> None:
        counted = counter.count_messages(request.messages)  # as strategies do, which know no model
        self._overhead = gauge.overhead(request.parameters)
        estimate = request.reported_tokens or gauge.estimate(request.messages, request.parameters)
        # Thinking that is not shown, a tokenizer that is not ours: the provider's figure knows, and ours does not.
        self._ratio = min(max(estimate / max(counted + self._overhead, 1), _LEAST_RATIO), _MOST_RATIO)

    def for_messages(self, target_tokens: int) -> int:
        """How many tokens of ours the messages of a request of that size may have."""
        return max(int(target_tokens / self._ratio) - self._overhead, 0)

    def of_request(self, tokens: int) -> int:
        """The size of the request whose messages have so many tokens of ours."""
        return round((tokens + self._overhead) * self._ratio)


_LEAST_RATIO = 0.5
_MOST_RATIO = 4.0
"""Beyond these the last figure was not about these messages."""


def _is_ours_throughout(strategy: CompactionStrategy) -> bool:
    """Whether the strategy, and each that it is made of, is this library's."""
    tiers = strategy.strategies if isinstance(strategy, HybridStrategy) else ()
    return is_ours(strategy) and all(map(_is_ours_throughout, tiers))


def _ends_the_run(error: Exception) -> bool:
    """Whether an error is the answer to somebody who stops the run, or a cap that it reached."""
    is_cancelled = isinstance(error, RunCancelled) and not isinstance(error, RunTimedOut)
    return is_cancelled or isinstance(error, BudgetExceededError)


def _missed(result: CompactionResult[ModelMessage], tokens: int, target_tokens: int) -> list[str]:
    if result.reached_target:
        return []
    return [f"What must stay takes {tokens} tokens, more than the {target_tokens} that were aimed at."]
