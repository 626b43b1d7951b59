"""Where the events of sessions are kept."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from mamba_agents.sessions.events import SessionEvent


@dataclass(slots=True, kw_only=True)
class StoredEvents:
    """What a store has of a session. A value, though not frozen: one is made for every run."""

    events: Sequence[SessionEvent]
    generation: Hashable
    """Tells a session from a later one under the same id, which is begun anew once this one is deleted; None where
    there is none. The id of a row does, or a random value that is kept with the first event."""


class SessionStore(Protocol):
    """Keeps one append-only list of events for every session id.

    Any event loop of any thread may call it, and several may at once: agents read and write on the loop of their run,
    and what is not async, such as `session.messages`, on a loop in the background.
    """

    async def append(self, session_id: str, events: Sequence[SessionEvent]) -> None:
        """Add events at the end, all or none, durable on return."""
        ...

    async def read(self, session_id: str, from_seq: int = 0) -> StoredEvents:
        """The events from number `from_seq` on, oldest first, counted from 0; none for an unknown session.

        Generation and events are those of one moment. It is called at the start of every run, mostly from near the end.
        """
        ...

    async def delete(self, session_id: str) -> None:
        """Forget a session; an unknown one is no error."""
        ...


class MemoryStore:
    """Keeps sessions in this process, for as long as it lives. Safe to share between threads and event loops."""

    def __init__(self) -> None:
        self._sessions: dict[str, tuple[int, list[SessionEvent]]] = {}
        self._generations = count()

    async def append(self, session_id: str, events: Sequence[SessionEvent]) -> None:
        """Add events at the end."""
        kept = self._sessions.get(session_id)
        if kept is None:
            kept = self._sessions.setdefault(session_id, (next(self._generations), []))
        # One call into C, so that no other thread ever sees half of it.
        kept[1].extend(events)

    async def read(self, session_id: str, from_seq: int = 0) -> StoredEvents:
        """The events from number `from_seq` on, oldest first."""
        kept = self._sessions.get(session_id)
        if kept is None:
            return StoredEvents(events=(), generation=None)
        generation, events = kept
        return StoredEvents(events=events[from_seq:], generation=generation)

    async def delete(self, session_id: str) -> None:
        """Forget a session; an unknown one is no error."""
        self._sessions.pop(session_id, None)
