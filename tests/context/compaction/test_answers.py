"""Results and the calls they answer are the same whichever way they are found."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from mamba_agents.context.compaction.answers import Answers
from mamba_agents.context.compaction.layout import layout_of
from mamba_agents.testing import histories
from tests.context.compaction.laws import COUNTER
from tests.helpers import call, reply, returned, user


def laid_out(messages: list[ModelMessage]) -> Answers:
    return Answers.laid_out(layout_of(messages, COUNTER.message_counts(messages)))


def assert_same(found: Answers, messages: list[ModelMessage]) -> None:
    other = laid_out(messages)
    assert (found.at, found.part_index) == (other.at, other.part_index)
    for ours, theirs in ((found.calls, other.calls), (found.results, other.results)):
        assert [id(part) for part in ours] == [id(part) for part in theirs]
    assert found.asking == other.asking
    assert [found.recent(turns) for turns in (0, 1, 2, 50)] == [other.recent(turns) for turns in (0, 1, 2, 50)]
    assert [found.may_go(number) for number in range(len(found.at))] == [
        other.may_go(number) for number in range(len(other.at))
    ]
    if found.at:
        assert found.newest == other.newest


@settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(max_turns=8), st.data())
def test_a_history_in_order_has_the_results_that_its_layout_has(
    messages: list[ModelMessage], data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(messages) - 1))
    for part in (messages, messages[start:], messages[: start + 1]):
        if (found := Answers.in_order(part)) is not None:
            assert_same(found, part)


def calls(*ids: str) -> ModelResponse:
    return ModelResponse(
        parts=[TextPart("hm"), *(ToolCallPart("look", {"id": each}, tool_call_id=each) for each in ids)]
    )


def results(*ids: str, also: str = "") -> ModelRequest:
    told = [UserPromptPart(also)] if also else []
    return ModelRequest(parts=[*(ToolReturnPart("look", "x" * 200, tool_call_id=each) for each in ids), *told])


def test_calls_answered_by_the_next_message_are_in_order_however_many_they_are() -> None:
    history = [user("go"), calls("a"), results("a"), calls("b", "c"), results("c", "b"), reply("ok"), user("on")]
    history += [calls("d", "d"), results("d", "d", also="stop"), calls("e"), results("e"), user("and now?")]
    found = Answers.in_order(history)
    assert found is not None
    assert found.at == [2, 4, 4, 8, 8, 10]
    assert_same(found, history)


def test_a_call_that_waits_at_the_end_leaves_a_history_in_order() -> None:
    history = [user("go"), calls("a"), results("a"), calls("b")]
    found = Answers.in_order(history)
    assert found is not None
    assert found.newest == 1
    assert_same(found, history)


def test_results_in_other_places_are_not_in_order() -> None:
    apart = [calls("a", "b"), results("a"), results("b")]
    late = [calls("a"), user("wait"), results("a")]
    lone = [results("a")]
    for exchange in (apart, late, lone, [calls("a"), results("b")], [call("look"), user("never mind")]):
        assert Answers.in_order([user("go"), *exchange, user("and now?")]) is None
    assert Answers.in_order([returned("look", "x"), user("and now?")]) is None
