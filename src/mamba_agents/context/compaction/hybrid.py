"""Several strategies as one: the cheapest first, and no more of them than the target needs."""

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from inspect import isclass
from typing import ClassVar, TypeGuard, cast

from pydantic_ai.agent import AbstractAgent
from pydantic_ai.exceptions import RunCancelled, RunTimedOut
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model

from mamba_agents.context.compaction.base import BuiltInStrategy, CompactionResult, CompactionStrategy
from mamba_agents.context.compaction.counted import CountedStrategy
from mamba_agents.context.compaction.foreign import Unusable, name_of, usable
from mamba_agents.context.compaction.importance_scoring import ImportanceScoringStrategy
from mamba_agents.context.compaction.making import made
from mamba_agents.context.compaction.selective_pruning import SelectivePruningStrategy
from mamba_agents.context.compaction.sliding_window import SlidingWindowStrategy
from mamba_agents.context.compaction.stand_in import stand_in_for
from mamba_agents.context.compaction.summarize_older import SummarizeOlderStrategy, check_source
from mamba_agents.context.compaction.summary import SummaryFailed
from mamba_agents.tokens import TokenCounter

_TIERS: dict[str, type[CompactionStrategy]] = {
    tier.name: tier
    for tier in (SlidingWindowStrategy, SummarizeOlderStrategy, SelectivePruningStrategy, ImportanceScoringStrategy)
}


class HybridStrategy(BuiltInStrategy):
    """Tries the cheapest strategy first and stops at the first that reaches the target.

    Each is given the history as it was, since a value that one of them dropped would be missing for the next: a summary
    of pruned results tells less than one of the results. Where none reaches the target, the shortest outcome counts.
    Where a strategy that asks a model fails, the next one takes over and `notes` says why.

    With a model at hand, the default blanks old tool results, which a tool can give again; where that is not enough it
    has the older part summed up; scoring and, last, the sliding window are there in case that fails. Without a model it
    begins with scoring, which is free too and loses the fewest values that later calls need.
    """

    name: ClassVar[str] = "hybrid"

    def __init__(
        self,
        strategies: Sequence[CompactionStrategy | type[CompactionStrategy] | str] | None = None,
        *,
        token_counter: TokenCounter | None = None,
        preserve_system_prompt: bool = True,
        summarization_agent: "AbstractAgent[None, object] | None" = None,
        model: Model | str | None = None,
    ) -> None:
        """Take the strategies in the order to try them, as objects, classes or names; None takes the default.

        `summarization_agent` or `model` writes the summaries, where they are asked for by class, by name or by default.
        """
        super().__init__(token_counter=token_counter, preserve_system_prompt=preserve_system_prompt)
        check_source(summarization_agent, model)
        self._offered = {
            "token_counter": self.token_counter,
            "preserve_system_prompt": preserve_system_prompt,
            "summarization_agent": summarization_agent,
            "model": model,
        }
        self._tiers = self._default() if strategies is None else list(map(self._tier, _listed(strategies)))
        if not self._tiers:
            raise ValueError("found no strategies; expected at least one: name some, or give None for the default")
        self._is_default = strategies is None
        self.calls_model = any(tier.calls_model for tier in self._tiers)

    @property
    def strategies(self) -> tuple[CompactionStrategy, ...]:
        """What is tried here and now, in order; the default depends on whether there is a model to write summaries."""
        if not self._is_default or self._has_model:
            return tuple(self._tiers)
        with_model = (SelectivePruningStrategy, SummarizeOlderStrategy)
        return tuple(tier for tier in self._tiers if not isinstance(tier, with_model))

    @property
    def _has_model(self) -> bool:
        return any(isinstance(tier, SummarizeOlderStrategy) and tier.has_model for tier in self._tiers)

    def without_model(self) -> "HybridStrategy":
        """The same strategies with stand-ins for those that ask a model; those that have none are left out."""
        tiers = [tier for strategy in self.strategies if (tier := stand_in_for(strategy)) is not None]
        return HybridStrategy(
            tiers or [SlidingWindowStrategy],
            token_counter=self.token_counter,
            preserve_system_prompt=self.preserve_system_prompt,
        )

    async def compact_native(
        self, messages: list[ModelMessage], target_tokens: int, preserve_recent: int
    ) -> CompactionResult[ModelMessage]:
        """What the first strategy that reaches the target leaves, or the shortest outcome where none does."""
        counts = self.token_counter.message_counts(messages)
        tokens = sum(counts)
        trial = _Trial(before=tokens, messages=list(messages), tokens=tokens, strategy=self.name)
        for tier in self.strategies if tokens > target_tokens else ():
            result = await trial.of(tier, self._held(tier, messages, counts, target_tokens, preserve_recent))
            if result is not None:
                is_counted = _goes_by_counts(tier, self.token_counter)
                after = result.tokens_after if is_counted else self.token_counter.count_messages(result.messages)
                trial.take(tier, result, after)
            if trial.tokens <= target_tokens:
                break
        if trial.failures == len(self.strategies):
            window = SlidingWindowStrategy(
                token_counter=self.token_counter, preserve_system_prompt=self.preserve_system_prompt
            )
            result = await window.compact(messages, target_tokens, preserve_recent)
            trial.take(window, result, result.tokens_after)
        return trial.result(target_tokens)

    async def _compacted(
        self,
        tier: CompactionStrategy,
        messages: list[ModelMessage],
        counts: Sequence[int],
        target_tokens: int,
        preserve_recent: int,
    ) -> CompactionResult[ModelMessage]:
        if _goes_by_counts(tier, self.token_counter):
            return await tier.shorten(messages, counts, target_tokens, preserve_recent)
        if isinstance(tier, SummarizeOlderStrategy):
            # Without its own way out: the next strategy is the hybrid's to choose.
            return await tier.summarize(messages, target_tokens, preserve_recent)
        return await tier.compact(messages, target_tokens, preserve_recent)

    async def _held(
        self, tier: CompactionStrategy, messages: list[ModelMessage], counts: Sequence[int], target: int, recent: int
    ) -> CompactionResult[ModelMessage]:
        """What a strategy leaves, of which that of somebody else's is looked at."""
        result = await self._compacted(tier, list(messages), counts, target, recent)
        return usable(
            tier, result, messages, target, self.token_counter, preserve_system_prompt=self.preserve_system_prompt
        )

    def _default(self) -> list[CompactionStrategy]:
        order = (SelectivePruningStrategy, SummarizeOlderStrategy, ImportanceScoringStrategy, SlidingWindowStrategy)
        return [self._tier(tier) for tier in order]

    def _tier(self, choice: object) -> CompactionStrategy:
        if isinstance(choice, CompactionStrategy):
            return choice
        if isinstance(choice, str):
            if choice not in _TIERS:
                raise ValueError(f"found {choice!r} among the strategies; expected one of {', '.join(sorted(_TIERS))}")
            choice = _TIERS[choice]
        if not (isclass(choice) and issubclass(choice, CompactionStrategy)):
            raise TypeError(f"found {type(choice).__name__} among the strategies; expected {_STRATEGIES}")
        return made(choice, **self._offered)


