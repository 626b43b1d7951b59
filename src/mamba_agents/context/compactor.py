"""One compaction: what the strategy is asked for, and what the request is like afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model, ModelRequestParameters, infer_model
from pydantic_ai.settings import ModelSettings

from mamba_agents.context.compaction.base import (
    BuiltInStrategy,
    CompactionResult,
    CompactionStrategy,
    OnAccount,
    compacting_with,
)
from mamba_agents.context.compaction.choice import strategy_named
from mamba_agents.context.compaction.plan import CompactionPlan, plan_compaction
from mamba_agents.context.compaction.sliding_window import SlidingWindowStrategy
from mamba_agents.context.config import CompactionConfig
from mamba_agents.context.gauge import Gauge
from mamba_agents.context.laws import check_history
from mamba_agents.context.windows import FindWindow, Windows
from mamba_agents.tokens import TokenCounter


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as far as its size goes."""

    messages: Sequence[ModelMessage]
    model: Model | None = None
    parameters: ModelRequestParameters | None = None
    settings: ModelSettings | None = None
    reported_tokens: int | None = None
    """Its size, where the provider told it."""


class Compactor:
    """Measures requests against their model's window and shortens those that are too large.

    It holds no state of any run, only what it learned of models. Safe to share between runs, threads and event loops.
    """

    def __init__(self, config: CompactionConfig, counter: TokenCounter, find_window: FindWindow | None = None) -> None:
        self.config = config
        self.counter = counter
        self.strategy: CompactionStrategy = strategy_named(
            config.strategy,
            token_counter=counter,
            preserve_system_prompt=config.preserve_system_prompt,
        )
        self.windows = Windows(config, find_window)

    def gauge(self, model: Model | None) -> Gauge:
        """What measures requests to a model."""
        return Gauge(self.counter, None if model is None else model.model_name)

    async def compact(
        self,
        request: Request,
        target_tokens: int,
        summarizer: Model | None = None,
        on_account: OnAccount | None = None,
        *,
        at_most_tokens: int | None = None,
    ) -> CompactionResult[ModelMessage]:
        """The request's messages so that all of it is at most `target_tokens`, where that is possible.

        What the strategy leaves above `at_most_tokens`, the model's window unless said, is left to a sliding window.

        `summarizer` is asked for summaries, or else the model that the config names, and `on_account` puts what is
        asked of any model on somebody's account. The figures of the result are those of the whole request, as its
        provider would count it.
        """
        fit = _Fit(self.counter, self.gauge(request.model), request)
        with compacting_with(summarizer or self._summarizer(request.model), on_account):
            result = await self._by_strategy(list(request.messages), fit.for_messages(target_tokens))
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

    async def _by_strategy(self, messages: list[ModelMessage], target_tokens: int) -> CompactionResult[ModelMessage]:
        """What the strategy makes of the messages, or a sliding window where that cannot be sent."""
        result = await self.strategy.compact(messages, target_tokens, self.config.preserve_recent_turns)
        if isinstance(self.strategy, BuiltInStrategy):
            return result
        problems = [str(violation) for violation in check_history(result.messages)]
        if len(result.messages) > len(messages):
            problems.append(f"{len(result.messages)} messages made of {len(messages)}")
        if result.messages and messages and result.messages[-1] != messages[-1]:
            problems.append("the newest message is another one")
        if not problems:
            before, after = (self.counter.count_messages(each) for each in (messages, result.messages))
            return replace(result, tokens_before=before, tokens_after=after, reached_target=after <= target_tokens)
        note = (
            f"{self.strategy.name} gave a history that cannot be sent ({problems[0]}); the oldest turns went instead."
        )
        result = await self._oldest_turns_gone(messages, target_tokens)
        return replace(result, notes=(note, *result.notes))

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

    def _summarizer(self, model: Model | None) -> Model | None:
        """The model that the config names, where one is asked at all."""
        name = self.config.summarization_model
        return model if name == "same" or not self.strategy.calls_model else infer_model(name)

    async def plan(self, request: Request, target_tokens: int, summarizer: Model | None = None) -> CompactionPlan:
        """What `compact` would do, without a request to any model."""
        fit = _Fit(self.counter, self.gauge(request.model), request)
        with compacting_with(summarizer or self._summarizer(request.model)):
            plan = await plan_compaction(
                self.strategy,
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


def _missed(result: CompactionResult[ModelMessage], tokens: int, target_tokens: int) -> list[str]:
    if result.reached_target:
        return []
    return [f"What must stay takes {tokens} tokens, more than the {target_tokens} that were aimed at."]
