import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_ai.messages import (
    CompactionPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    ToolAvailabilityDeltaPart,
    UserPromptPart,
    repair_messages,
)

from mamba_agents.context import check_history
from mamba_agents.context.compaction import SlidingWindowStrategy
from mamba_agents.context.compaction.layout import layout_of, merged
from mamba_agents.context.compaction.newest import newest_turns, ordinary_cut
from mamba_agents.testing import histories
from tests.context.compaction.laws import COUNTER, holds_its_laws
from tests.context.strategy_laws import assert_takes_dicts
from tests.helpers import call, prompts, reply, returned, user

pytestmark = pytest.mark.anyio

WORDS = "the quick brown fox jumps over the lazy dog " * 5


def strategy() -> SlidingWindowStrategy:
    return SlidingWindowStrategy(token_counter=COUNTER)


def turn(number: int) -> list[ModelMessage]:
    return [
        user(f"question {number} {WORDS}"),
        call("look", {"number": number}),
        returned("look", f"result {number} {WORDS}"),
        reply(f"answer {number} {WORDS}"),
    ]


def turns(count: int) -> list[ModelMessage]:
    return [message for number in range(count) for message in turn(number)]


def tokens(messages: list[ModelMessage]) -> int:
    return COUNTER.count_messages(messages)


def test_laws_hold_for_two_thousand_histories() -> None:
    holds_its_laws(strategy())


@settings(max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(min_turns=2, max_turns=8), st.floats(0, 1))
def test_an_ordinary_history_is_cut_where_its_layout_says(messages: list[ModelMessage], share: float) -> None:
    counts = COUNTER.message_counts(messages)
    target = int(sum(counts) * share)
    cut = ordinary_cut(messages, counts, target)
    if cut is not None and sum(counts) > target:
        layout = layout_of(messages, counts)
        kept = newest_turns(layout, next(layout.pins()), target)
        assert kept == merged([(0, 1), (cut[0], len(messages))])
        assert cut[1] == layout.tokens(kept)


async def test_an_ordinary_history_is_cut_without_a_layout() -> None:
    history = [*turns(6), user("and now?")]
    counts = COUNTER.message_counts(history)
    assert ordinary_cut(history, counts, tokens([history[0], *history[16:]])) == (
        16,
        tokens([history[0], *history[16:]]),
    )


async def test_tools_that_a_call_revealed_stay_revealed_where_the_call_goes() -> None:
    revealed = ToolAvailabilityDeltaPart(tools_added=["refund"], tool_call_id="call-1")
    prompt = ModelRequest(parts=[revealed, UserPromptPart("and this?")])
    history = [*turns(2), call("search"), returned("search", "found"), prompt, reply("yes"), user("and now?")]
    result = await strategy().compact(history, tokens([history[0], *history[-3:]]) + 20)
    assert check_history(result.messages, original=history) == []
    parts = [part for message in result.messages for part in message.parts]
    assert [part.tools_added for part in parts if isinstance(part, ToolAvailabilityDeltaPart)] == [["refund"]]


async def test_a_message_that_got_another_part_is_looked_at_anew() -> None:
    history = [*turns(6), user("and now?")]
    target = tokens([history[0], *history[16:]])
    assert len((await strategy().compact(history, target)).messages) == 10
    history[4].parts.append(SystemPromptPart("Be brief."))  # pyright: ignore[reportAttributeAccessIssue]
    result = await strategy().compact(history, target)
    assert any(isinstance(part, SystemPromptPart) for part in result.messages[0].parts)


async def test_chat_dicts_come_back_as_chat_dicts() -> None:
    await assert_takes_dicts(strategy())


async def test_what_fits_is_left_as_it_is() -> None:
    history = turns(3)
    result = await strategy().compact(history, tokens(history))
    assert result.messages == history
    assert result.removed_count == 0


