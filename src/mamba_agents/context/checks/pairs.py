"""Tool calls and their results: each pair whole, in place and alone."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic_ai.messages import (
    CompactionPart,
    InstructionBaselinePart,
    ModelMessage,
    ModelRequestPart,
    ModelResponse,
    ModelSettingsDeltaPart,
    NativeToolCallPart,
    NativeToolReturnPart,
    SpeechPart,
    ToolAvailabilityDeltaPart,
    ToolCallPart,
    UserPromptPart,
)

from mamba_agents.context.checks.order import groups_of
from mamba_agents.context.units import answered_call_id
from mamba_agents.context.violations import HistoryViolation, Law, Violations

_UNSAID = (InstructionBaselinePart, ModelSettingsDeltaPart, ToolAvailabilityDeltaPart)
"""Parts that may stand between tool results: they say nothing by themselves, or are said elsewhere."""


@dataclass(slots=True)
class _Call:
    message_index: int
    part_index: int
    name: str
    passed_at: int | None = None
    """The message that stands between the call and any result still to come."""
    given_up: bool = False
    """Whether it can no longer be answered: its id is called again, or a user went on without it."""


@dataclass(slots=True)
class _Walk:
    """What is open while a history is read from its start."""

    open: dict[str, list[_Call]] = field(default_factory=lambda: defaultdict[str, list[_Call]](list))
    answered: dict[str, int] = field(default_factory=dict[str, int])
    """The message with the latest result, by call id."""
    abandoned: list[tuple[str, _Call]] = field(default_factory=list[tuple[str, _Call]])
    last_response: int = -1

    def waiting(self) -> list[_Call]:
        """The calls that may still get a result: those of the last response that no user has passed over."""
        calls = [call for calls in self.open.values() for call in calls]
        return [call for call in calls if call.message_index == self.last_response and not call.given_up]

    def call(self, index: int, response: ModelMessage) -> None:
        """Take in the calls of a response."""
        for part_index, part in enumerate(response.parts):
            if not isinstance(part, ToolCallPart):
                continue
            calls = self.open[part.tool_call_id]
            if calls and calls[-1].message_index != index:
                self.abandoned.extend((part.tool_call_id, call) for call in calls)
                calls.clear()
            calls.append(_Call(index, part_index, part.tool_name))

    def pass_by(self, index: int) -> None:
        """Say that something stands between what is open and any result still to come."""
        for calls in self.open.values():
            for call in calls:
                call.passed_at = index if call.passed_at is None else call.passed_at

    def answer(self, index: int, request: ModelMessage, answered_now: list[_Call]) -> Violations:
        """Take in the results of a request, and say which of them answer nothing or come too late."""
        for part_index, part in enumerate(request.parts):
            if (call_id := answered_call_id(part)) is None:
                continue
            calls = self.open.get(call_id)
            if not calls:
                yield _unasked(index, part_index, call_id, self.answered.get(call_id))
                continue
            call = calls.pop(0)
            if not calls:
                del self.open[call_id]
            self.answered[call_id] = index
            answered_now.append(call)
            if call.passed_at is not None:
                yield _late(index, part_index, call_id, call)

    def go_on(self, index: int, parts: Sequence[ModelRequestPart], answered_now: list[_Call]) -> None:
        """Take in what is said after the results: what is open still has missed its place."""
        if all(answered_call_id(part) is not None or isinstance(part, _UNSAID) for part in parts):
            return
        self.pass_by(index)
        # A user part beside results may be content that a tool returned, so the rest may still wait.
        if not answered_now and any(isinstance(part, UserPromptPart | SpeechPart | CompactionPart) for part in parts):
            for calls in self.open.values():
                for call in calls:
                    call.given_up = True


def pair_violations(messages: Sequence[ModelMessage], *, may_wait: int | None) -> Violations:
    """Calls without a result, results without a call, and pairs with something in between.

    `may_wait` is how many calls of the last response may still be open; None for any number.
    """
    walk = _Walk()
    yield from _walked(walk, messages)
    for call_id, call in walk.abandoned:
        yield _unanswered(call_id, call)
    waiting = walk.waiting()
    for call_id, calls in walk.open.items():
        for call in calls:
            if call not in waiting or (may_wait is not None and call in waiting[may_wait:]):
                yield _unanswered(call_id, call)


def count_waiting(messages: Sequence[ModelMessage]) -> int:
    """How many calls of the last response have no result yet and can still get one."""
    walk = _Walk()
    for _ in _walked(walk, messages):
        pass
    return len(walk.waiting())


def _walked(walk: _Walk, messages: Sequence[ModelMessage]) -> Violations:
    """The results that answer nothing or come too late; what is open at the end, the walk knows."""
    for group in groups_of(messages):
        if isinstance(messages[group[0]], ModelResponse):
            walk.last_response = group[-1]
            walk.pass_by(group[0])
            for index in group:
                walk.call(index, messages[index])
            continue
        answered_now: list[_Call] = []
        for index in group:
            yield from walk.answer(index, messages[index], answered_now)
        walk.go_on(group[0], _request_parts(messages, group), answered_now)


def _request_parts(messages: Sequence[ModelMessage], group: Sequence[int]) -> list[ModelRequestPart]:
    return [
        part for index in group if not isinstance(message := messages[index], ModelResponse) for part in message.parts
    ]


def _unanswered(call_id: str, call: _Call) -> HistoryViolation:
    return HistoryViolation(
        law=Law.CALL_WITHOUT_RESULT,
        message_index=call.message_index,
        part_index=call.part_index,
        message=f"found no result for the call {call_id!r} of {call.name!r}; expected one in the next request:"
        " keep the request that answers it, or close it with pydantic_ai.messages.repair_messages()",
    )


def _unasked(index: int, part_index: int, call_id: str, answered_at: int | None) -> HistoryViolation:
    if answered_at is None:
        return HistoryViolation(
            law=Law.RESULT_WITHOUT_CALL,
            message_index=index,
            part_index=part_index,
            message=f"found a result for {call_id!r}; expected a call of that id before it: keep the response that"
            " calls, or leave the result out with it",
        )
    return HistoryViolation(
        law=Law.SECOND_RESULT,
        message_index=index,
        part_index=part_index,
        message=f"found another result for {call_id!r}, which message {answered_at} answers; expected one result a"
        " call: leave one of them out",
    )


def _late(index: int, part_index: int, call_id: str, call: _Call) -> HistoryViolation:
    return HistoryViolation(
        law=Law.SPLIT_PAIR,
        message_index=index,
        part_index=part_index,
        message=f"found the result for {call_id!r} after message {call.passed_at}; expected it directly after its call"
        f" in message {call.message_index}: move the two together, or leave both out",
    )


def native_violations(messages: Sequence[ModelMessage]) -> Violations:
    """Results of providers' own tools that nothing asked for; a call alone is what a cut stream leaves."""
    called: set[str] = set()
    for index, message in enumerate(messages):
        for part_index, part in enumerate(message.parts):
            if isinstance(part, NativeToolCallPart):
                called.add(part.tool_call_id)
            elif isinstance(part, NativeToolReturnPart) and part.tool_call_id not in called:
                yield HistoryViolation(
                    law=Law.NATIVE_RESULT_WITHOUT_CALL,
                    message_index=index,
                    part_index=part_index,
                    message=f"found a result of the provider's own tool {part.tool_name!r} for {part.tool_call_id!r};"
                    " expected its call before it: keep the call's response, or leave this part out",
                )
