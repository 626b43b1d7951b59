"""What is told of a compaction, and of the context as it is."""

from dataclasses import dataclass, field

from pydantic_ai.messages import ModelMessage

from mamba_agents.context.compaction.base import CompactionResult


@dataclass(frozen=True, kw_only=True)
class ContextState:
    """A conversation's context at one moment."""

    token_count: int
    """The likely size of the next request, without its prompt."""

    message_count: int
    system_prompt: str
    compaction_history: list[CompactionResult[ModelMessage]] = field(repr=False)
    """Every compaction so far, oldest first."""

    window_tokens: int | None
    """What prompt and answer may have together; None where nobody knows it."""

    trigger_tokens: int
    """A larger request is shortened first."""
