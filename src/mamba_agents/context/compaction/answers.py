"""The results of tools, each with the call it answers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain
from typing import Self, cast

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponsePart,
    ToolCallPart,
    ToolReturnPart,
)

from mamba_agents.context.compaction.layout import Layout, layout_of
from mamba_agents.context.compaction.receipts import is_replaceable, replaceable
from mamba_agents.context.compaction.traits import PROMPT, pairs, traits_of

_LOOK_BACK = 64
"""Messages among which prompts are looked for in one go, from the end."""

type _Parts = Sequence[ModelRequestPart | ModelResponsePart]


@dataclass(slots=True, kw_only=True)
class Answers:
    """The results of tools in a history, oldest first: a column for each thing to know of them."""

    messages: Sequence[ModelMessage]
    layout: Layout | None = None
    """None for a history in order: each reply's calls are answered by the very next message."""

    newest: int = 0
    """The index at which the unit with the newest request begins: it and all after it stay untouched."""

    at: list[int] = field(default_factory=list[int])
    """Index of the message."""

    part_index: list[int] = field(default_factory=list[int])
    calls: list[ToolCallPart] = field(default_factory=list[ToolCallPart])
    results: list[ToolReturnPart] = field(default_factory=list[ToolReturnPart])

    _places: dict[int, set[int]] = field(default_factory=dict[int, set[int]])

    @classmethod
    def of(cls, messages: Sequence[ModelMessage], counts: Sequence[int]) -> Self:
        """The results in a history whose messages have these tokens."""
        return cls.in_order(messages) or cls.laid_out(layout_of(messages, counts))

    @classmethod
    def in_order(cls, messages: Sequence[ModelMessage]) -> Self | None:
        """The results in a history in order; None for any other.

        It looks at types, and closer at results only, which takes a third of the time of a layout.
        """
        found = cls(messages=messages)
        return found if found._take_in_order() else None

    @classmethod
    def laid_out(cls, layout: Layout) -> Self:
        """The results in any history."""
        found = cls(messages=layout.messages, newest=layout.newest, layout=layout)
        for start, stop in layout.exchanges:
            found._take(start, stop)
        return found

    @property
    def asking(self) -> Sequence[int]:
        """The index of each reply whose calls are answered, ascending."""
        if self.layout is not None:
            return [start for start, _ in self.layout.exchanges]
        return list(dict.fromkeys([at - 1 for at in self.at]))

    def recent(self, turns: int) -> int:
        """The index at which the last so many turns begin; that after the last message for none."""
        if not turns:
            return len(self.messages)
        starts = _last_turns(self.messages, turns) if self.layout is None else self.layout.turn_starts
        return starts[-min(turns, len(starts))] if starts else len(self.messages)

    def may_go(self, number: int) -> bool:
        """Whether a result may be shortened."""
        at = self.at[number]
        if len(self.messages[at].parts) > 1:
            return self.part_index[number] in self.places(at)
        result = self.results[number]
        return type(result) is ToolReturnPart and is_replaceable(result)

    def places(self, at: int) -> AbstractSet[int]:
        """The places in a message of the results that may be shortened."""
        if at not in self._places:
            message = self.messages[at]
            found = replaceable(message) if isinstance(message, ModelRequest) else ()
            self._places[at] = {place for place, _ in found}
        return self._places[at]

    def _take_in_order(self) -> bool:
        """Take in the results of a history in order; False for any other."""
        every: list[_Parts] = [message.parts for message in self.messages]
        kinds = Counter(map(type, chain.from_iterable(every)))
        called, returned = kinds.pop(ToolCallPart, 0), kinds.pop(ToolReturnPart, 0)
        waiting = sum([type(part) is ToolCallPart for part in every[-1]])
        at = [index for index, parts in enumerate(every) if parts and type(parts[0]) is ToolReturnPart]
        if any(map(pairs, kinds)) or returned != called - waiting or at[:1] == [0]:
            return False
        if not (len(at) == returned and self._take_single(every, at)) and not self._take_several(every, at):
            return False
        request = next((at for at in range(len(every) - 1, -1, -1) if isinstance(self.messages[at], ModelRequest)), 0)
        self.newest = request - 1 if at[-1:] == [request] else request
        return len(self.at) == returned

    def _take_single(self, every: Sequence[_Parts], at: list[int]) -> bool:
        """Take in one result from each of these messages, if it answers the last part of the message before."""
        if not all(every):
            return False
        calls, results = [every[index - 1][-1] for index in at], [every[index][0] for index in at]
        if not set(map(type, calls)) <= {ToolCallPart}:
            return False
        self.calls, self.results = cast("list[ToolCallPart]", calls), cast("list[ToolReturnPart]", results)
        self.at, self.part_index = at, [0] * len(at)
        return [call.tool_call_id for call in self.calls] == [result.tool_call_id for result in self.results]

    def _take_several(self, every: Sequence[_Parts], at: Sequence[int]) -> bool:
        """Take in the results of these messages, if those of each answer all calls of the message before."""
        self.at, self.part_index, self.calls, self.results = [], [], [], []
        for index in at:
            calls = [part for part in every[index - 1] if type(part) is ToolCallPart]
            results = [part for part in every[index] if type(part) is ToolReturnPart]
            if [call.tool_call_id for call in calls] == [result.tool_call_id for result in results]:
                places = [place for place, part in enumerate(every[index]) if type(part) is ToolReturnPart]
                self._add([index] * len(calls), places, calls, results)
            elif sorted(call.tool_call_id for call in calls) == sorted(result.tool_call_id for result in results):
                self._take(index - 1, index + 1)
            else:
                return False
        return True

    def _take(self, start: int, stop: int) -> None:
        """Take in the results in an exchange."""
        for at, part_index, call, result in _paired(self.messages, start, stop):
            self._add([at], [part_index], [call], [result])

    def _add(
        self, at: list[int], part_index: list[int], calls: list[ToolCallPart], results: list[ToolReturnPart]
    ) -> None:
        self.at += at
        self.part_index += part_index
        self.calls += calls
        self.results += results


def _last_turns(messages: Sequence[ModelMessage], turns: int) -> list[int]:
    """Where the last turns of a history in order begin, ascending: at least so many, or all of them."""
    found: list[int] = []
    for stop in range(len(messages), 0, -_LOOK_BACK):
        start = max(stop - _LOOK_BACK, 0)
        traits = enumerate(traits_of(messages[start:stop]), start)
        found[:0] = [at for at, each in traits if each.flags & PROMPT and not each.answers]
        if len(found) >= turns:
            break
    return found


def _paired(
    messages: Sequence[ModelMessage], start: int, stop: int
) -> Iterator[tuple[int, int, ToolCallPart, ToolReturnPart]]:
    """The results in an exchange, each with its message, its place in there and the call it answers."""
    open_calls: dict[str, list[ToolCallPart]] = {}
    for at in range(start, stop):
        message = messages[at]
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                open_calls.setdefault(part.tool_call_id, []).append(part)
        if not isinstance(message, ModelRequest):
            continue
        for part_index, part in enumerate(message.parts):
            if isinstance(part, ToolReturnPart) and (calls := open_calls.get(part.tool_call_id)):
                yield at, part_index, calls.pop(0), part
