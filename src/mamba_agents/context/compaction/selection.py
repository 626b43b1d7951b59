"""Which units of a history to keep in so many tokens, and which of them shortened."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from itertools import pairwise

from pydantic_ai.messages import ModelMessage, ModelRequest

from mamba_agents.context.compaction.excerpts import brief
from mamba_agents.context.compaction.layout import Layout, Span, merged
from mamba_agents.context.compaction.ranking import Ranking, values_of
from mamba_agents.context.compaction.traits import PROMPT, REQUEST, SUMMARY
from mamba_agents.tokens import TokenCounter

_RELEVANT_SHARE = 0.3
"""Of the room, for units that match the newest request, whole; the rest goes to what may be needed later."""
_OVERHEAD_TOKENS = 20
"""Added to each unit's cost, so that a tiny one is not taken for the only reason that it is tiny."""
_MOST_BRIEFS = 250
"""Units whose results are shortened at most, the newest; it bounds the work on a very long history."""


@dataclass(frozen=True, kw_only=True)
class _Brief:
    """A unit with its results cut down."""

    messages: dict[int, ModelMessage]
    tokens: int


class Selection:
    """Fills the room beside what stays with the units that are worth most for their tokens."""

    def __init__(self, layout: Layout, base: Sequence[Span], units: Sequence[Span], room: int) -> None:
        self._layout, self._base, self._room = layout, base, room
        self._units = units
        self._tokens = {unit: layout.tokens([unit]) for unit in units}
        self._briefs: dict[Span, _Brief] = {}
        self._kept: dict[Span, bool] = {}
        """The units that are kept, and whether they are whole."""
        self._prompts = _prompts(layout, units)

    def fill(self, ranking: Ranking, counter: TokenCounter) -> None:
        """Choose: what the request asks about whole, then as much as possible short, then what fits whole."""
        self._briefs = _briefs(self._layout, self._units, ranking, counter)
        self._take_relevant(ranking)
        self._take_worthy(ranking)
        for unit in reversed(self._units):
            if self._kept.get(unit) is False:
                self._take(unit, whole=True)

    def spans(self) -> list[Span]:
        """What is kept, that which stays anyway included, in an order of turns that providers take."""
        while (wrong := self._out_of_turn()) is not None:
            del self._kept[wrong]
        return merged([*self._base, *self._kept])

    def _out_of_turn(self) -> Span | None:
        """A unit that cannot stay because of what is gone: a response at the start, or right after another."""
        flags = self._layout.flags
        by_edge = {edge: unit for unit in self._kept for edge in unit}
        spans = merged([*self._base, *self._kept])
        first = spans[0][0]
        if not (flags[first] & REQUEST and flags[first] & (PROMPT | SUMMARY)) and first in by_edge:
            return by_edge[first]
        for (_, stop), (start, _) in pairwise(spans):
            if not flags[stop - 1] & REQUEST and not flags[start] & REQUEST:
                return by_edge.get(stop) or by_edge.get(start)
        return None

    def shortened(self) -> dict[int, ModelMessage]:
        """The messages that stand in for longer ones, by index."""
        found: dict[int, ModelMessage] = {}
        for unit, whole in self._kept.items():
            if not whole:
                found.update(self._briefs[unit].messages)
        return found

    def _take_relevant(self, ranking: Ranking) -> None:
        least = self._room * (1 - _RELEVANT_SHARE)
        for unit, rank in sorted(ranking.ranks.items(), key=lambda item: (-item[1].relevance, item[1].age)):
            if rank.relevance <= 0 or self._room < least:
                break
            self._take(unit, whole=True)

    def _take_worthy(self, ranking: Ranking) -> None:
        covered = values_of(message for start, stop in self._base for message in self._layout.messages[start:stop])
        for unit in self._kept:
            covered |= ranking.ranks[unit].values

        def density(unit: Span) -> float:
            return -ranking.ranks[unit].worth(covered) / (self._cost(unit, whole=False) + _OVERHEAD_TOKENS)

        heap = [(density(unit), -unit[0], unit) for unit in self._units if unit not in self._kept]
        heapify(heap)
        # What is kept covers values that others have too, so a worth only falls: one at the top is looked at anew.
        while heap:
            _, order, unit = heappop(heap)
            if unit in self._kept:
                continue
            now = density(unit), order, unit
            if heap and now > heap[0]:
                heappush(heap, now)
            elif self._take(unit, whole=False):
                covered |= ranking.ranks[unit].values

    def _cost(self, unit: Span, *, whole: bool) -> int:
        return self._tokens[unit] if whole or unit not in self._briefs else self._briefs[unit].tokens

    def _take(self, unit: Span, *, whole: bool) -> bool:
        """Keep a unit if it fits, with the prompt of its turn: a reply without a question says little."""
        cost = self._cost(unit, whole=whole)
        if unit in self._kept:
            cost -= self._cost(unit, whole=self._kept[unit])
        prompt = self._prompts.get(unit)
        if prompt in self._kept or prompt == unit:
            prompt = None
        if prompt is not None:
            cost += self._cost(prompt, whole=False)
        if cost > self._room:
            return False
        self._room -= cost
        if prompt is not None:
            self._kept[prompt] = prompt not in self._briefs
        self._kept[unit] = whole or unit not in self._briefs
        return True


def _prompts(layout: Layout, units: Sequence[Span]) -> dict[Span, Span]:
    """The prompt of each unit's turn, where it is among the units."""
    found: dict[Span, Span] = {}
    among = set(units)
    prompt: Span | None = None
    for start, stop in zip(layout.starts, [*layout.starts[1:], len(layout.messages)], strict=True):
        if layout.flags[start] & PROMPT:
            prompt = (start, stop)
        if prompt in among:
            found[start, stop] = prompt
    return found


def _briefs(layout: Layout, units: Sequence[Span], ranking: Ranking, counter: TokenCounter) -> dict[Span, _Brief]:
    """The units that can be had in fewer tokens."""
    shared = ranking.shared()
    made: dict[Span, dict[int, ModelMessage]] = {}
    for unit in reversed(units):
        if len(made) >= _MOST_BRIEFS:
            break
        for index in range(*unit):
            message = layout.messages[index]
            if isinstance(message, ModelRequest) and (short := brief(message, shared)) is not None:
                made.setdefault(unit, {})[index] = short
    shorts = [(unit, index, message) for unit, each in made.items() for index, message in each.items()]
    counts = counter.message_counts([message for _, _, message in shorts])
    found: dict[Span, _Brief] = {}
    for (unit, index, message), count in zip(shorts, counts, strict=True):
        if count < layout.counts[index]:
            known = found.get(unit) or _Brief(messages={}, tokens=layout.tokens([unit]))
            tokens = known.tokens - layout.counts[index] + count
            found[unit] = replace(known, messages={**known.messages, index: message}, tokens=tokens)
    return found
