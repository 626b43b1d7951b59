"""Where histories may be cut."""

from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryFeedbackPart,
    RetryInfo,
    ToolCallPart,
    ToolReturnPart,
)

from mamba_agents.context.laws import Law, check_history
from mamba_agents.context.units import answered_call_id, unit_starts, within_native_pairs
from mamba_agents.testing import histories
from tests.helpers import call, reply, returned, user

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PAIRS = {
    Law.CALL_WITHOUT_RESULT,
    Law.RESULT_WITHOUT_CALL,
    Law.SECOND_RESULT,
    Law.SPLIT_PAIR,
    Law.NATIVE_RESULT_WITHOUT_CALL,
    Law.SPLIT_NATIVE_PAIR,
}
TWO_CALLS = ModelResponse(parts=[ToolCallPart("f", {}, "a"), ToolCallPart("g", {}, "b")])


def starts(messages: list[ModelMessage]) -> list[int]:
    return sorted(set(unit_starts(messages)) - within_native_pairs(messages))


def test_a_reply_with_calls_is_one_with_their_results() -> None:
    history = [user("a"), TWO_CALLS, returned("f", 1, "a"), returned("g", 2, "b"), reply("x"), user("b")]
    assert starts(history) == [0, 1, 4, 5]


def test_an_id_that_comes_back_belongs_to_the_nearest_call() -> None:
    exchange = [call("f"), returned("f", 1)]
    assert starts([user("a"), *exchange, *exchange, reply("x")]) == [0, 1, 3, 5]


def test_a_providers_result_in_a_later_response_is_one_with_its_call() -> None:
    asked = ModelResponse(parts=[NativeToolCallPart("search", {}, "n"), ToolCallPart("f", {}, "a")])
    got = ModelResponse(parts=[NativeToolReturnPart("search", [], "n"), ToolCallPart("f", {}, "b")])
    history = [user("a"), asked, returned("f", 1, "a"), got, returned("f", 2, "b"), reply("x")]
    assert starts(history) == [0, 1, 5]


def test_a_providers_call_that_was_cut_off_holds_nothing_together() -> None:
    asked = ModelResponse(parts=[NativeToolCallPart("search", {}, "n")])
    assert starts([user("a"), asked, user("b"), reply("x")]) == [0, 1, 2, 3]


def test_calls_that_wait_go_with_all_that_follows() -> None:
    assert starts([user("a"), TWO_CALLS, returned("f", 1, "a"), user("b")]) == [0, 1]


def test_only_results_of_the_applications_own_tools_answer_a_call() -> None:
    assert answered_call_id(ToolReturnPart("f", 1, "a")) == "a"
    assert answered_call_id(NativeToolReturnPart("search", [], "n")) is None
    assert answered_call_id(RetryFeedbackPart("again", retry=RetryInfo("model_retry"))) is None


def test_no_messages_have_no_units() -> None:
    assert starts([]) == []


@settings(UNTIMED, max_examples=500)
@given(histories(min_turns=2), st.data())
def test_any_units_but_the_last_can_go_and_every_pair_stays_whole(
    messages: list[ModelMessage], data: st.DataObject
) -> None:
    edges = [*starts(messages), len(messages)]
    assert edges[0] == 0
    units = [messages[start:stop] for start, stop in pairwise(edges)]
    rest = [message for unit in units[:-1] if data.draw(st.booleans()) for message in unit] + units[-1]
    assert {violation.law for violation in check_history(rest, original=messages)} & PAIRS == set()
