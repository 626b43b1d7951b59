"""What a dry run says beside what then happens."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.usage import RequestUsage

from mamba_agents.context.compaction import (
    CompactionPlan,
    CompactionResult,
    CompactionStrategy,
    HybridStrategy,
    ImportanceScoringStrategy,
    SelectivePruningStrategy,
    SlidingWindowStrategy,
    SummarizeOlderStrategy,
    plan_compaction,
)
from mamba_agents.context.compaction.base import compacting_with
from mamba_agents.context.compaction.plan import differences
from mamba_agents.testing import histories
from mamba_agents.tokens import TokenCounter
from tests.context.compaction.summarisers import Summariser, good, long_reply, turns
from tests.helpers import user

pytestmark = pytest.mark.anyio

COUNTER = TokenCounter()
TURNS = turns(20)
ALL = COUNTER.count_messages(TURNS)


async def planned(
    strategy: CompactionStrategy, target: int, messages: Sequence[ModelMessage] = TURNS, preserve: int = 2
) -> CompactionPlan:
    return await plan_compaction(strategy, messages, target, preserve, COUNTER)


class Own(CompactionStrategy):
    """A strategy of a user's own that asks a model and cannot say what it would do."""

    name = "own"
    calls_model = True

    async def compact(
        self, messages: Sequence[ModelMessage], target_tokens: int, preserve_recent: int = 0
    ) -> CompactionResult[ModelMessage]:
        raise AssertionError("a dry run asked a model")


