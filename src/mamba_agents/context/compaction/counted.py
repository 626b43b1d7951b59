"""A strategy that goes by the tokens of each message."""

from abc import abstractmethod
from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage

from mamba_agents.context.compaction.base import BuiltInStrategy, CompactionResult
from mamba_agents.context.compaction.kept import Keeper


class CountedStrategy(BuiltInStrategy):
    """A strategy whose first step is to count, which who calls it may have done already."""

    async def compact_native(
        self, messages: list[ModelMessage], target_tokens: int, preserve_recent: int
    ) -> CompactionResult[ModelMessage]:
        """What `shorten` leaves; a history that fits is left as it is."""
        counts = self.token_counter.message_counts(messages)
        if (tokens := sum(counts)) <= target_tokens:
            return Keeper.of(self, target_tokens).unchanged(messages, tokens)
        return await self.shorten(messages, counts, target_tokens, preserve_recent)

    @abstractmethod
    async def shorten(
        self, messages: list[ModelMessage], counts: Sequence[int], target_tokens: int, preserve_recent: int
    ) -> CompactionResult[ModelMessage]:
        """What is left of a history that is larger than the target, whose messages have these tokens."""
