"""Where the events of sessions are kept."""

from collections.abc import Sequence
from typing import Protocol

from mamba_agents.sessions.events import SessionEvent


class SessionStore(Protocol):
    """Keeps one append-only list of events for every session id."""

    async def append(self, session_id: str, events: Sequence[SessionEvent]) -> None:
        """Add events at the end, all or none, durable on return."""
        ...

    async def read(self, session_id: str, from_seq: int = 0) -> Sequence[SessionEvent]:
        """The events from number `from_seq` on, oldest first, counted from 0; empty for an unknown session."""
        ...

    async def delete(self, session_id: str) -> None:
        """Forget a session; an unknown one is no error."""
        ...


class MemoryStore:
    """Keeps sessions in this process, for as long as it lives. Safe to share between threads and event loops."""

    def __init__(self) -> None:
        self._events: dict[str, list[SessionEvent]] = {}

    async def append(self, session_id: str, events: Sequence[SessionEvent]) -> None:
        """Add events at the end."""
        # One call into C each, so that no other thread ever sees half of it.
        self._events.setdefault(session_id, []).extend(events)

    async def read(self, session_id: str, from_seq: int = 0) -> Sequence[SessionEvent]:
        """The events from number `from_seq` on, oldest first."""
        events = self._events.get(session_id)
        return events[from_seq:] if events else ()

    async def delete(self, session_id: str) -> None:
        """Forget a session; an unknown one is no error."""
        self._events.pop(session_id, None)