async def test_a_plan_without_a_model_is_what_then_happens() -> None:
    strategy = SlidingWindowStrategy(token_counter=COUNTER)
    plan = await planned(strategy, ALL // 2)
    result = await strategy.compact(TURNS, ALL // 2, 2)
    assert [TURNS[i] for i in range(len(TURNS)) if i not in plan.removed] == result.messages
    assert plan.changed == ()
    assert (plan.tokens_before, plan.tokens_after) == (result.tokens_before, result.tokens_after)
    assert plan.freed_tokens == result.tokens_before - result.tokens_after
    assert plan.reached_target
    assert not plan.calls_model
    assert plan.strategy == "sliding_window"


async def test_a_plan_says_which_messages_would_be_shortened() -> None:
    plan = await planned(SelectivePruningStrategy(token_counter=COUNTER), ALL * 3 // 4)
    result = await SelectivePruningStrategy(token_counter=COUNTER).compact(TURNS, ALL * 3 // 4, 2)
    assert plan.removed == ()
    assert plan.changed == tuple(i for i, message in enumerate(result.messages) if message is not TURNS[i])
    assert len(plan.changed) > 0


async def test_a_summary_is_planned_with_no_model_and_no_smaller_than_it_will_be() -> None:
    summariser = Summariser(replies=[long_reply(5_000)])
    strategy = SummarizeOlderStrategy(model=summariser.model, token_counter=COUNTER)
    plan = await planned(strategy, ALL // 2)
    assert summariser.asked == []
    assert plan.calls_model
    assert plan.strategy == "summarize_older"
    result = await strategy.compact(TURNS, ALL // 2, 2)
    assert len(plan.removed) == result.removed_count
    assert plan.tokens_after is not None
    assert result.tokens_after <= plan.tokens_after <= ALL // 2
    assert (await strategy.compact(TURNS, ALL // 2, 2)).responses != (), "the strategy itself still asks"


async def test_a_hybrids_plan_names_the_strategy_that_would_reach_the_target_and_whether_it_costs() -> None:
    summariser = good()
    strategy = HybridStrategy(model=summariser.model, token_counter=COUNTER)
    near, far = await planned(strategy, ALL * 3 // 4), await planned(strategy, ALL // 5)
    assert (near.strategy, near.calls_model) == ("selective_pruning", False)
    assert (far.strategy, far.calls_model) == ("summarize_older", True)
    assert summariser.asked == []


async def test_a_hybrid_plans_a_summary_only_where_there_is_a_model_to_write_it() -> None:
    summariser = good()
    strategy = HybridStrategy(token_counter=COUNTER)
    assert (await planned(strategy, ALL // 5)).strategy == "importance_scoring"
    with compacting_with(summariser.model):
        assert (await planned(strategy, ALL // 5)).strategy == "summarize_older"
    assert summariser.asked == []


async def test_a_summary_without_a_model_is_planned_as_the_window_that_takes_its_place() -> None:
    plan = await planned(SummarizeOlderStrategy(token_counter=COUNTER), ALL // 2)
    assert (plan.strategy, plan.calls_model) == ("sliding_window", False)
    assert "there is no model to write it" in plan.notes[0]


async def test_scores_of_a_model_are_planned_without_it() -> None:
    summariser = good()
    plan = await planned(ImportanceScoringStrategy(summariser.model, token_counter=COUNTER), ALL // 2)
    assert summariser.asked == []
    assert plan.reached_target
    assert plan.calls_model


async def test_what_only_a_users_own_model_can_tell_is_not_known() -> None:
    plan = await planned(Own(), ALL // 2)
    assert (plan.tokens_after, plan.freed_tokens, plan.reached_target) == (None, None, None)
    assert plan.calls_model
    assert plan.notes == ("own asks a model and has no without_model(), so what it would do is not known.",)
    beside = await planned(HybridStrategy([Own(), "sliding_window"], token_counter=COUNTER), ALL // 2)
    assert beside.strategy == "sliding_window"


async def test_what_fits_is_planned_to_stay() -> None:
    plan = await planned(HybridStrategy(token_counter=COUNTER), ALL)
    assert (plan.removed, plan.changed, plan.freed_tokens, plan.calls_model) == ((), (), 0, False)


def cached(messages: Sequence[ModelMessage], *, read: int, written: int, ahead: int) -> list[ModelMessage]:
    """The history, its last reply reporting what was cached; `ahead` are the tokens of instructions and tools."""
    *before, _ = messages
    usage = RequestUsage(
        input_tokens=COUNTER.count_messages(before) + ahead, cache_read_tokens=read, cache_write_tokens=written
    )
    return [*before, ModelResponse(parts=[TextPart("fine")], usage=usage)]


async def test_the_cached_tokens_behind_the_first_change_are_lost() -> None:
    strategy = SelectivePruningStrategy(token_counter=COUNTER)
    history = [*cached(TURNS, read=1_000, written=500, ahead=200), user("And now?")]
    plan = await planned(strategy, ALL * 3 // 4, history)
    first = COUNTER.count_messages(history[: plan.changed[0]])
    assert plan.lost_cache_tokens == 1_500 - 200 - first
    unchanged = await planned(strategy, ALL * 2, history)
    assert unchanged.lost_cache_tokens == 0
    nothing = [*cached(TURNS, read=0, written=0, ahead=200), user("And now?")]
    assert (await planned(strategy, ALL * 3 // 4, nothing)).lost_cache_tokens == 0


async def test_a_cache_that_no_reply_tells_of_is_unknown() -> None:
    assert (await planned(SlidingWindowStrategy(token_counter=COUNTER), ALL // 2)).lost_cache_tokens is None


def test_messages_alike_are_told_apart_by_their_order() -> None:
    twice = [*TURNS[:4], *TURNS[:4]]
    assert differences(twice, twice[4:]) == ((4, 5, 6, 7), ()), "the same objects: which of the two, none can say"
    copies = [replace(message) for message in TURNS]
    assert differences(TURNS, copies) == ((), ()), "another object that says the same is no change"


@pytest.mark.parametrize("name", ["sliding_window", "selective_pruning", "importance_scoring"])
@settings(max_examples=200, deadline=None)
@given(history=histories(max_turns=6), share=st.floats(0, 1))
def test_removed_changed_and_kept_messages_are_the_whole_history(
    name: str, history: list[ModelMessage], share: float
) -> None:
    strategy = HybridStrategy([name], token_counter=COUNTER)
    target = int(COUNTER.count_messages(history) * share)
    plan = asyncio.run(planned(strategy, target, history))
    result = asyncio.run(strategy.compact(history, target, 2))
    assert not set(plan.removed) & set(plan.changed)
    assert plan.tokens_after == result.tokens_after
    gone = set(plan.removed) | set(plan.changed)
    left = [message for message in result.messages if any(message is old for old in history)]
    assert len(left) >= len(history) - len(gone) - sum(m in left for m in history if m not in left)
    assert len(result.messages) >= len(history) - len(plan.removed)