async def test_whole_turns_go_from_the_oldest_and_the_task_stays() -> None:
    history = [*turns(6), user("and now?")]
    task, last_two = history[:1], history[16:]
    result = await strategy().compact(history, tokens([*task, *last_two]))
    assert result.messages == [*task, *last_two]
    assert result.reached_target


async def test_a_turn_that_does_not_fit_whole_goes_whole() -> None:
    history = [*turns(3), user("and now?")]
    result = await strategy().compact(history, tokens([history[0], *history[8:]]) - 1)
    assert result.messages == [history[0], history[-1]]


async def test_exchanges_of_a_single_turn_go_from_the_oldest_and_its_prompt_stays() -> None:
    exchanges = [
        message
        for number in range(6)
        for message in (call("look", {"n": number}, f"c{number}"), returned("look", f"{number} {WORDS}", f"c{number}"))
    ]
    history = [user("find it"), *exchanges]
    result = await strategy().compact(history, tokens([history[0], *history[-4:]]))
    assert result.messages == [history[0], *history[-4:]]


async def test_the_newest_exchange_stays_even_where_it_does_not_fit() -> None:
    history = [user("find it"), *turn(1)[1:3], call("look", {}, "c2"), returned("look", WORDS, "c2")]
    result = await strategy().compact(history, 1)
    assert result.messages == [history[0], *history[-2:]]
    assert not result.reached_target


async def test_a_leading_summary_outlives_the_task() -> None:
    summary = ModelRequest(parts=[CompactionPart(content=f"we met {WORDS}")])
    history = [summary, reply("ok"), *turns(3), user("and now?")]
    both = await strategy().compact(history, tokens([summary, history[2], history[-1]]))
    assert both.messages == [summary, history[2], history[-1]]
    one = await strategy().compact(history, tokens([summary, history[-1]]))
    assert one.messages == [summary, history[-1]]
    none = await strategy().compact(history, tokens([history[-1]]))
    assert none.messages == [history[-1]]


async def test_system_prompts_move_to_the_first_request_that_stays() -> None:
    system = SystemPromptPart("Be brief.")
    first = ModelRequest(parts=[system, UserPromptPart(f"task {WORDS * 20}")])
    history = [first, reply("ok"), *turns(2), *turn(9), user("and now?")]
    result = await strategy().compact(history, tokens([*history[-5:]]) + 20)
    assert result.messages[0].parts[0] is system
    assert prompts(result.messages) == prompts(history[-5:])
    assert result.reached_target


async def test_a_system_prompt_stands_before_a_newest_request_that_must_not_change() -> None:
    first = ModelRequest(parts=[SystemPromptPart("Be brief."), UserPromptPart(WORDS)])
    history = [first, reply(WORDS), user("and now?")]
    result = await strategy().compact(history, 20)
    assert result.messages[-1] is history[-1]
    assert result.messages[0].parts == first.parts[:1]
    assert check_history(result.messages, original=history) == []


async def test_system_prompts_go_where_that_is_asked_for() -> None:
    first = ModelRequest(parts=[SystemPromptPart("Be brief."), UserPromptPart(WORDS)])
    strategy = SlidingWindowStrategy(token_counter=COUNTER, preserve_system_prompt=False)
    result = await strategy.compact([first, reply(WORDS), user("and now?")], 20)
    assert prompts(result.messages) == ["and now?"]
    assert len(result.messages) == 1


async def test_a_call_id_that_comes_back_is_paired_with_the_nearest_call() -> None:
    history = [*turns(3), user("and now?")]  # all calls have the same id
    result = await strategy().compact(history, tokens([history[0], *history[8:]]))
    assert result.messages == [history[0], *history[8:]]
    assert repair_messages(result.messages)[-1] == history[-1]


async def test_a_response_that_waits_for_approval_stays_with_its_request() -> None:
    history = [*turns(2), user("delete it"), call("delete", {}, "waits")]
    result = await strategy().compact(history, 1)
    assert result.messages == history[-2:]
    assert isinstance(result.messages[-1], ModelResponse)
