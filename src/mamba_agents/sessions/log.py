"""The log of one session, folded as far as it has been read."""

import threading
from collections.abc import Hashable, Sequence

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolReturnPart, repair_messages
from pydantic_ai.models import ModelRequestParameters

from mamba_agents._internal.turn_queue import TurnQueue
from mamba_agents.sessions.events import (
    ContextCleared,
    ContextCompacted,
    MessageAppended,
    SessionEvent,
    UsageRecorded,
)
from mamba_agents.sessions.store import MemoryStore, SessionStore
from mamba_agents.sessions.uninterrupted import uninterrupted
from mamba_agents.tokens.billing import billed_replies

type Position = tuple[int, Hashable]
"""How many events of a log have been read, and of which generation of the session."""


class SessionLog:
    """The events of one session in its store, and the messages that follow from them.

    Everything that works on a session of one agent shares one log, and so one queue.
    """

    __slots__ = (
        "__weakref__",
        "_generation",
        "_guard",
        "_messages",
        "latest_parameters",
        "queue",
        "seq",
        "session_id",
        "store",
    )

    def __init__(self, store: SessionStore, session_id: str) -> None:
        self.store = store
        self.session_id = session_id
        self.queue = TurnQueue()
        self._guard = threading.Lock()
        self._messages: list[ModelMessage] = []
        self._generation: Hashable = None
        self.seq = 0
        """How many events the messages follow from."""
        self.latest_parameters: ModelRequestParameters | None = None
        """What the last request of the session's runs carried besides messages: instructions, tools, the form of the
        output. None before the first one here."""

    async def load(self) -> None:
        """Read what was appended since the last time, by whomever. Safe to call from several threads and tasks."""
        while True:
            with self._guard:
                start, generation = self.seq, self._generation
            kept = await self.store.read(self.session_id, start)
            if start and kept.generation != generation:
                # The session was deleted, and what there is now began anew.
                start, kept = 0, await self.store.read(self.session_id)
            with self._guard:
                if self._generation != generation:
                    continue  # somebody else saw that first
                if kept.generation != generation:
                    self._messages, self.seq, self._generation = [], 0, kept.generation
                # Whoever was faster has applied some of these already.
                for event in kept.events[self.seq - start :]:
                    self._apply(event)
                return

    def view(self) -> tuple[list[ModelMessage], Position]:
        """What the model sees of the conversation as of the last `load`, in a new list, and how far that goes."""
        with self._guard:
            return list(self._messages), (self.seq, self._generation)

    async def read(self, from_seq: int = 0) -> Sequence[SessionEvent]:
        """The events from number `from_seq` on, oldest first, counted from 0."""
        return (await self.store.read(self.session_id, from_seq)).events

    async def added_since(self, position: Position) -> Sequence[SessionEvent]:
        """What was appended since; of a session that was deleted meanwhile, all, after a `ContextCleared`."""
        seq, generation = position
        kept = await self.store.read(self.session_id, seq)
        if kept.generation == generation or not seq:
            return kept.events
        return [ContextCleared(), *await self.read()]

    async def billed(self) -> list[ModelResponse]:
        """Every reply that was paid for, oldest first: also from before a `clear`, for summaries, or turned down."""
        return billed_replies(_replies(await self.read()))

    async def append(self, events: Sequence[SessionEvent]) -> None:
        """Add events to the store, whatever happens to the caller; the next `load` brings them into the messages."""
        writing = self.store.append(self.session_id, events)
        if type(self.store) is MemoryStore:
            await writing  # never waits, so nothing can come in between
        else:
            await uninterrupted(writing)

    async def delete(self) -> None:
        """Remove the session from the store."""
        await self.store.delete(self.session_id)
        with self._guard:
            self._messages, self.seq, self._generation = [], 0, None
            self.latest_parameters = None

    def _apply(self, event: SessionEvent) -> None:
        self.seq += 1
        match event:
            case MessageAppended(message=message):
                if isinstance(message, ModelRequest) and has_open_calls(self._messages) and not _answers_calls(message):
                    self._messages = repair_messages(self._messages)
                self._messages.append(message)
            case ContextCompacted(messages=messages):
                self._messages = list(messages)
            case ContextCleared():
                self._messages = []
            case _:
                pass


def _replies(events: Sequence[SessionEvent]) -> list[ModelResponse]:
    replies: list[ModelResponse] = []
    for event in events:
        if isinstance(event, MessageAppended) and isinstance(event.message, ModelResponse):
            replies.append(event.message)
        elif isinstance(event, UsageRecorded):
            replies.append(event.response)
    return replies


def has_open_calls(messages: Sequence[ModelMessage]) -> bool:
    """Whether the history ends in tool calls nobody has answered, which a new prompt may not follow."""
    return bool(messages) and isinstance(last := messages[-1], ModelResponse) and bool(last.tool_calls)


def _answers_calls(message: ModelRequest) -> bool:
    return any(isinstance(part, ToolReturnPart) or part.part_kind == "retry-prompt" for part in message.parts)