_STRATEGIES = "strategies as objects, classes or names"


def _listed(strategies: object) -> Iterable[object]:
    if isinstance(strategies, str) or not isinstance(strategies, Iterable):
        found = repr(strategies) if isinstance(strategies, str) else type(strategies).__name__
        raise TypeError(f"found strategies={found}; expected a list of {_STRATEGIES}: put it into one")
    return cast("Iterable[object]", strategies)


def _goes_by_counts(tier: CompactionStrategy, counter: TokenCounter) -> TypeGuard[CountedStrategy]:
    """Whether a strategy takes and gives the same counts, so that nothing has to be counted again."""
    return (
        isinstance(tier, CountedStrategy)
        and tier.token_counter is counter
        and type(tier).compact is CountedStrategy.compact
        and type(tier).compact_native is CountedStrategy.compact_native
    )


@dataclass(kw_only=True)
class _Trial:
    """The best outcome so far, and what it took."""

    before: int
    messages: list[ModelMessage]
    tokens: int
    strategy: str
    removed_count: int = 0
    notes: list[str] = field(default_factory=list[str])
    responses: list[ModelResponse] = field(default_factory=list[ModelResponse])
    failures: int = 0
    """How many strategies gave nothing to go on with."""

    async def of(
        self, tier: CompactionStrategy, compacting: Awaitable[CompactionResult[ModelMessage]]
    ) -> CompactionResult[ModelMessage] | None:
        """What a strategy leaves; None where one that asks a model fails."""
        try:
            return await compacting
        except Unusable as failure:
            self.passed_over(f"{name_of(tier)} {failure}", failure.responses)
        except SummaryFailed as failure:
            self.failed(tier, str(failure), failure.responses)
        except RunCancelled as error:
            if not isinstance(error, RunTimedOut):
                raise
            self.failed(tier, f"it took too long: {error}")
        except Exception as error:
            if not tier.calls_model:
                error.add_note(f"raised by the strategy {name_of(tier)}")
                raise
            self.failed(tier, f"{type(error).__name__}: {error}")
        return None

    def take(self, tier: CompactionStrategy, result: CompactionResult[ModelMessage], tokens: int) -> None:
        self.notes.extend(result.notes)
        self.responses.extend(result.responses)
        if tokens < self.tokens:
            self.messages, self.tokens, self.strategy = result.messages, tokens, result.strategy
            self.removed_count = result.removed_count
        elif tokens > self.before:
            self.notes.append(f"{tier.name} made the history longer by {tokens - self.before} tokens and was not used.")

    def failed(self, tier: CompactionStrategy, reason: str, responses: Sequence[ModelResponse] = ()) -> None:
        self.passed_over(f"{name_of(tier)} failed: {reason}", responses)

    def passed_over(self, why: str, responses: Sequence[ModelResponse]) -> None:
        self.failures += 1
        self.notes.append(f"{why}. The next strategy took over.")
        self.responses.extend(responses)

    def result(self, target_tokens: int) -> CompactionResult[ModelMessage]:
        return CompactionResult(
            messages=self.messages,
            removed_count=self.removed_count,
            tokens_before=self.before,
            tokens_after=self.tokens,
            strategy=self.strategy,
            target_tokens=target_tokens,
            reached_target=self.tokens <= target_tokens,
            notes=tuple(self.notes),
            responses=tuple(self.responses),
        )
