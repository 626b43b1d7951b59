"""The newest turns that fit."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic_ai.messages import ModelMessage

from mamba_agents.context.compaction.base import CompactionResult
from mamba_agents.context.compaction.counted import CountedStrategy
from mamba_agents.context.compaction.kept import Keeper
from mamba_agents.context.compaction.layout import layout_of, merged
from mamba_agents.context.compaction.newest import newest_exchanges, newest_turns, ordinary_cut


class SlidingWindowStrategy(CountedStrategy):
    """Keeps the newest turns that fit, whole, and the task they serve.

    The first prompt and a leading summary stay as long as the newest request fits beside them. Where the newest turn
    alone is too large, its exchanges go from the oldest; its prompt stays. As many turns stay as fit, so
    `preserve_recent` asks for nothing more.
    """

    name: ClassVar[str] = "sliding_window"

    async def shorten(
        self,
        messages: list[ModelMessage],
        counts: Sequence[int],
        target_tokens: int,
        preserve_recent: int,  # noqa: ARG002 - the most that fits stays anyway
    ) -> CompactionResult[ModelMessage]:
        """The newest messages in at most `target_tokens`, or the least that must stay."""
        keeper = Keeper.of(self, target_tokens)
        if (cut := ordinary_cut(messages, counts, target_tokens)) is not None:
            return keeper.newest(messages, sum(counts), *cut)
        layout = layout_of(messages, counts)
        for pins in layout.pins():
            room = target_tokens - keeper.carried_tokens(layout, merged([*pins, *layout.least]))
            kept = newest_turns(layout, pins, room) or newest_exchanges(layout, pins, room)
            if kept is not None:
                return keeper.keep(layout, kept)
        return keeper.keep(layout, layout.least)
