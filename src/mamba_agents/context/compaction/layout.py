"""A history laid out for cutting: its units, its turns, what must stay and what stays as long as it can."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import itemgetter

from pydantic_ai.messages import ModelMessage

from mamba_agents.context.compaction.traits import (
    HALF_NATIVE,
    PROMPT,
    REQUEST,
    STANDING,
    SUMMARY,
    Traits,
    traits_of,
)
from mamba_agents.context.units import unit_starts, within_native_pairs

type Span = tuple[int, int]
"""Neighbouring messages: the index of the first and the index after the last."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where a history may be cut, and what of it stays."""

    messages: Sequence[ModelMessage]
    counts: Sequence[int]
    """The tokens of each message."""

    flags: Sequence[int]
    starts: Sequence[int]
    """The index at which each unit begins, ascending."""

    newest: int
    """The index at which the unit with the newest request begins: it and all after it stay untouched."""

    question: Span
    """The unit with the prompt that began the newest turn; it ends with the history if the newest request is in it."""

    pinned: Sequence[Span]
    """A leading summary and the first prompt, where they do not stay anyway; the one to give up last comes first."""

    @cached_property
    def suffix(self) -> list[int]:
        """The tokens of the messages from each index on; the last is 0."""
        sums = list(accumulate(reversed(self.counts), initial=0))
        sums.reverse()
        return sums

    @cached_property
    def turn_starts(self) -> list[int]:
        """The units that begin with a user's request, where a history may begin too; ascending."""
        flags = self.flags
        return [start for start in self.starts if flags[start] & PROMPT]

    @cached_property
    def exchanges(self) -> list[Span]:
        """The units with a response and what answered its calls, oldest first."""
        ends = [*self.starts[1:], len(self.messages)]
        return [(start, stop) for start, stop in zip(self.starts, ends, strict=True) if stop - start > 1]

    @property
    def has_standing_parts(self) -> bool:
        """Whether there are system prompts, or changes of instructions, tools or settings."""
        return any(flags & STANDING for flags in set(self.flags))

    @property
    def least(self) -> list[Span]:
        """What stays whatever the target: the newest turn's prompt, the newest request and all after it."""
        return merged([self.question, (self.newest, len(self.messages))])

    def tokens(self, spans: Iterable[Span]) -> int:
        """The tokens of the messages in the spans, which do not overlap."""
        return sum(self.suffix[start] - self.suffix[stop] for start, stop in spans)

    def pins(self) -> Iterator[list[Span]]:
        """What to keep of the pinned, the most wished for first and nothing last."""
        yield sorted(self.pinned)
        if len(self.pinned) > 1:
            yield from ([pin] for pin in self.pinned)
        if self.pinned:
            yield []


def layout_of(messages: Sequence[ModelMessage], counts: Sequence[int]) -> Layout:
    """The layout of a history that has at least one message."""
    traits = traits_of(messages)
    flags = list(map(itemgetter(0), traits))
    starts = _unit_starts(messages, traits, flags)
    last_request = next((i for i in range(len(flags) - 1, -1, -1) if flags[i] & REQUEST), len(flags) - 1)
    newest = starts[bisect_right(starts, last_request) - 1]
    question = _question(starts, flags, newest)
    return Layout(
        messages=messages,
        counts=counts,
        flags=flags,
        starts=starts,
        newest=newest,
        question=question,
        pinned=_pinned(starts, flags, question[0]),
    )


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same messages in as few spans as possible, in order."""
    result: list[Span] = []
    for start, stop in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(stop, result[-1][1]))
        elif start < stop:
            result.append((start, stop))
    return result


def gaps(spans: Sequence[Span], length: int) -> list[Span]:
    """What lies between the spans, which are in order and do not overlap."""
    edges = [0, *(edge for span in spans for edge in span), length]
    return [(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if start < stop]


def _unit_starts(messages: Sequence[ModelMessage], traits: Sequence[Traits], flags: Sequence[int]) -> list[int]:
    calls = list(map(itemgetter(1), traits))
    answers = list(map(itemgetter(2), traits))
    # Nearly always each reply's calls are answered by the very next message, and then no call has to be followed.
    if not answers[0] and calls[:-1] == answers[1:]:
        starts = [index for index, ids in enumerate(answers) if not ids]
    else:
        starts = unit_starts(messages)
    if any(flag & HALF_NATIVE for flag in set(flags)):
        within = within_native_pairs(messages)
        starts = [start for start in starts if start not in within]
    return starts


def _question(starts: Sequence[int], flags: Sequence[int], newest: int) -> Span:
    """The last unit up to the newest that begins with a prompt; where none does, all before the first response."""
    ends = [*starts[1:], len(flags)]
    for position in range(bisect_right(starts, newest) - 1, -1, -1):
        if flags[starts[position]] & PROMPT:
            return starts[position], ends[position]
    return 0, next((index for index, flag in enumerate(flags) if not flag & REQUEST), newest)


def _pinned(starts: Sequence[int], flags: Sequence[int], question: int) -> list[Span]:
    ends = [*starts[1:], len(flags)]
    found: list[Span] = []
    if any(flag & SUMMARY for flag in set(flags)):
        summaries = [
            (start, stop)
            for start, stop in zip(starts, ends, strict=True)
            if start < question and flags[start] & REQUEST and any(flag & SUMMARY for flag in flags[start:stop])
        ]
        found.extend(summaries[-1:])
    task = next(
        ((start, stop) for start, stop in zip(starts, ends, strict=True) if flags[start] & PROMPT),
        None,
    )
    if task is not None and task[0] < question and task not in found:
        found.append(task)
    return found
