"""How much each unit of a history matters for the request at hand."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log

from pydantic_ai.messages import ModelMessage, ModelRequest, UserPromptPart

from mamba_agents.context.compaction.layout import Layout, Span
from mamba_agents.context.compaction.references import References, references_of, words_in

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
_PER_RELEVANCE = 0.3
_PER_SCORE = 2.0
_REMARKS = {
    "error": 1.0, "failed": 1.0, "failure": 1.0, "exception": 1.0, "traceback": 1.0,
    "decided": 1.0, "decision": 1.0, "instead": 0.5, "agreed": 1.0,
    "remember": 2.0, "always": 1.0, "never": 1.0, "must": 0.5, "important": 1.0,
}  # fmt: skip
"""Words that stand where something went wrong, was decided or is to be kept in mind."""
_REMARK_WORDS = frozenset(_REMARKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """What a unit is worth."""

    relevance: float
    """How well it matches the newest request, by its rare words and by values it shares with what matches best."""

    remarks: float
    """Whether it tells of errors, decisions and things to remember."""

    values: frozenset[str]
    age: int
    """How many units of those that are ranked came later."""

    def worth(self, covered: set[str]) -> float:
        """What keeping the unit brings beside what is kept already."""
        fresh = min(len(self.values - covered), _MOST_FRESH)
        return (1 + fresh + self.remarks + _PER_RELEVANCE * self.relevance) / (1 + self.age / _AGE)


class Ranking:
    """The ranks of some units of a history."""

    def __init__(self, layout: Layout, units: Sequence[Span]) -> None:
        self._layout = layout
        self._found = {unit: _joined(layout.messages[unit[0] : unit[1]]) for unit in units}
        asked = _joined([*layout.messages[layout.newest :], *layout.messages[slice(*layout.question)]])
        self._weights = self._weigh(asked[0])
        relevance = self._relevance()
        self.ranks = {
            unit: Rank(
                relevance=relevance[unit],
                remarks=_remarks(layout.messages[unit[0]], words),
                values=values,
                age=age,
            )
            for age, (unit, (words, values)) in enumerate(reversed(self._found.items()))
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
        for words, _ in self._found.values():
            times.update(words & asked)
        return {word: _rarity(count, total) for word, count in times.items() if count < max(2, _COMMON * total)}

    def _relevance(self) -> dict[Span, float]:
        weights = self._weights
        rare = frozenset(weights)
        direct = {unit: sum(weights[word] for word in sorted(words & rare)) for unit, (words, _) in self._found.items()}
        led = self._led_to(direct)
        return {
            unit: score + sum(led[value] for value in sorted(self._found[unit][1] & led.keys()))
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
        total, times = len(self._found), Counter[str]()
        for _, values in self._found.values():
            times.update(values)
        led: dict[str, float] = {}
        for unit in leads[:_LEADS]:
            share = _LED * direct[unit] / direct[leads[0]]
            for value in self._found[unit][1]:
                if 1 < times[value] <= max(3, total / 10):
                    led[value] = max(led.get(value, 0.0), share * _rarity(times[value], total))
        return led


def values_of(messages: Iterable[ModelMessage]) -> set[str]:
    """All values in the messages."""
    return {value for message in messages for value in references_of(message).values}


def _joined(messages: Sequence[ModelMessage]) -> tuple[frozenset[str], frozenset[str]]:
    found: list[References] = [references_of(message) for message in messages]
    if len(found) == 1:
        return found[0].words, frozenset(found[0].values)
    words = frozenset[str]().union(*(each.words for each in found))
    return words, frozenset[str]().union(*(each.values for each in found))


def _rarity(count: int, total: int) -> float:
    return log(1 + (total - count + 0.5) / (count + 0.5))


def _remarks(first: ModelMessage, words: frozenset[str]) -> float:
    spoken = isinstance(first, ModelRequest) and any(isinstance(part, UserPromptPart) for part in first.parts)
    said = sum(_REMARKS[word] for word in sorted(words & _REMARK_WORDS))
    return min(said, 3.0) * (1.0 if spoken else 0.5)
