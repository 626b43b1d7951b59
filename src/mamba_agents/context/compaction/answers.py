"""The results of tools, each with the call it answers, and whether a later call gave it anew."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pydantic_ai.messages import ModelMessage, ModelRequest, ToolCallPart, ToolReturnPart

from mamba_agents.context.compaction.layout import Layout
from mamba_agents.context.compaction.receipts import is_replaceable, parsed_args, replaceable
from mamba_agents.tokens.known import notes_on

_NOTE = "answers"
_LOOKED_AT = 8
"""Later calls that a call is compared with, so that a thousand reads of one file take no million comparisons."""

_RANGES = frozenset(("offset", "limit", "start", "end", "line", "lines", "page", "cursor", "head", "tail", "range"))
"""Arguments that ask for a part of the whole, which does not replace the whole."""

type _Asked = tuple[str, frozenset[tuple[str, object]]]
"""A tool and the arguments it was called with, to compare."""


class Result(NamedTuple):
    """A result that may be shortened."""

    at: int
    """Index of the message."""

    part_index: int
    call: ToolCallPart
    is_superseded: bool
    """Whether a later call gave it anew."""


class _Answer(NamedTuple):
    """What is known of a result from its exchange alone."""

    part_index: int
    call: ToolCallPart
    asked: _Asked
    is_good: bool
    may_go: bool


def results_in(layout: Layout) -> list[Result]:
    """The results that may be shortened, oldest first; none of the newest exchange or later."""
    answered = list(_answered(layout))
    later = _LaterCalls(answer for _, answers in answered for answer in answers)
    found: list[Result] = []
    for at, answers in reversed(answered):
        if at < layout.newest:
            found.extend(
                Result(at, answer.part_index, answer.call, later.gave_anew(answer.asked))
                for answer in reversed(answers)
                if answer.may_go
            )
        for answer in answers:
            if answer.is_good:
                later.add(answer.asked)
    found.reverse()
    return found


def _answered(layout: Layout) -> Iterator[tuple[int, Sequence[_Answer]]]:
    """The requests that answer calls, by their index, oldest first."""
    messages, notes = layout.messages, notes_on(layout.messages)
    for start, stop in layout.exchanges:
        if stop - start > 2:
            yield from _paired(messages, start, stop)
            continue
        # Nearly always one request answers all, and then it is remembered on that request what it answers.
        known: tuple[object, Sequence[_Answer]] | None = notes[stop - 1].get(_NOTE)
        if known is None or known[0] is not messages[start].parts:
            answers = _only_answer(messages[start], messages[stop - 1])
            if answers is None:
                answers = [answer for _, found in _paired(messages, start, stop) for answer in found]
            notes[stop - 1][_NOTE] = known = messages[start].parts, answers
        yield stop - 1, known[1]


def _only_answer(asking: ModelMessage, answering: ModelMessage) -> Sequence[_Answer] | None:
    """The one answer where there is one call and one result, told in a third of the time; None where there are more."""
    part = answering.parts[0]
    if len(answering.parts) == 1 and type(part) is ToolReturnPart:
        calls = [call for call in asking.parts if isinstance(call, ToolCallPart)]
        if len(calls) == 1 and calls[0].tool_call_id == part.tool_call_id:
            return (_Answer(0, calls[0], _asked(calls[0]), part.outcome == "success", is_replaceable(part)),)
    return None


def _paired(messages: Sequence[ModelMessage], start: int, stop: int) -> Iterator[tuple[int, Sequence[_Answer]]]:
    open_calls: dict[str, list[ToolCallPart]] = {}
    for at in range(start, stop):
        message, answers = messages[at], list[_Answer]()
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                open_calls.setdefault(part.tool_call_id, []).append(part)
        if not isinstance(message, ModelRequest):
            continue
        replaceable_at = {part_index for part_index, _ in replaceable(message)}
        for part_index, part in enumerate(message.parts):
            if isinstance(part, ToolReturnPart) and (calls := open_calls.get(part.tool_call_id)):
                call = calls.pop(0)
                answers.append(
                    _Answer(part_index, call, _asked(call), part.outcome == "success", part_index in replaceable_at)
                )
        yield at, answers


def _asked(call: ToolCallPart) -> _Asked:
    args: dict[str, Any] | None = call.args if isinstance(call.args, dict) else parsed_args(call.args)
    if args is None:  # what cannot be read is like nothing but itself
        args = {"": call.args}
    try:
        return call.tool_name, frozenset(args.items())
    except TypeError:
        return call.tool_name, frozenset((name, repr(value)) for name, value in args.items())


class _LaterCalls:
    """The calls after some point, to know whether one before it was made again."""

    def __init__(self, every: Iterator[_Answer]) -> None:
        self._same: set[_Asked] = set()
        self._more: defaultdict[tuple[str, tuple[str, object]], list[frozenset[tuple[str, object]]]]
        self._more = defaultdict(list)
        widths: dict[str, int] = {}
        self._varied = {
            answer.asked[0]
            for answer in every
            if widths.setdefault(answer.asked[0], len(answer.asked[1])) != len(answer.asked[1])
        }
        """The tools that were not always called with as many arguments."""

    def add(self, asked: _Asked) -> None:
        self._same.add(asked)
        tool, arguments = asked
        if tool in self._varied:
            for argument in arguments:
                self._more[tool, argument].append(arguments)

    def gave_anew(self, asked: _Asked) -> bool:
        """Whether a later call asked for the same, with no more than arguments that do not narrow it."""
        if asked in self._same:
            return True
        tool, arguments = asked
        if tool not in self._varied or not arguments:
            return False
        first = min(arguments, key=repr)
        return any(
            arguments <= others and not any(name in _RANGES for name, _ in others - arguments)
            for others in self._more[tool, first][-_LOOKED_AT:]
        )
