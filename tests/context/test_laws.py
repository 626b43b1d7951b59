"""The checker of histories: what it finds, and that it finds nothing in what is sound."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic_ai import PydanticAIDeprecationWarning
from pydantic_ai.messages import (
    CompactionPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelSettingsDeltaPart,
    NativeToolReturnPart,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolAvailabilityDeltaPart,
    ToolCallPart,
    ToolReturnPart,
    ToolSearchCallPart,
    ToolSearchReturnPart,
    UserPromptPart,
    repair_messages,
)

from mamba_agents.context.compaction.base import CompactionResult, CompactionStrategy
from mamba_agents.context.laws import HistoryViolation, Law, check_history
from mamba_agents.testing import BrokenHistory, broken_histories, histories
from mamba_agents.tokens import TokenCounter
from tests.context.strategy_laws import assert_strategy_laws
from tests.helpers import call, reply, returned, user

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TWO_CALLS = ModelResponse(parts=[ToolCallPart("f", {}, "a"), ToolCallPart("g", {}, "b")])
SAME_ID_TWICE = ModelResponse(parts=[ToolCallPart("f", {}, "a"), ToolCallPart("g", {}, "a")])
SUMMARY = ModelRequest(parts=[CompactionPart("They said hello.")])
SYSTEM = ModelRequest(parts=[SystemPromptPart("Be kind.")])


def request(*parts: object, instructions: str | None = None) -> ModelRequest:
    return ModelRequest(parts=list(parts), instructions=instructions)


def result(call_id: str, name: str = "f") -> ToolReturnPart:
    return ToolReturnPart(name, "done", call_id)


def from_api(*parts: object) -> ModelResponse:
    return ModelResponse(parts=list(parts), model_name="gpt", provider_name="openai")


def found(messages: list[ModelMessage], **options: object) -> list[tuple[str, int | None, int | None]]:
    return [(v.law.value, v.message_index, v.part_index) for v in check_history(messages, **options)]


EFFORT = ModelSettingsDeltaPart(settings={"thinking": "low"}, top_level=False)
REVEAL = ToolAvailabilityDeltaPart(tools_added=["refund"], tool_call_id="never-made")
STRAY_NATIVE = NativeToolReturnPart("web_search", [], "n")
BAD_SEARCH = replace(ToolSearchReturnPart(content={"discovered_tools": []}, tool_call_id="a"), content="[gone]")
SEARCH = ModelResponse(parts=[ToolSearchCallPart(args={"queries": ["refund"]}, tool_call_id="a")])

BREACHES: dict[str, tuple[list[ModelMessage], list[tuple[str, int | None, int | None]]]] = {
    "no messages": ([], [("empty", None, None)]),
    "a response alone": ([reply("hi")], [("response-first", 0, None)]),
    "a system prompt is no user turn": ([SYSTEM, reply("hi")], [("no-user-turn", 0, None)]),
    "two responses of a provider": (
        [user("a"), from_api(TextPart("x")), from_api(TextPart("y"))],
        [("responses-in-a-row", 2, None)],
    ),
    "a user goes on over an open call": ([user("a"), call("f"), user("b")], [("call-without-result", 1, 0)]),
    "one of two calls is answered, then the model goes on": (
        [user("a"), TWO_CALLS, request(result("a")), reply("x")],
        [("call-without-result", 1, 1)],
    ),
    "the same id twice, answered once": (
        [user("a"), SAME_ID_TWICE, request(result("a")), reply("x"), user("b")],
        [("call-without-result", 1, 1)],
    ),
    "an open call whose id is called again": (
        [user("a"), call("f"), reply("x"), user("b"), call("f"), returned("f", 1)],
        [("call-without-result", 1, 0)],
    ),
    "a result of nothing": ([user("a"), returned("f", 1)], [("result-without-call", 1, 0)]),
    "a result before its call": (
        [user("a"), returned("f", 1), call("f"), user("b")],
        [("result-without-call", 1, 0), ("call-without-result", 2, 0)],
    ),
    "two results to a call": (
        [user("a"), call("f"), returned("f", 1), reply("x"), user("b"), returned("f", 2)],
        [("second-result", 5, 0)],
    ),
    "a result two turns late": (
        [user("a"), TWO_CALLS, request(result("a")), reply("x"), request(result("b"))],
        [("split-pair", 4, 0)],
    ),
    "a result behind what a user says, in requests that stay two": (
        [
            *(user("a"), call("f"), request(UserPromptPart("b"), instructions="x")),
            replace(returned("f", 1), instructions="y"),
        ],
        [("split-pair", 3, 0)],
    ),
    "a provider's result alone": ([user("a"), from_api(STRAY_NATIVE)], [("native-result-without-call", 1, 0)]),
    "an effort that changes nothing": (
        [request(UserPromptPart("a"), EFFORT), reply("x"), user("b")],
        [("lone-delta", 0, 1)],
    ),
    "tools revealed by a call that is gone": (
        [request(UserPromptPart("a"), REVEAL), reply("x"), user("b")],
        [("lone-delta", 0, 1)],
    ),
    "a typed result blanked": (
        [user("a"), SEARCH, request(BAD_SEARCH), reply("x")],
        [("blanked-typed-part", 2, 0)],
    ),
    "a typed call blanked": (
        [user("a"), ModelResponse(parts=[replace(SEARCH.parts[0], args={})]), request(result("a"))],
        [("blanked-typed-part", 1, 0)],
    ),
    "everything at once": (
        [reply("hi"), returned("f", 1), call("f"), user("b")],
        [("response-first", 0, None), ("result-without-call", 1, 0), ("call-without-result", 2, 0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("messages", "expected"), BREACHES.values(), ids=BREACHES)
def test_every_breach_is_found_at_its_place_and_nothing_else(
    messages: list[ModelMessage], expected: list[tuple[str, int | None, int | None]]
) -> None:
    assert found(messages) == expected


SOUND: dict[str, list[ModelMessage]] = {
    "a prompt": [user("a")],
    "an answer at the end": [user("a"), reply("x")],
    "a summary for a user turn": [SUMMARY, reply("x"), user("b")],
    "a system prompt in a request of its own": [SYSTEM, user("a"), reply("x")],
    "calls that wait": [user("a"), TWO_CALLS],
    "one of two calls waits": [user("a"), TWO_CALLS, request(result("a"))],
    "a waiting call beside content that the other returned": [
        user("a"),
        TWO_CALLS,
        request(result("a"), UserPromptPart("the file")),
    ],
    "results in two requests": [user("a"), TWO_CALLS, request(result("a")), request(result("b"))],
    "results in requests with other instructions": [
        user("a"),
        TWO_CALLS,
        request(result("a"), instructions="Monday"),
        request(result("b"), instructions="Tuesday"),
    ],
    "a prompt before the result, which becomes one request": [user("a"), call("f"), user("b"), returned("f", 1)],
    "the same id in two turns": [
        *(user("a"), call("f"), returned("f", 1), reply("x")),
        *(user("b"), call("f"), returned("f", 2)),
    ],
    "the same id twice in a response": [user("a"), SAME_ID_TWICE, request(result("a"), result("a", "g"))],
    "results in another order": [user("a"), TWO_CALLS, request(result("b"), result("a"))],
    "a failed search with what went wrong": [
        user("a"),
        SEARCH,
        request(ToolReturnPart("search_tools", "broken", "a", tool_kind="tool-search", outcome="failed")),
    ],
    "an empty answer that was asked for again": [user("a"), from_api(), user("b"), reply("x")],
    "a change in the newest request": [user("a"), reply("x"), request(UserPromptPart("b"), EFFORT)],
}


@pytest.mark.parametrize("messages", SOUND.values(), ids=SOUND)
def test_what_is_sound_breaks_no_law(messages: list[ModelMessage]) -> None:
    assert found(messages) == []
    assert found(messages, original=messages) == []


def test_a_retry_as_older_versions_wrote_it_answers_its_call() -> None:
    with pytest.warns(PydanticAIDeprecationWarning, match="RetryPromptPart"):
        retry = RetryPromptPart("again", tool_name="f", tool_call_id="call-1")
    assert found([user("a"), call("f"), request(retry), reply("x")]) == []
    retry.tool_name = None  # then it speaks of the whole response
    assert found([user("a"), call("f"), request(retry), reply("x")]) == [("call-without-result", 1, 0)]


def test_what_is_about_to_be_sent_ends_in_a_request_and_leaves_no_call_open() -> None:
    assert found([user("a"), TWO_CALLS], for_request=True) == [
        ("ends-in-response", 1, None),
        ("call-without-result", 1, 0),
        ("call-without-result", 1, 1),
    ]
    assert found([user("a"), TWO_CALLS, request(result("a"), result("b"))], for_request=True) == []


THOUGHT = ThinkingPart("hm", signature="s", provider_name="anthropic")
THINKING = [
    user("a"),
    from_api(THOUGHT, ToolCallPart("f", {}, "a")),
    request(result("a")),
    from_api(THOUGHT),
    user("b"),
]
PROMPTED = [
    request(SystemPromptPart("Be kind."), UserPromptPart("a")), reply("x"), user("b"), reply("y"), user("c"),
]  # fmt: skip


ANSWERED = [user("a"), TWO_CALLS, request(result("a")), request(result("b"))]


@dataclass
class Edit:
    """A history, what was made of it, and what is wrong with that."""

    original: list[ModelMessage]
    messages: list[ModelMessage]
    expected: list[tuple[str, int | None, int | None]]


EDITS = {
    "the system prompt is gone": Edit(PROMPTED, PROMPTED[2:], [("lost-system-prompt", None, None)]),
    "the system prompt moved": Edit(PROMPTED, [SYSTEM, *PROMPTED[2:]], []),
    "the system prompt moved into a kept request": Edit(
        PROMPTED, [replace(PROMPTED[2], parts=[*SYSTEM.parts, *PROMPTED[2].parts]), *PROMPTED[3:]], []
    ),
    "a new system prompt": Edit(
        PROMPTED[2:], [SYSTEM, *PROMPTED[2:]], [("foreign-message", 0, 0)]
    ),
    "a summary stands for the start": Edit(
        PROMPTED, [request(*SYSTEM.parts, CompactionPart("x")), *PROMPTED[4:]], []
    ),
    "a summary in the user's own words": Edit(
        PROMPTED[2:], [user("We said hello."), *PROMPTED[4:]], [("foreign-message", 0, 0)]
    ),
    "an answer that nobody gave": Edit(
        PROMPTED, [PROMPTED[0], reply("z"), *PROMPTED[2:]], [("foreign-message", 1, None)]
    ),
    "the newest request is gone": Edit(PROMPTED, PROMPTED[:-1], [("newest-request-changed", 3, None)]),
    "the newest request is another": Edit(
        PROMPTED,
        [*PROMPTED[:-1], replace(PROMPTED[-1], parts=[replace(PROMPTED[-1].parts[0], content="…")])],
        [("newest-request-changed", 4, None)],
    ),
    "the newest request has a note for the application": Edit(
        PROMPTED, [*PROMPTED[:-1], replace(PROMPTED[-1], metadata={"tokens": 7})], []
    ),
    "turns in another order": Edit(
        PROMPTED[:2] + PROMPTED[2:],
        [PROMPTED[0], PROMPTED[3], PROMPTED[2], PROMPTED[1], PROMPTED[4]],
        [("order-changed", 2, None), ("order-changed", 3, None)],
    ),
    "a message twice": Edit(
        PROMPTED, [*PROMPTED[:2], *PROMPTED], [("order-changed", 2, None), ("order-changed", 3, None)]
    ),
    "thinking reworded": Edit(
        THINKING,
        [THINKING[0], replace(THINKING[1], parts=[replace(THOUGHT, content="…"), THINKING[1].parts[1]]), *THINKING[2:]],
        [("edited-thinking", 1, 0)],
    ),
    "thinking left out before a call that stays": Edit(
        THINKING,
        [THINKING[0], replace(THINKING[1], parts=THINKING[1].parts[1:]), *THINKING[2:]],
        [("edited-thinking", 1, None)],
    ),
    "thinking left out with its calls": Edit(THINKING, [*THINKING[:1], *THINKING[3:]], []),
    "thinking emptied": Edit(
        THINKING, [*THINKING[:3], replace(THINKING[3], parts=[]), THINKING[4]], [("emptied-message", 3, None)]
    ),
    "a result of the newest exchange left out": Edit(
        ANSWERED, [*ANSWERED[:2], ANSWERED[3]], [("call-without-result", 1, 0)]
    ),
    "a result shortened": Edit(
        THINKING, [*THINKING[:2], request(replace(THINKING[2].parts[0], content="…")), *THINKING[3:]], []
    ),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_what_a_shortened_history_owes_the_original_is_found_out(edit: Edit) -> None:
    assert found(edit.messages, original=edit.original) == edit.expected


def test_a_typed_result_made_plain_is_found_out_by_the_original() -> None:
    typed = ToolSearchReturnPart(content={"discovered_tools": []}, tool_call_id="a")
    original = [user("a"), SEARCH, request(typed), reply("x"), user("b")]
    blanked = request(ToolReturnPart("search_tools", "[gone]", "a", timestamp=typed.timestamp))
    assert found([*original[:2], blanked, *original[3:]], original=original) == [("blanked-typed-part", 2, 0)]


def test_a_violation_reads_as_what_was_found_expected_and_to_do() -> None:
    (violation,) = check_history([user("a"), call("f"), user("b")])
    assert str(violation) == (
        "message 1, part 0: found no result for the call 'call-1' of 'f'; expected one in the next request: keep the"
        " request that answers it, or close it with pydantic_ai.messages.repair_messages() [call-without-result]"
    )
    assert str(check_history([])[0]).startswith("history: found no messages")
    assert violation.law is Law.CALL_WITHOUT_RESULT


@settings(UNTIMED)
@given(broken_histories())
def test_every_violation_says_found_expected_and_what_to_do(broken: BrokenHistory) -> None:
    for violation in check_history(broken.messages, original=broken.original, for_request=broken.for_request):
        assert violation.message.startswith("found ")
        assert "; expected " in violation.message
        assert ": " in violation.message.partition("; expected ")[2]


def test_what_is_no_message_is_named() -> None:
    with pytest.raises(TypeError, match=r"found dict as message 1; expected a ModelRequest .* dicts_to_model_messages"):
        check_history([user("a"), {"role": "user"}])  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="found str as message 0"):
        check_history([user("a")], original=["a"])  # pyright: ignore[reportArgumentType]


@settings(UNTIMED, max_examples=500)
@given(histories())
def test_what_is_valid_has_no_violations(messages: list[ModelMessage]) -> None:
    assert check_history(messages) == []
    assert check_history(messages, original=messages) == []


@settings(UNTIMED, max_examples=300)
@given(histories(ends_in_request=True))
def test_what_ends_in_a_request_can_be_sent(messages: list[ModelMessage]) -> None:
    assert check_history(messages, for_request=True) == []


@settings(UNTIMED, max_examples=500)
@given(broken_histories())
def test_the_law_that_is_broken_is_found_and_the_original_breaks_none(broken: BrokenHistory) -> None:
    violations = check_history(broken.messages, original=broken.original, for_request=broken.for_request)
    assert broken.law in {violation.law for violation in violations}
    assert broken.original is None or check_history(broken.original) == []


def of_an_exchange(message: ModelMessage) -> bool:
    return any(isinstance(part, ToolCallPart | ToolReturnPart) for part in message.parts)


@settings(UNTIMED, max_examples=500)
@given(histories(min_turns=2), st.data())
def test_a_message_of_an_exchange_cannot_be_missing_unnoticed(
    messages: list[ModelMessage], data: st.DataObject
) -> None:
    exchanges = [index for index, message in enumerate(messages) if of_an_exchange(message)]
    assume(exchanges)
    missing = data.draw(st.sampled_from(exchanges))
    assert check_history([*messages[:missing], *messages[missing + 1 :]], original=messages)


def parts_of(messages: list[ModelMessage]) -> Counter[int]:
    return Counter(id(part) for message in messages for part in message.parts)


@settings(UNTIMED, max_examples=500)
@given(histories())
def test_pydantic_ai_finds_nothing_to_drop_or_to_invent_in_what_is_valid(messages: list[ModelMessage]) -> None:
    """Its own repair, which leaves the calls of the last response alone, only moves and joins parts."""
    repaired = repair_messages(messages, repair_last_response=False)
    assert parts_of(repaired) == parts_of(messages)
    assert check_history(repaired) == []


@settings(UNTIMED, max_examples=300)
@given(broken_histories(laws=[Law.CALL_WITHOUT_RESULT, Law.RESULT_WITHOUT_CALL]))
def test_what_pydantic_ai_repairs_is_valid_for_it_and_for_us(broken: BrokenHistory) -> None:
    assert check_history(repair_messages(broken.messages)) == []


def test_the_checker_takes_long_histories_in_one_pass() -> None:
    """Ten thousand messages, each call under an id of its own: what is found does not depend on the length."""
    turns: list[ModelMessage] = []
    for number in range(2_500):
        turns += [user("a"), call("f", call_id=f"call-{number}"), returned("f", 1, f"call-{number}"), reply("x")]
    assert check_history(turns, original=turns) == []
    assert found([*turns, returned("f", 1, "call-7")]) == [("second-result", 10_000, 0)]


def test_a_violation_cannot_be_changed() -> None:
    violation = HistoryViolation(law=Law.EMPTY, message_index=None, message="found nothing")
    with pytest.raises(AttributeError):
        violation.message = "all is well"  # pyright: ignore[reportAttributeAccessIssue]


class Bad(CompactionStrategy):
    """A strategy that leaves what it is told to leave, and reports what it is told to report."""

    name = "bad"

    def __init__(self, keep: Callable[[list[ModelMessage], int], list[ModelMessage]], *, error: int = 0) -> None:
        self.keep, self.error = keep, error

    async def compact(
        self, messages: Sequence[ModelMessage], target_tokens: int, preserve_recent: int = 0
    ) -> CompactionResult[ModelMessage]:
        kept = self.keep(list(messages), target_tokens)
        before, after = (TokenCounter().count_messages(part) for part in (list(messages), kept))
        return CompactionResult(
            messages=kept,
            removed_count=len(messages) - len(kept),
            tokens_before=before,
            tokens_after=after + self.error,
            strategy=self.name,
            target_tokens=target_tokens,
            reached_target=after <= target_tokens,
        )


BAD = {
    "drops the newest request": Bad(lambda messages, target: messages[:-1]),
    "begins with a response": Bad(lambda messages, target: messages[1:]),
    "copies the newest request": Bad(lambda messages, target: [*messages[-3:-1], replace(messages[-1])]),
    "miscounts": Bad(lambda messages, target: messages[2:], error=1),
    "grows": Bad(lambda messages, target: [SUMMARY, *messages]),
    "leaves more than it must": Bad(lambda messages, target: messages[-3:] if target else messages[-1:]),
}


@pytest.mark.anyio
@pytest.mark.parametrize("strategy", BAD.values(), ids=BAD)
async def test_the_laws_of_strategies_catch_one_that(strategy: CompactionStrategy) -> None:
    history = [user("a"), reply("b"), user("c"), reply("d"), user("What else is there? " * 20)]
    with pytest.raises(AssertionError):
        await assert_strategy_laws(strategy, history, 10)


@pytest.mark.anyio
async def test_the_laws_of_strategies_let_a_good_one_pass() -> None:
    history = [user("a"), reply("b"), user("c"), reply("d"), user("e")]
    result = await assert_strategy_laws(Bad(lambda messages, target: messages[-1:]), history, 0)
    assert result.removed_count == 4
