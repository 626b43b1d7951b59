"""Histories as pieces that can be taken out whole, and the turns they stand in."""

from benchmarks.cuts.units import starts_turn, units_of
from hypothesis import HealthCheck, given, settings
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryFeedbackPart,
    RetryInfo,
    SpeechPart,
    SystemPromptPart,
    ToolCallPart,
)

from mamba_agents.testing import histories
from tests.helpers import call, reply, returned, user

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TWO_CALLS = ModelResponse(parts=[ToolCallPart("f", {}, "a"), ToolCallPart("g", {}, "b")])


def spans(messages: list[ModelMessage]) -> list[tuple[int, int]]:
    return [(unit.start, unit.stop) for unit in units_of(messages)]


def test_a_reply_with_calls_is_one_with_their_results() -> None:
    history = [user("a"), TWO_CALLS, returned("f", 1, "a"), returned("g", 2, "b"), reply("x"), user("b")]
    assert spans(history) == [(0, 1), (1, 4), (4, 5), (5, 6)]


def test_an_id_that_comes_back_belongs_to_the_nearest_call() -> None:
    exchange = [call("f"), returned("f", 1)]
    assert spans([user("a"), *exchange, *exchange, reply("x")]) == [(0, 1), (1, 3), (3, 5), (5, 6)]


def test_a_providers_result_in_a_later_response_is_one_with_its_call() -> None:
    asked = ModelResponse(parts=[NativeToolCallPart("search", {}, "n"), ToolCallPart("f", {}, "a")])
    got = ModelResponse(parts=[NativeToolReturnPart("search", [], "n"), ToolCallPart("f", {}, "b")])
    history = [user("a"), asked, returned("f", 1, "a"), got, returned("f", 2, "b"), reply("x")]
    assert spans(history) == [(0, 1), (1, 5), (5, 6)]


def test_a_providers_call_that_was_cut_off_holds_nothing_together() -> None:
    asked = ModelResponse(parts=[NativeToolCallPart("search", {}, "n")])
    assert spans([user("a"), asked, user("b"), reply("x")]) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_turns_are_counted_by_prompts() -> None:
    system = ModelRequest(parts=[SystemPromptPart("Be kind.")])
    units = units_of([system, user("a"), reply("x"), user("b"), call("f"), returned("f", 1), reply("y")])
    assert [unit.turn for unit in units] == [0, 0, 0, 1, 1, 1]
    assert [unit.is_prompt for unit in units] == [False, True, False, True, False, False]


def test_a_user_who_speaks_begins_a_turn_and_a_tool_or_a_refusal_does_not() -> None:
    assert starts_turn(ModelRequest(parts=[SpeechPart(speaker="user", transcript="Hello?")]))
    assert not starts_turn(returned("f", 1))
    assert not starts_turn(reply("Hello?"))
    assert not starts_turn(ModelRequest(parts=[RetryFeedbackPart("again", retry=RetryInfo("model_retry"))]))


def test_no_messages_are_no_units() -> None:
    assert units_of([]) == []


@settings(UNTIMED, max_examples=500)
@given(histories())
def test_units_are_the_whole_history_in_order(messages: list[ModelMessage]) -> None:
    units = units_of(messages)
    assert [unit.start for unit in units] == [0, *(unit.stop for unit in units[:-1])]
    assert units[-1].stop == len(messages)
    assert [unit.turn for unit in units] == sorted(unit.turn for unit in units)
