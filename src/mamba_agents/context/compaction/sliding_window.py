"""The newest turns that fit."""

from typing import ClassVar

from pydantic_ai.messages import ModelMessage

from mamba_agents.context.compaction.base import BuiltInStrategy, CompactionResult
from mamba_agents.context.compaction.kept import Keeper
from mamba_agents.context.compaction.layout import layout_of, merged
from mamba_agents.context.compaction.newest import newest_exchanges, newest_turns, ordinary_cut


class SlidingWindowStrategy(BuiltInStrategy):
    """Keeps the newest turns that fit, whole, and the task they serve.

    The first prompt and a leading summary stay as long as the newest request fits beside them. Where the newest turn
    alone is too large, its exchanges go from the oldest; its prompt stays. As many turns stay as fit, so
    `preserve_recent` asks for nothing more.
    """

    name: ClassVar[str] = "sliding_window"

    async def compact_native(
        self,
        messages: list[ModelMessage],
        target_tokens: int,
        preserve_recent: int,  # noqa: ARG002 - the most that fits stays anyway
    ) -> CompactionResult[ModelMessage]:
        """The newest messages in at most `target_tokens`, or the least that must stay."""
        keeper = Keeper.of(self, target_tokens)
        counts = self.token_counter.message_counts(messages)
        if (tokens := sum(counts)) <= target_tokens:
            return keeper.unchanged(messages, tokens)
        if (cut := ordinary_cut(messages, counts, target_tokens)) is not None:
            return keeper.newest(messages, tokens, *cut)
        layout = layout_of(messages, counts)
        for pins in layout.pins():
            room = target_tokens - keeper.carried_tokens(layout, merged([*pins, *layout.least]))
            kept = newest_turns(layout, pins, room) or newest_exchanges(layout, pins, room)
            if kept is not None:
                return keeper.keep(layout, kept)
        return keeper.keep(layout, layout.least)
