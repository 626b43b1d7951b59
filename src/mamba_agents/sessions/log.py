"""The log of one session, folded as far as it has been read."""

import threading
from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolReturnPart, repair_messages

from mamba_agents._internal.uninterrupted import uninterrupted
from mamba_agents.sessions.events import ContextCleared, ContextCompacted, MessageAppended, SessionEvent
from mamba_agents.sessions.store import MemoryStore, SessionStore
from mamba_agents.sessions.turn_queue import TurnQueue


class SessionLog:
    """The events of one session in its store, and the messages that follow from them.

    Everything that works on a session of one agent shares one log, and so one queue.
    """

    __slots__ = ("_guard", "messages", "queue", "seq", "session_id", "store")

    def __init__(self, store: SessionStore, session_id: str) -> None:
        self.store = store
        self.session_id = session_id
        self.queue = TurnQueue()
        self._guard = threading.Lock()
        self.messages: list[ModelMessage] = []
        """What the model sees of the conversation, as of the last `load`."""
        self.seq = 0
        """How many events the messages follow from."""

    async def load(self) -> None:
        """Read what was appended since the last time, by whomever. Safe to call from several threads and tasks."""
        start = self.seq
        events = await self.store.read(self.session_id, start)
        with self._guard:
            # Whoever was faster has applied some of these already; a session that was deleted meanwhile has none.
            done = self.seq - start
            for event in events[done:] if done >= 0 else ():
                self._apply(event)

    async def append(self, events: Sequence[SessionEvent]) -> None:
        """Add events to the store, whatever happens to the caller; the next `load` brings them into the messages."""
        writing = self.store.append(self.session_id, events)
        if type(self.store) is MemoryStore:
            await writing  # never waits, so nothing can come in between
        else:
            await uninterrupted(writing)

    async def delete(self) -> None:
        """Remove the session from the store, after the runs that are under way."""
        await self.queue.acquire()
        try:
            await self.store.delete(self.session_id)
            with self._guard:
                self.messages, self.seq = [], 0
        finally:
            self.queue.release()

    def _apply(self, event: SessionEvent) -> None:
        self.seq += 1
        match event:
            case MessageAppended(message=message):
                if isinstance(message, ModelRequest) and has_open_calls(self.messages) and not _answers_calls(message):
                    self.messages = repair_messages(self.messages)
                self.messages.append(message)
            case ContextCompacted(messages=messages):
                self.messages = list(messages)
            case ContextCleared():
                self.messages = []
            case _:
                pass


def has_open_calls(messages: Sequence[ModelMessage]) -> bool:
    """Whether the history ends in tool calls nobody has answered, which a new prompt may not follow."""
    return bool(messages) and isinstance(last := messages[-1], ModelResponse) and bool(last.tool_calls)


def _answers_calls(message: ModelRequest) -> bool:
    return any(isinstance(part, ToolReturnPart) or part.part_kind == "retry-prompt" for part in message.parts)
