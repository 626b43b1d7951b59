"""How much each unit of a history matters for the request at hand."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import log

from pydantic_ai.messages import ModelMessage, ModelRequest, UserPromptPart

from mamba_agents.context.compaction.layout import Layout, Span
from mamba_agents.context.compaction.references import References, references_of, remarked, words_in
from mamba_agents.context.compaction.traits import PROMPT

_COMMON = 0.2
"""A word that more than this share of the units has tells none of them apart."""
_LEADS = 5
"""The units that match best lead on to others by the values they share."""
_LED = 0.5
"""What a value that a leading unit has counts, beside a word of the request."""
_AGE = 10.0
"""Units after which what a unit brings counts half."""
_MOST_FRESH = 4
"""Values of one unit that count; a long list of ids is not a hundred times as good as one."""
_TOLD = 2.0
"""What a value counts that a user told, however long ago."""
_MOST_TOLD = 3
_AT_WORK = 2
"""Values of a list that must have been used for it to be a list that is worked off, and not one of offers."""
_DIGITS, _LETTERS = re.compile(r"\d+"), re.compile(r"[^\W\d_]+")
_PER_RELEVANCE = 0.3
_PER_SCORE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """What a unit is worth."""

    relevance: float
    """How well it matches the newest request, by its rare words and by values it shares with what matches best."""

    remarks: float
    """Whether it tells of errors, decisions and things to remember."""

    values: frozenset[str]
    told: frozenset[str]
    """The values in the words of a user that no call has used, which are still to be, or that several have, which will
    be again."""

    age: int
    """How many units came later; of a list that is being worked off, later than the last use of a value in it."""

    def worth(self, covered: set[str]) -> float:
        """What keeping the unit brings beside what is kept already."""
        fresh = min(len(self.values - covered), _MOST_FRESH)
        told = min(len(self.told - covered), _MOST_TOLD)
        return (1 + fresh + self.remarks + _PER_RELEVANCE * self.relevance) / (1 + self.age / _AGE) + _TOLD * told


class Ranking:
    """The ranks of some units of a history."""

    def __init__(self, layout: Layout, units: Sequence[Span]) -> None:
        self._found = {unit: _joined(layout.messages[unit[0] : unit[1]]) for unit in units}
        newest = [*layout.messages[layout.newest :], *layout.messages[slice(*layout.question)]]
        self._times = Counter(value for found in self._found.values() for value in found.values)
        self._weights = self._weigh(_joined(newest).words)
        relevance = self._relevance()
        asked = [_joined(newest).asked, *(found.asked for found in reversed(self._found.values()))]
        used = {value: max(age - 1, 0) for age, values in reversed([*enumerate(asked)]) for value in values}
        once = {value for value, times in Counter(chain.from_iterable(asked)).items() if times == 1}
        self.ranks = {
            unit: Rank(
                relevance=relevance[unit],
                remarks=_remarks(layout.messages[unit[0]], found.words),
                values=found.values,
                told=found.values - once if layout.flags[unit[0]] & PROMPT else frozenset(),
                age=min([age, *_worked_off(found.values - found.asked, used)]),
            )
            for age, (unit, found) in enumerate(reversed(self._found.items()))
        }

    def add(self, scores: Mapping[Span, float]) -> None:
        """Let scores from 0 to 10 count as much as a very good match."""
        for unit, score in scores.items():
            rank = self.ranks[unit]
            self.ranks[unit] = replace(
                rank, relevance=rank.relevance + _PER_SCORE * score, remarks=rank.remarks + score
            )

    def shared(self) -> Callable[[str], frozenset[str]]:
        """Gives the rare words of the newest request that a line has."""
        words = frozenset(self._weights)
        return lambda line: words & words_in(line)

    def _weigh(self, asked: frozenset[str]) -> dict[str, float]:
        """What each word of the request counts: the fewer units have it, the more."""
        total = len(self._found)
        times = Counter[str]()
        for found in self._found.values():
            times.update(found.words & asked)
        return {word: _rarity(count, total) for word, count in times.items() if count < max(2, _COMMON * total)}

    def _relevance(self) -> dict[Span, float]:
        weights = self._weights
        rare = frozenset(weights)
        direct = {
            unit: sum(weights[word] for word in sorted(found.words & rare)) for unit, found in self._found.items()
        }
        led = self._led_to(direct)
        return {
            unit: score + sum(led[value] for value in sorted(self._found[unit].values & led.keys()))
            for unit, score in direct.items()
        }

    def _led_to(self, direct: dict[Span, float]) -> dict[str, float]:
        """The values of the units that match best, which lead to units that do not have the request's words.

        A question names a customer, their id stands beside the name, and the order asked for stands beside the id.
        """
        leads = sorted(
            (unit for unit, score in direct.items() if score > 0), key=lambda unit: (-direct[unit], -unit[0])
        )
        if not leads:
            return {}
        total, times = len(self._found), self._times
        led: dict[str, float] = {}
        for unit in leads[:_LEADS]:
            share = _LED * direct[unit] / direct[leads[0]]
            for value in self._found[unit].values:
                if 1 < times[value] <= max(3, total / 10):
                    led[value] = max(led.get(value, 0.0), share * _rarity(times[value], total))
        return led


def values_of(messages: Iterable[ModelMessage]) -> set[str]:
    """All values in the messages."""
    return {value for message in messages for value in references_of(message).values}


@dataclass(frozen=True, slots=True)
class _Found:
    """What the messages of a unit can be found by."""

    words: frozenset[str]
    values: frozenset[str]
    asked: frozenset[str]


def _joined(messages: Sequence[ModelMessage]) -> _Found:
    found: list[References] = [references_of(message) for message in messages]
    none = frozenset[str]()
    return _Found(
        none.union(*(each.words for each in found)),
        none.union(*(each.values for each in found)),
        none.union(*(each.asked for each in found)),
    )


def _worked_off(values: frozenset[str], used: Mapping[str, int]) -> Iterator[int]:
    """How many units ago values were used of which others of the same form are not used yet, as of a list at work."""
    taken = [value for value in values if value in used]
    if len(taken) < _AT_WORK:
        return
    left = {_form(value) for value in values if value not in used}
    times = Counter(map(_form, taken))
    for value in taken:
        if times[_form(value)] >= _AT_WORK and _form(value) in left:
            yield used[value]


def _form(value: str) -> str:
    """What values of one kind have in common."""
    return _DIGITS.sub("0", _LETTERS.sub("a", value))


def _rarity(count: int, total: int) -> float:
    return log(1 + (total - count + 0.5) / (count + 0.5))


def _remarks(first: ModelMessage, words: frozenset[str]) -> float:
    spoken = isinstance(first, ModelRequest) and any(isinstance(part, UserPromptPart) for part in first.parts)
    return min(remarked(words), 3.0) * (1.0 if spoken else 0.5)
