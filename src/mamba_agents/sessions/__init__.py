"""Conversations as append-only logs: a `Session` is what follows from the events a `SessionStore` keeps."""

from mamba_agents.sessions.events import (
    ContextCleared,
    ContextCompacted,
    MessageAppended,
    RunEnded,
    RunOutcome,
    SessionEvent,
    UsageRecorded,
)
from mamba_agents.sessions.log import SessionLog
from mamba_agents.sessions.session import Session
from mamba_agents.sessions.store import MemoryStore, SessionStore, StoredEvents

__all__ = [
    "ContextCleared",
    "ContextCompacted",
    "MemoryStore",
    "MessageAppended",
    "RunEnded",
    "RunOutcome",
    "Session",
    "SessionEvent",
    "SessionLog",
    "SessionStore",
    "StoredEvents",
    "UsageRecorded",
]
