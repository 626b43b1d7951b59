"""Plain ways to shorten a history, to compare the strategies with.

All keep what must stay (`must_stay`) and fill the rest of the tokens with whole units, so that none is worse for lack
of care.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random

import bm25s
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelRequestPart, ToolReturnPart

from benchmarks.cuts.cut import Cut
from benchmarks.cuts.units import Unit
from benchmarks.cuts.values import holds, text
from mamba_agents.tokens import TokenCounter

type Baseline = Callable[[Cut, TokenCounter], list[ModelMessage]]

KEPT_RESULTS = 3
"""Newest results that are not blanked."""

_WORD = re.compile(r"[A-Za-z0-9]+|[^\W\d_A-Za-z]+")


class _Room:
    """What is kept of a history so far, and the tokens that are left."""

    def __init__(self, cut: Cut, messages: Sequence[ModelMessage], counter: TokenCounter) -> None:
        self._messages, self._sizes = messages, counter.message_counts(messages)
        self._prompts = {unit.turn: unit for unit in reversed(cut.units) if unit.is_prompt}
        self._kept = set(cut.staying)
        self._left = cut.target_tokens - sum(self._sizes[index] for index in self._kept)

    def take(self, units: Iterable[Unit]) -> bool:
        """Keep units, with the prompts of their turns so that no response follows a response, if they all fit."""
        every = [each for unit in units for each in (unit, self._prompts.get(unit.turn, unit))]
        wanted = {index for unit in every for index in range(unit.start, unit.stop)} - self._kept
        cost = sum(self._sizes[index] for index in wanted)
        if cost > self._left:
            return False
        self._kept |= wanted
        self._left -= cost
        return True

    def kept(self) -> list[ModelMessage]:
        return [self._messages[index] for index in sorted(self._kept)]


def newest(cut: Cut, counter: TokenCounter) -> list[ModelMessage]:
    """The newest turns; of the first that is too large, its newest units."""
    return _newest(cut, cut.messages, counter)


def _newest(cut: Cut, messages: Sequence[ModelMessage], counter: TokenCounter) -> list[ModelMessage]:
    """Of the messages of the cut, which may be blanked, the newest."""
    room = _Room(cut, messages, counter)
    for turn in range(cut.units[-1].turn, -1, -1):
        whole = [unit for unit in cut.units if unit.turn == turn]
        if not room.take(whole):
            for unit in reversed(whole):
                if not room.take([unit]):
                    break
            break
    return room.kept()


def blanked_then_newest(cut: Cut, counter: TokenCounter) -> list[ModelMessage]:
    """Old results blanked, the oldest first, until the rest fits; if it never does, the newest turns of it."""
    messages, left = list(cut.messages), counter.count_messages(cut.messages) - cut.target_tokens
    with_results = [i for i, m in enumerate(messages) if any(isinstance(part, ToolReturnPart) for part in m.parts)]
    for index in with_results[:-KEPT_RESULTS]:
        if left <= 0:
            break
        blank = _blank(messages[index])
        freed = counter.count_messages([messages[index]]) - counter.count_messages([blank])
        if freed > 0:
            messages[index], left = blank, left - freed
    return messages if left <= 0 else _newest(cut, messages, counter)


def _blank(message: ModelMessage) -> ModelMessage:
    assert isinstance(message, ModelRequest)
    parts: list[ModelRequestPart] = [
        replace(part, content="[old result cleared]") if isinstance(part, ToolReturnPart) else part
        for part in message.parts
    ]
    return replace(message, parts=parts)


def random_units(seed: int) -> Baseline:
    """Any units that fit."""

    def choose(cut: Cut, counter: TokenCounter) -> list[ModelMessage]:
        units = list(cut.units)
        Random(seed).shuffle(units)
        return _filled(cut, units, counter)

    return choose


def bm25(cut: Cut, counter: TokenCounter) -> list[ModelMessage]:
    """The units that match the newest request best; of equals, the newest."""
    words = [_words(unit) or ["-"] for unit in cut.unit_texts]
    index = bm25s.BM25()
    index.index(words, show_progress=False)
    scores = index.get_scores(_words(text(cut.messages[-1:])) or ["-"])
    order = sorted(range(len(cut.units)), key=lambda number: (-scores[number], -number))
    return _filled(cut, [cut.units[number] for number in order], counter)


def _words(text: str) -> list[str]:
    """Words in small letters; of Chinese and the like, each two neighbouring characters."""
    found: list[str] = []
    for word in _WORD.findall(text):
        if word.isascii() or len(word) < 3 or word[0] < "\u2e80":
            found.append(word.lower())
        else:
            found += [word[i : i + 2] for i in range(len(word) - 1)]
    return found


def oracle(cut: Cut, counter: TokenCounter) -> list[ModelMessage]:
    """Knows the next call: for each value the smallest unit that has it, then the newest. No strategy can know that."""
    sizes = counter.message_counts(cut.messages)
    first: list[Unit] = []
    for value in cut.values:
        holding = [unit for unit, said in zip(cut.units, cut.unit_texts, strict=True) if holds(said, value)]
        first += sorted(holding, key=lambda unit: sum(sizes[unit.start : unit.stop]))[:1]
    return _filled(cut, [*first, *reversed(cut.units)], counter)


def _filled(cut: Cut, order: Iterable[Unit], counter: TokenCounter) -> list[ModelMessage]:
    room = _Room(cut, cut.messages, counter)
    for unit in order:
        room.take([unit])
    return room.kept()
