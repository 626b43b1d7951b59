"""The newest part of a history that fits beside what stays anyway."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, islice, takewhile

from pydantic_ai.messages import ModelMessage, ModelRequest

from mamba_agents.context.compaction.layout import Layout, Span, merged
from mamba_agents.context.compaction.traits import GROUND, HALF_NATIVE, PROMPT, REQUEST, STANDING, SUMMARY, traits_of

_LOOK_AHEAD = 64


def newest_turns(layout: Layout, pins: Sequence[Span], room: int) -> list[Span] | None:
    """The pinned messages and as many of the newest turns as fit into so many tokens; None where not one does."""
    end = len(layout.messages)
    turns = layout.turn_starts[: bisect_left(layout.turn_starts, layout.question[0] + 1)]

    def kept(start: int) -> list[Span]:
        return merged([*(pin for pin in pins if pin[0] < start), (start, end)])

    first = bisect_left(turns, True, key=lambda start: layout.tokens(kept(start)) <= room)  # noqa: FBT003 - sought
    return kept(turns[first]) if first < len(turns) else None


def newest_exchanges(layout: Layout, pins: Sequence[Span], room: int) -> list[Span] | None:
    """The pinned messages, the newest turn's prompt and its newest exchanges that fit; None where none does."""
    end = len(layout.messages)
    starts = [
        start
        for start in layout.starts[bisect_left(layout.starts, layout.question[1]) :]
        if start == layout.newest or (start < layout.newest and not layout.flags[start] & REQUEST)
    ]

    def kept(start: int) -> list[Span]:
        return merged([*pins, layout.question, (start, end)])

    starts = starts or [layout.newest]
    first = bisect_left(starts, True, key=lambda start: layout.tokens(kept(start)) <= room)  # noqa: FBT003 - sought
    return kept(starts[first]) if first < len(starts) else None


def ordinary_cut(messages: Sequence[ModelMessage], counts: Sequence[int], room: int) -> tuple[int, int] | None:
    """Where the newest turns begin that fit beside the first prompt, and the tokens of both.

    It looks at nothing but what goes, and gives what `newest_turns` does for the layout of the history. None where only
    a layout can tell: where what goes would leave something to carry on, or where not one turn fits.
    """
    total = sum(counts)
    first, gone = _fewest(counts, total - room + counts[0])
    for stop in range(first + _LOOK_AHEAD, len(messages) + _LOOK_AHEAD, _LOOK_AHEAD):
        traits = traits_of(messages[first:stop])
        turn = next((at for at, each in enumerate(traits, first) if each.flags & PROMPT and not each.answers), None)
        if turn is not None:
            left = total - gone - sum(counts[first:turn]) + counts[0]
            return (turn, left) if _goes_alone(messages[:turn]) and not _goes_on(messages, turn) else None
    return None


def _fewest(counts: Sequence[int], tokens: int) -> tuple[int, int]:
    """How many of the first messages have at least so many tokens together, and the tokens they have."""
    first = gone = 0
    for first, gone in enumerate(accumulate(counts), start=1):  # noqa: B007 - both are given back
        if gone >= tokens:
            break
    return first, gone


def _goes_on(messages: Sequence[ModelMessage], start: int) -> bool:
    """Whether the requests from an index on have what stays in force, such as tools that a call before them showed."""
    requests = takewhile(lambda message: isinstance(message, ModelRequest), islice(messages, start, None))
    return any(traits.flags & STANDING for traits in traits_of(list(requests)))


def _goes_alone(messages: Sequence[ModelMessage]) -> bool:
    """Whether nothing in what follows hangs on these messages, if only the first of them, a prompt, stays."""
    flags, calls, answers = zip(*traits_of(messages), strict=True)
    return (
        flags[0] & (REQUEST | PROMPT | SUMMARY) == REQUEST | PROMPT
        and not any(each & (STANDING | SUMMARY | HALF_NATIVE | GROUND) for each in set(flags[1:]))
        # Each reply's calls are answered by the very next message, so that no call is open anywhere.
        and ((), *calls) == (*answers, ())
    )
