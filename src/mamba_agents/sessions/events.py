"""What can happen in a session. Events are only ever appended; nothing rewrites them.

They are not frozen: some are made for every message, and frozen ones take four times as long to make.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic_ai.messages import ModelMessage

type RunOutcome = Literal["completed", "failed", "cancelled", "abandoned"]
"""How a run ended. An abandoned one was left by its caller, as by a `break` out of a stream."""


@dataclass(slots=True, kw_only=True)
class MessageAppended:
    """A request or a response that a run added to the conversation."""

    run_id: str
    message: ModelMessage


@dataclass(slots=True, kw_only=True)
class RunEnded:
    """A run is over, and every message it added stands before this event."""

    run_id: str
    outcome: RunOutcome


@dataclass(slots=True, kw_only=True)
class ContextCleared:
    """From here on the model sees nothing of what was said before; the log still holds it."""


type SessionEvent = MessageAppended | RunEnded | ContextCleared
