"""Which strategy a hybrid settles on, what it says of the others, and what they cost."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.exceptions import RunCancelled, RunTimedOut
from pydantic_ai.messages import ModelMessage

from mamba_agents.context.compaction import (
    CompactionResult,
    CompactionStrategy,
    HybridStrategy,
    ImportanceScoringStrategy,
    SelectivePruningStrategy,
    SlidingWindowStrategy,
    SummarizeOlderStrategy,
)
from mamba_agents.context.compaction.base import compacting_with
from mamba_agents.errors import ConfigurationError
from mamba_agents.testing import histories
from mamba_agents.tokens import TokenCounter
from tests.context.compaction.summarisers import NOTES, Summariser, good, summaries, turns
from tests.context.strategy_laws import assert_strategy_laws, assert_takes_dicts
from tests.helpers import reply, user

pytestmark = pytest.mark.anyio

COUNTER = TokenCounter()
TURNS = turns(20)
ALL = COUNTER.count_messages(TURNS)


def hybrid(summariser: Summariser | None = None, **options: bool) -> HybridStrategy:
    return HybridStrategy(model=summariser and summariser.model, token_counter=COUNTER, **options)


class Keeps(CompactionStrategy):
    """Keeps so many of the newest messages, and what it is told of the older ones."""

    name = "keeps"

    def __init__(self, count: int = 2, *, beside: Sequence[ModelMessage] = (), error: Exception | None = None) -> None:
        self.count, self.beside, self.error = count, beside, error

    async def compact(
        self, messages: Sequence[ModelMessage], target_tokens: int, preserve_recent: int = 0
    ) -> CompactionResult[ModelMessage]:
        if self.error is not None:
            raise self.error
        left = [*self.beside, *messages[-self.count :]]
        return CompactionResult(
            messages=left, removed_count=len(messages) - self.count, tokens_before=1, tokens_after=1, strategy=self.name
        )


class Asks(Keeps):
    name = "asks"
    calls_model = True


async def test_what_pruning_can_do_costs_no_summary() -> None:
    summariser = good()
    result = await hybrid(summariser).compact(TURNS, ALL * 3 // 4, 2)
    assert (result.strategy, summariser.asked, result.responses) == ("selective_pruning", [], ())
    assert result.reached_target
    assert result.removed_count == 0


async def test_what_pruning_cannot_do_is_summed_up_from_what_it_would_have_pruned() -> None:
    summariser = good()
    result = await hybrid(summariser).compact(TURNS, ALL // 5, 2)
    assert result.strategy == "summarize_older"
    assert result.reached_target
    assert len(result.responses) == 1
    assert "/data/3.json" in summariser.prompts[0], "the results, not their receipts"
    assert len(summaries(result.messages)) == 1


async def test_the_model_that_the_history_is_for_writes_the_summary() -> None:
    summariser = good()
    with compacting_with(summariser.model):
        result = await hybrid().compact(TURNS, ALL // 5, 2)
    assert result.strategy == "summarize_older"
    assert len(summariser.asked) == 1


async def test_without_a_model_nothing_is_said_of_summaries_and_scoring_leads() -> None:
    result = await hybrid().compact(TURNS, ALL * 3 // 4, 2)
    assert (result.strategy, result.notes, result.responses) == ("importance_scoring", (), ())
    assert result.reached_target
    assert [tier.name for tier in hybrid().strategies] == ["importance_scoring", "sliding_window"]


@pytest.mark.parametrize("given", [RuntimeError("no luck"), "", "I'm sorry, I can't do that."])
async def test_a_failed_summary_falls_to_the_next_strategy_is_said_and_billed(given: str | Exception) -> None:
    result = await hybrid(Summariser(replies=[given])).compact(TURNS, ALL // 5, 2)
    assert result.strategy == "importance_scoring"
    assert result.reached_target
    (note,) = result.notes
    assert note.startswith("summarize_older failed: the summariser ")
    assert note.endswith(". The next strategy took over.")
    assert len(result.responses) == (1 if isinstance(given, str) else 0)
    assert summaries(result.messages) == []


async def test_a_target_out_of_reach_gets_the_least_and_says_so() -> None:
    for strategy in (hybrid(), hybrid(good())):
        result = await strategy.compact(TURNS, 10, 5)
        least = await SlidingWindowStrategy(token_counter=COUNTER).compact(TURNS, 0)
        assert not result.reached_target
        assert result.tokens_after == least.tokens_after


async def test_what_fits_is_left_alone() -> None:
    summariser = good()
    result = await hybrid(summariser).compact(TURNS, ALL, 2)
    assert result.messages == TURNS
    assert (result.strategy, result.removed_count, summariser.asked) == ("hybrid", 0, [])


async def test_the_cut_is_held_and_the_summary_made_once() -> None:
    summariser = good()
    strategy = hybrid(summariser)
    first = await strategy.compact(TURNS, ALL // 5, 2)
    second = await strategy.compact([*first.messages, user("And now?"), reply("Now.")], ALL // 4, 2)
    assert all(new is old for new, old in zip(second.messages, first.messages, strict=False))
    assert len(summariser.asked) == 1


async def test_chat_dicts_come_back_as_chat_dicts() -> None:
    await assert_takes_dicts(hybrid())
    await assert_takes_dicts(hybrid(good()), target_tokens=400)


async def test_strategies_are_tried_in_the_order_given_as_objects_classes_or_names() -> None:
    chosen = HybridStrategy(["selective_pruning", SlidingWindowStrategy, Keeps(2)], token_counter=COUNTER)
    kinds = [type(tier) for tier in chosen.strategies]
    assert kinds == [SelectivePruningStrategy, SlidingWindowStrategy, Keeps]
    assert (await chosen.compact(TURNS, ALL // 5)).strategy == "sliding_window"
    assert not chosen.calls_model
    assert HybridStrategy(["summarize_older"]).calls_model
    assert hybrid().calls_model, "the default may ask the model that the history is for"


async def test_what_is_made_by_name_counts_and_keeps_prompts_as_the_hybrid_does() -> None:
    names = ("sliding_window", "summarize_older", "selective_pruning", "importance_scoring")
    chosen = HybridStrategy(names, token_counter=COUNTER, preserve_system_prompt=False)
    for tier in chosen.strategies:
        assert isinstance(
            tier,
            SlidingWindowStrategy | SummarizeOlderStrategy | SelectivePruningStrategy | ImportanceScoringStrategy,
        )
        assert tier.token_counter is COUNTER
        assert tier.preserve_system_prompt is False


def test_lists_of_strategies_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="found no strategies; expected at least one"):
        HybridStrategy([])
    with pytest.raises(ValueError, match=r"found 'hybrid' among the strategies; expected one of importance_scoring, "):
        HybridStrategy(["hybrid"])

    for wrong in ("sliding_window", SlidingWindowStrategy, 3):
        with pytest.raises(TypeError, match=r"found strategies=.*; expected a list of strategies as objects"):
            HybridStrategy(wrong)  # pyright: ignore[reportArgumentType]
    for wrong in (3, int, None):
        with pytest.raises(TypeError, match="among the strategies; expected strategies as objects, classes or names"):
            HybridStrategy([wrong])  # pyright: ignore[reportArgumentType]

    class NeedsMore(Keeps):
        def __init__(self, limit: int) -> None:
            super().__init__(limit)

    with pytest.raises(ConfigurationError, match=r"NeedsMore, whose constructor needs limit; .* give an instance"):
        HybridStrategy([NeedsMore])


async def test_a_strategy_that_makes_the_history_longer_is_not_used() -> None:
    chosen = HybridStrategy([Keeps(80, beside=turns(3)), SlidingWindowStrategy], token_counter=COUNTER)
    result = await chosen.compact(TURNS, ALL // 2)
    assert result.strategy == "sliding_window"
    assert result.notes[0].startswith("keeps made the history longer by ")


async def test_figures_are_counted_and_not_taken_on_trust() -> None:
    result = await HybridStrategy([Keeps(4)], token_counter=COUNTER).compact(TURNS, ALL // 2)
    assert result.tokens_before == ALL
    assert result.tokens_after == COUNTER.count_messages(TURNS[-4:])
    assert (result.strategy, result.removed_count) == ("keeps", len(TURNS) - 4)


async def test_a_strategy_of_ours_that_somebody_changed_is_asked_as_they_changed_it() -> None:
    class Half(SlidingWindowStrategy):
        async def compact_native(
            self, messages: list[ModelMessage], target_tokens: int, preserve_recent: int
        ) -> CompactionResult[ModelMessage]:
            return await super().compact_native(messages, target_tokens // 2, preserve_recent)

    for counter in (COUNTER, TokenCounter()):
        result = await HybridStrategy([Half(token_counter=counter)], token_counter=COUNTER).compact(TURNS, ALL // 2)
        assert result.tokens_after == COUNTER.count_messages(result.messages) <= ALL // 4


async def test_a_strategy_that_asks_a_model_may_fail_and_another_may_not() -> None:
    asks = Asks(error=OSError("line is down"))
    result = await HybridStrategy([asks, "sliding_window"], token_counter=COUNTER).compact(TURNS, ALL // 2)
    assert result.notes == ("asks failed: OSError: line is down. The next strategy took over.",)
    assert result.strategy == "sliding_window"
    with pytest.raises(OSError, match="line is down"):
        await HybridStrategy([Keeps(error=OSError("line is down")), "sliding_window"]).compact(TURNS, ALL // 2)


async def test_a_run_that_is_cancelled_passes_through_and_one_that_took_too_long_does_not() -> None:
    with pytest.raises(RunCancelled):
        await HybridStrategy([Asks(error=RunCancelled("stop")), "sliding_window"]).compact(TURNS, ALL // 2)
    late = HybridStrategy([Asks(error=RunTimedOut("late")), "sliding_window"], token_counter=COUNTER)
    result = await late.compact(TURNS, ALL // 2)
    assert result.notes == ("asks failed: it took too long: late. The next strategy took over.",)


async def test_notes_and_replies_of_every_strategy_that_was_tried_are_there() -> None:
    failing = Summariser(replies=[""])
    tiers = [
        SummarizeOlderStrategy(model=failing.model, token_counter=COUNTER),
        SummarizeOlderStrategy(model=good().model, token_counter=COUNTER),
    ]
    result = await HybridStrategy(tiers, token_counter=COUNTER).compact(TURNS, ALL // 2, 2)
    assert result.strategy == "summarize_older"
    assert len(result.notes) == 1
    assert [response.text for response in result.responses] == ["", NOTES]


@pytest.mark.parametrize("preserve", [0, 1, 3])
@settings(max_examples=700, deadline=None)
@given(history=histories(max_turns=8), share=st.floats(0, 1))
def test_the_laws_hold_without_a_model(preserve: int, history: list[ModelMessage], share: float) -> None:
    target = int(COUNTER.count_messages(history) * share)
    # Named, since the default may ask a model and is not held to give the same twice.
    chosen = HybridStrategy([tier.name for tier in hybrid().strategies], token_counter=COUNTER)
    result = asyncio.run(assert_strategy_laws(chosen, history, target, preserve))
    least = asyncio.run(SlidingWindowStrategy(token_counter=COUNTER).compact(list(history), 0, 0))
    assert result.reached_target or target < least.tokens_after
    assert asyncio.run(hybrid().compact(history, target, preserve)) == result


@settings(max_examples=100, deadline=None)
@given(history=histories(max_turns=8), share=st.floats(0, 1))
def test_the_laws_hold_with_a_model(history: list[ModelMessage], share: float) -> None:
    target = int(COUNTER.count_messages(history) * share)
    result = asyncio.run(assert_strategy_laws(hybrid(good()), history, target, 1))
    least = asyncio.run(SlidingWindowStrategy(token_counter=COUNTER).compact(list(history), 0, 0))
    assert result.reached_target or target < least.tokens_after
