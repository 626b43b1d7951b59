"""Where transcripts are cut, and whether what is left is good enough to go on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, SystemPromptPart, UserPromptPart

from benchmarks.cuts.units import Unit, starts_turn, units_of
from benchmarks.cuts.values import holds, text, used_values
from benchmarks.transcripts.generated import Transcript
from mamba_agents.context.laws import check_history
from mamba_agents.tokens import TokenCounter

FRACTIONS = (0.5, 0.25)
POINTS = 4
"""At most this many cuts of each kind in a transcript, spread over it evenly."""

SMALLEST = 600
"""Tokens of the shortest history that is worth a cut."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A history right before a reply that calls tools, and the tokens it has to be brought down to."""

    transcript: str
    messages: list[ModelMessage]
    values: list[str | float]
    """What the reply uses of it."""

    known: bool
    """Whether the newest request is the question that the reply answers; else it is the result of a call."""

    fraction: float
    target_tokens: int
    is_possible: bool
    """Whether what must stay fits at all."""

    @cached_property
    def units(self) -> list[Unit]:
        """What baselines keep or leave out as a whole."""
        return units_of(self.messages)

    @cached_property
    def unit_texts(self) -> list[str]:
        """What a model reads of each unit."""
        return [text(self.messages[unit.start : unit.stop]) for unit in self.units]

    @cached_property
    def staying(self) -> frozenset[int]:
        """Indexes of the messages that must stay."""
        return frozenset(must_stay(self.messages))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a shortened history is good, and where not, why."""

    lost: list[str | float]
    is_valid: bool
    in_budget: bool
    is_kept: bool
    """Whether the system prompt, the task, the question and the newest request are there as they were."""

    @property
    def passed(self) -> bool:
        return not self.lost and self.is_valid and self.in_budget and self.is_kept


def must_stay(messages: Sequence[ModelMessage]) -> set[int]:
    """Indexes of the system prompts, the first question, the newest question, and the newest request with its calls."""
    prompts = [index for index, message in enumerate(messages) if starts_turn(message)]
    system = [i for i, m in enumerate(messages) if any(isinstance(part, SystemPromptPart) for part in m.parts)]
    newest = units_of(messages)[-1]
    return {*system, *prompts[:1], *prompts[-1:], *range(newest.start, newest.stop)}


def cuts(transcript: Transcript, counter: TokenCounter) -> Iterator[Cut]:
    """The cuts that ask something of a strategy: the next reply uses a value that is not in what must stay."""
    sizes, texts = counter.message_counts(transcript.messages), [text([message]) for message in transcript.messages]
    points: dict[bool, list[tuple[int, list[str | float]]]] = {True: [], False: []}
    for index, message in enumerate(transcript.messages):
        if not isinstance(message, ModelResponse) or not message.tool_calls or sum(sizes[:index]) < SMALLEST:
            continue
        history = transcript.messages[:index]
        values = used_values(message, "\n".join(texts[:index]))
        staying = "\n".join(texts[i] for i in must_stay(history))
        if any(not holds(staying, value) for value in values):
            points[starts_turn(history[-1])].append((index, values))
    for known, found in points.items():
        for index, values in _spread(found):
            yield from _at(transcript, index, values, sizes, known=known)


def _spread[T](found: list[T]) -> list[T]:
    step = max(1.0, len(found) / POINTS)
    return [found[int((number + 0.5) * step)] for number in range(min(POINTS, len(found)))]


def _at(
    transcript: Transcript, index: int, values: list[str | float], sizes: list[int], *, known: bool
) -> Iterator[Cut]:
    messages = transcript.messages[:index]
    least = sum(sizes[i] for i in must_stay(messages))
    for fraction in FRACTIONS:
        target = int(sum(sizes[:index]) * fraction)
        yield Cut(
            transcript=transcript.name, messages=messages, values=values, known=known, fraction=fraction,
            target_tokens=target, is_possible=least <= target,
        )  # fmt: skip


def judged(cut: Cut, messages: Sequence[ModelMessage], counter: TokenCounter) -> Verdict:
    """What became of a cut."""
    seen = text(messages)
    return Verdict(
        lost=[value for value in cut.values if not holds(seen, value)],
        is_valid=not check_history(messages, original=cut.messages),
        in_budget=counter.count_messages(messages) <= cut.target_tokens,
        is_kept=_is_kept(cut.messages, messages),
    )


def _is_kept(before: Sequence[ModelMessage], after: Sequence[ModelMessage]) -> bool:
    prompts = _contents(before, UserPromptPart)
    there = _contents(after, UserPromptPart)
    system = _contents(before, SystemPromptPart)
    return (
        all(content in _contents(after, SystemPromptPart) for content in system)
        and all(content in there for content in (*prompts[:1], *prompts[-1:]))
        and bool(after)
        and isinstance(after[-1], ModelRequest)
        and after[-1].parts == before[-1].parts
    )


def _contents(messages: Sequence[ModelMessage], kind: type[UserPromptPart] | type[SystemPromptPart]) -> list[object]:
    return [part.content for part in chain.from_iterable(m.parts for m in messages) if isinstance(part, kind)]
