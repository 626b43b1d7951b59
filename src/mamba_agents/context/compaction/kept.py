"""A history made of what is kept of another, so that what stood in the rest and still holds is not lost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic_ai.messages import (
    InstructionBaselinePart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelSettingsDeltaPart,
    SystemPromptPart,
    ToolAvailabilityDeltaPart,
)

from mamba_agents.context.checks.parts import delta_violations
from mamba_agents.context.compaction.base import BuiltInStrategy, CompactionResult
from mamba_agents.context.compaction.layout import Layout, Span, gaps
from mamba_agents.context.compaction.traits import STANDING
from mamba_agents.tokens import TokenCounter


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """Builds the results of one strategy."""

    strategy: str
    counter: TokenCounter
    preserve_system_prompt: bool
    target_tokens: int

    @classmethod
    def of(cls, strategy: BuiltInStrategy, target_tokens: int) -> "Keeper":
        """The one that works as the strategy is set."""
        return cls(
            strategy=strategy.name,
            counter=strategy.token_counter,
            preserve_system_prompt=strategy.preserve_system_prompt,
            target_tokens=target_tokens,
        )

    def unchanged(self, messages: Sequence[ModelMessage], tokens: int) -> CompactionResult[ModelMessage]:
        """The history as it was given."""
        return self.result(list(messages), before=(len(messages), tokens), after=tokens)

    def result(
        self,
        messages: list[ModelMessage],
        *,
        before: tuple[int, int],
        after: int,
    ) -> CompactionResult[ModelMessage]:
        """What is left of a history that was of so many messages and so many tokens before."""
        return CompactionResult(
            messages=messages,
            removed_count=before[0] - len(messages),
            tokens_before=before[1],
            tokens_after=after,
            strategy=self.strategy,
            target_tokens=self.target_tokens,
            reached_target=after <= self.target_tokens,
        )

    def newest(
        self, messages: list[ModelMessage], before: int, start: int, after: int
    ) -> CompactionResult[ModelMessage]:
        """The first message and those from an index above 0 on, which are so many tokens."""
        left = messages[start - 1 :]
        left[0] = messages[0]
        return self.result(left, before=(len(messages), before), after=after)

    def carried_tokens(self, layout: Layout, kept: Sequence[Span]) -> int:
        """The tokens that system prompts and such cost where only these spans are kept."""
        if not layout.has_standing_parts:
            return 0
        parts = self._carried(layout, kept)
        return self.counter.count_messages([ModelRequest(parts=parts)]) if parts else 0

    def keep(
        self, layout: Layout, kept: Sequence[Span], shortened: Mapping[int, ModelMessage] | None = None
    ) -> CompactionResult[ModelMessage]:
        """The history of these spans, which are in order and do not overlap, some messages replaced by shorter ones."""
        before = len(layout.messages), layout.suffix[0]
        messages = layout.messages
        if shortened:
            messages = list(messages)
            for index, message in shortened.items():
                messages[index] = message
        left = [message for start, stop in kept for message in messages[start:stop]]
        if not layout.has_standing_parts:
            after = sum(self.counter.message_counts(left)) if shortened else layout.tokens(kept)
            return self.result(left, before=before, after=after)
        carried = self._carried(layout, kept)
        is_newest = bool(kept) and kept[0][0] >= layout.newest
        whole = _grounded(_with_carried(left, carried, apart=is_newest))
        return self.result(whole, before=before, after=sum(self.counter.message_counts(whole)))

    def _carried(self, layout: Layout, kept: Sequence[Span]) -> list[ModelRequestPart]:
        """What must be said again of what is not kept: each system prompt once, and the tools that were shown."""
        said = {
            part.content
            for part in _standing_in(layout, kept)
            if isinstance(part, SystemPromptPart) and part.scope == "conversation"
        }
        prompts: list[ModelRequestPart] = []
        tools: dict[str, None] = {}
        for part in _standing_in(layout, gaps(kept, len(layout.messages))):
            if isinstance(part, ToolAvailabilityDeltaPart):
                tools.update(dict.fromkeys(part.tools_added))
            elif self.preserve_system_prompt and part.scope == "conversation" and part.content not in said:
                said.add(part.content)
                prompts.append(part)
        return [*prompts, *([ToolAvailabilityDeltaPart(tools_added=list(tools))] if tools else [])]


def _standing_in(layout: Layout, spans: Iterable[Span]) -> list[SystemPromptPart | ToolAvailabilityDeltaPart]:
    return [
        part
        for start, stop in spans
        for index in range(start, stop)
        if layout.flags[index] & STANDING
        for part in layout.messages[index].parts
        if isinstance(part, SystemPromptPart | ToolAvailabilityDeltaPart)
    ]


def _with_carried(
    messages: list[ModelMessage], parts: Sequence[ModelRequestPart], *, apart: bool
) -> list[ModelMessage]:
    """The parts ahead of the first request; in a request of their own where that one must stay as it is."""
    if not parts:
        return messages
    first = messages[0]
    if apart or not isinstance(first, ModelRequest):
        return [ModelRequest(parts=list(parts)), *messages]
    return [replace(first, parts=[*parts, *first.parts]), *messages[1:]]


def _grounded(messages: list[ModelMessage]) -> list[ModelMessage]:
    """The messages, each change of instructions, settings or tools made one that stands without what is gone.

    pydantic-ai states anew what its changes build on when the next request is sent, so nothing has to be carried:
    an empty baseline says that what came before it does not count.
    """
    messages = list(messages)
    while (lone := next(delta_violations(messages), None)) is not None:
        index, part_index = lone.message_index, lone.part_index
        if index is None or part_index is None or not isinstance(message := messages[index], ModelRequest):
            break
        parts = list(message.parts)
        parts[part_index : part_index + 1] = _alone(parts[part_index])
        messages[index] = replace(message, parts=parts)
    return messages


def _alone(part: ModelRequestPart) -> list[ModelRequestPart]:
    match part:
        case ModelSettingsDeltaPart():
            return [replace(part, top_level=True)]
        case ToolAvailabilityDeltaPart():
            return [replace(part, tool_call_id=None)]
        case _:
            return [InstructionBaselinePart(instructions=[]), part]
