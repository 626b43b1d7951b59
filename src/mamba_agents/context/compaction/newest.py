"""The newest part of a history that fits beside what stays anyway."""

from bisect import bisect_left
from collections.abc import Sequence

from mamba_agents.context.compaction.layout import Layout, Span, merged
from mamba_agents.context.compaction.traits import REQUEST


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
