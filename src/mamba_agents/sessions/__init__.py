"""Conversations as append-only logs: a `Session` is what follows from the events a `SessionStore` keeps."""

from mamba_agents.sessions.events import ContextCleared, MessageAppended, RunEnded, RunOutcome, SessionEvent
from mamba_agents.sessions.log import SessionLog
from mamba_agents.sessions.session import Session
from mamba_agents.sessions.store import MemoryStore, SessionStore

__all__ = [
    "ContextCleared",
    "MemoryStore",
    "MessageAppended",
    "RunEnded",
    "RunOutcome",
    "Session",
    "SessionEvent",
    "SessionLog",
    "SessionStore",
]
