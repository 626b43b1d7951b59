"""What can happen in a session. Events are only ever appended; nothing rewrites them.

They are not frozen: some are made for every message, and frozen ones take four times as long to make.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic_ai.messages import ModelMessage, ModelResponse

type RunOutcome = Literal["completed", "failed", "cancelled", "abandoned"]
"""How a run ended. An abandoned one was left by its caller, as by a `break` out of a stream."""


@dataclass(slots=True, kw_only=True)
class MessageAppended:
    """A request or a response that was added to the conversation."""

    run_id: str | None
    """The run that added it; None when it was added by hand."""

    message: ModelMessage


@dataclass(slots=True, kw_only=True)
class RunEnded:
    """A run is over, and every message it added stands before this event."""

    run_id: str
    outcome: RunOutcome


@dataclass(slots=True, kw_only=True)
class ContextCleared:
    """From here on the model sees nothing of what was said before; the log still holds it."""


@dataclass(slots=True, kw_only=True)
class ContextCompacted:
    """From here on the model sees `messages` in place of what was said before; the log still holds it."""

    messages: Sequence[ModelMessage] = field(repr=False)
    strategy: str
    """The name of the strategy that made them."""

    removed_count: int
    tokens_before: int
    tokens_after: int
    target_tokens: int
    reached_target: bool
    """False where not even the least that must stay was as small as the target."""

    run_id: str | None = None
    """The run in which it was done; None between runs."""

    notes: tuple[str, ...] = ()
    """What did not go as planned, one sentence each."""


@dataclass(slots=True, kw_only=True)
class UsageRecorded:
    """A model was asked for something beside the conversation, such as a summary of it, and gave this reply."""

    response: ModelResponse
    run_id: str | None = None
    """The run that it was for; None between runs."""


type SessionEvent = MessageAppended | RunEnded | ContextCleared | ContextCompacted | UsageRecorded
