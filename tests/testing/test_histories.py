"""Histories to test with: valid, nasty, quick to draw and the same each time."""

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from pydantic_ai import Agent
from pydantic_ai.messages import (
    BinaryContent,
    CompactionPart,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from mamba_agents.context.laws import Law, check_history
from mamba_agents.context.units import answered_call_id
from mamba_agents.testing import AnnotatedToolReturnPart, BrokenHistory, UnknownPart, broken_histories, histories
from mamba_agents.testing.drawing import drawn
from tests.helpers import script

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
KINDS = {
    "system-prompt", "user-prompt", "tool-return", "retry-feedback", "tool-availability-delta", "model-settings-delta",
    "instruction-delta", "instruction-baseline", "compaction", "text", "thinking", "tool-call", "builtin-tool-call",
    "builtin-tool-return", "from-a-later-version",
}  # fmt: skip


def call_ids(response: ModelResponse) -> list[str]:
    return [part.tool_call_id for part in response.parts if isinstance(part, ToolCallPart)]


def responses(messages: list[ModelMessage]) -> list[ModelResponse]:
    return [message for message in messages if isinstance(message, ModelResponse)]


def parts_of[PartT](messages: list[ModelMessage], kind: type[PartT]) -> list[PartT]:
    return [part for message in messages for part in message.parts if isinstance(part, kind)]


def is_open(messages: list[ModelMessage]) -> bool:
    waiting: list[str] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            waiting += call_ids(message)
        for call_id in map(answered_call_id, message.parts):
            if call_id in waiting:
                waiting.remove(call_id)
    return bool(waiting)


def has_late_native_result(messages: list[ModelMessage]) -> bool:
    called: set[str] = set()
    for response in responses(messages):
        here = {part.tool_call_id for part in response.parts if isinstance(part, NativeToolCallPart)}
        got = {part.tool_call_id for part in response.parts if isinstance(part, NativeToolReturnPart)}
        if (got - here) & called:
            return True
        called |= here
    return False


NASTY = {
    "parallel calls": lambda h: any(len(call_ids(r)) > 2 for r in responses(h)),
    "calls that wait": is_open,
    "some of the calls answered, others waiting": lambda h: is_open(h) and isinstance(h[-1], ModelRequest),
    "an id in two turns": lambda h: len([1 for r in responses(h) if "call-1" in call_ids(r)]) > 1,
    "an id twice in one response": lambda h: any(len(set(ids := call_ids(r))) < len(ids) for r in responses(h)),
    "an empty id": lambda h: any("" in call_ids(r) for r in responses(h)),
    "a stream that was cut": lambda h: any(r.state == "interrupted" and call_ids(r) for r in responses(h)),
    "an incomplete response": lambda h: any(r.state == "incomplete" for r in responses(h)),
    "an empty response": lambda h: any(not r.parts for r in responses(h)),
    "several signed thoughts": lambda h: any(
        len([1 for p in r.parts if isinstance(p, ThinkingPart) and p.signature]) > 1 for r in responses(h)
    ),
    "redacted thinking": lambda h: any(not p.content and p.signature for p in parts_of(h, ThinkingPart)),
    "unsigned thinking": lambda h: any(p.signature is None for p in parts_of(h, ThinkingPart)),
    "a file in a prompt": lambda h: any(
        not isinstance(p.content, str) and any(isinstance(c, BinaryContent) for c in p.content)
        for p in parts_of(h, UserPromptPart)
    ),
    "a file as a result": lambda h: any(isinstance(p.content, BinaryContent) for p in parts_of(h, ToolReturnPart)),
    "a list as a result": lambda h: any(isinstance(p.content, list) for p in parts_of(h, ToolReturnPart)),
    "a dict as a result": lambda h: any(isinstance(p.content, dict) for p in parts_of(h, ToolReturnPart)),
    "None as a result": lambda h: any(p.content is None for p in parts_of(h, ToolReturnPart)),
    "a retry": lambda h: any(p.outcome == "retried" for p in parts_of(h, ToolReturnPart)),
    "broken arguments": lambda h: any(
        isinstance(p.args, str) and p.args.endswith('"') for p in parts_of(h, ToolCallPart)
    ),
    "no arguments": lambda h: any(p.args is None for p in parts_of(h, ToolCallPart)),
    "arguments as a dict": lambda h: any(isinstance(p.args, dict) for p in parts_of(h, ToolCallPart)),
    "several requests in a row": lambda h: any(
        isinstance(a, ModelRequest) and isinstance(b, ModelRequest) for a, b in pairwise(h)
    ),
    "instructions that change": lambda h: len({m.instructions for m in h if isinstance(m, ModelRequest)}) > 1,
    "a native result in a later response": has_late_native_result,
    "a summary by a provider": lambda h: any(p.provider_name for p in parts_of(h, CompactionPart)),
    "a summary by the application": lambda h: any(p.provider_name is None for p in parts_of(h, CompactionPart)),
    "an empty text": lambda h: any(p.content == "" for p in parts_of(h, TextPart)),
    "a lone surrogate": lambda h: any("\udc80" in p.content for p in parts_of(h, TextPart)),
    "Chinese": lambda h: any("你好" in p.content for p in parts_of(h, TextPart)),
    "the text of a special token": lambda h: any("<|endoftext|>" in p.content for p in parts_of(h, TextPart)),
    "a very long text": lambda h: any(len(p.content) > 1_500 for p in parts_of(h, TextPart)),
    "usage that was reported": lambda h: any(r.usage.input_tokens for r in responses(h)),
    "usage that was not": lambda h: any(not r.usage.input_tokens for r in responses(h)),
    "a result of the application's own class": lambda h: bool(parts_of(h, AnnotatedToolReturnPart)),
    "a request without a time": lambda h: any(m.timestamp is None for m in h),
}  # fmt: skip


@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
def test_histories_hold_every_kind_of_nastiness(nasty: object) -> None:
    assert check_history(find(histories(), nasty, settings=settings(UNTIMED, max_examples=4_000, database=None))) == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_histories_hold_parts_of_every_kind(kind: str) -> None:
    def holds(messages: list[ModelMessage]) -> bool:
        return any(part.part_kind == kind for message in messages for part in message.parts)

    find(histories(), holds, settings=settings(UNTIMED, max_examples=4_000, database=None))


@settings(UNTIMED, max_examples=300)
@given(histories(max_turns=40, ends_in_request=True))
def test_what_is_to_be_sent_can_be(messages: list[ModelMessage]) -> None:
    assert isinstance(messages[-1], ModelRequest)
    assert check_history(messages, for_request=True) == []


@settings(UNTIMED, max_examples=300)
@given(histories(ends_in_request=False))
def test_what_is_stored_ends_in_a_response(messages: list[ModelMessage]) -> None:
    assert isinstance(messages[-1], ModelResponse)


@settings(UNTIMED, max_examples=300)
@given(histories(with_pending=False))
def test_no_call_waits_where_none_may(messages: list[ModelMessage]) -> None:
    assert not is_open(messages)


@settings(UNTIMED, max_examples=300)
@given(histories(with_unknown_parts=False, with_surrogates=False))
def test_without_unknown_parts_pydantic_ai_can_store_and_load_a_history(messages: list[ModelMessage]) -> None:
    assert parts_of(messages, UnknownPart) == parts_of(messages, AnnotatedToolReturnPart) == []
    stored = ModelMessagesTypeAdapter.dump_json(messages)
    assert check_history(ModelMessagesTypeAdapter.validate_json(stored)) == []
    assert ModelMessagesTypeAdapter.dump_json(ModelMessagesTypeAdapter.validate_json(stored)) == stored


@settings(UNTIMED, max_examples=300)
@given(histories(min_turns=2, max_turns=3, max_text=30))
def test_the_bounds_hold(messages: list[ModelMessage]) -> None:
    assert max(len(part.content) for part in [*parts_of(messages, TextPart), TextPart("")]) <= 30
    prompts = [p for p in parts_of(messages, UserPromptPart) if isinstance(p.content, str)]
    assert max((len(part.content) for part in prompts), default=0) <= 30
    # A prompt that waits for its answer and content that tools put in begin turns too.
    assert 2 <= len({message.run_id for message in messages}) <= 4


@pytest.mark.anyio
@settings(UNTIMED, max_examples=100)
@given(histories(ends_in_request=True, with_unknown_parts=False, with_surrogates=False, max_turns=3))
async def test_a_run_of_pydantic_ai_goes_on_from_a_history(messages: list[ModelMessage]) -> None:
    result = await Agent(script("Done.")).run(message_history=messages)
    assert result.output == "Done."
    assert check_history(result.all_messages()) == []


def test_the_same_draw_is_the_same_history() -> None:
    def holds(messages: list[ModelMessage]) -> bool:
        return len(messages) > 6 and is_open(messages)

    quietly = settings(UNTIMED, max_examples=1_000, database=None, derandomize=True)
    first, second = (find(histories(), holds, settings=quietly) for _ in range(2))
    assert first == second
    assert all(a is not b for a, b in zip(first, second, strict=True))


def test_a_failing_history_shrinks_to_a_prompt_and_the_least_that_fails() -> None:
    smallest = find(histories(), lambda messages: True, settings=settings(UNTIMED, database=None))
    assert [[type(part) for part in message.parts] for message in smallest] == [[UserPromptPart], [TextPart]]
    with_call = find(
        histories(), lambda h: parts_of(h, ToolCallPart) and not is_open(h), settings=settings(UNTIMED, database=None)
    )
    assert len(with_call) <= 4


@pytest.mark.parametrize(
    ("bounds", "complaint"),
    [
        ({"min_turns": 0}, "found min_turns=0 and max_turns=6; expected 1 <= min_turns <= max_turns"),
        ({"min_turns": 9}, "found min_turns=9 and max_turns=6"),
        ({"max_text": 0}, "found max_text=0; expected 1 or more"),
    ],
)
def test_bounds_that_leave_nothing_are_refused(bounds: dict[str, int], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        histories(**bounds)


@pytest.mark.parametrize("law", Law)
@settings(UNTIMED, max_examples=40)
@given(data=st.data())
def test_there_are_broken_histories_for_every_law(law: Law, data: st.DataObject) -> None:
    broken = data.draw(broken_histories(laws=[law]))
    assert isinstance(broken, BrokenHistory)
    assert broken.law == law
    violations = check_history(broken.messages, original=broken.original, for_request=broken.for_request)
    assert law in {violation.law for violation in violations}


@pytest.mark.parametrize("laws", [["gravity"], []])
def test_a_law_that_there_is_not_is_refused_with_those_there_are(laws: list[str]) -> None:
    with pytest.raises(ValueError, match=r"expected some of blanked-typed-part, call-without-result, .*split-pair"):
        broken_histories(laws=laws)


def test_pieces_become_what_is_made_of_them() -> None:
    assert find(drawn(len, size=3, fewest=2, most=4), lambda n: True, settings=settings(UNTIMED, database=None)) == 2


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_the_package_does_not_load_hypothesis() -> None:
    assert run("import sys, mamba_agents.testing; print('hypothesis' in sys.modules)") == "False\n"


@pytest.mark.parametrize("function", ["histories", "broken_histories"])
def test_without_hypothesis_one_line_says_what_to_install(function: str) -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None; from mamba_agents import testing\n"
        f"try: testing.{function}()\nexcept ImportError as error: print(error)"
    )
    assert run(code) == (
        "histories are drawn with Hypothesis, which is not installed; run `pip install 'mamba-agents[testing]'`.\n"
    )
