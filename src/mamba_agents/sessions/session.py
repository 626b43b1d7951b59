"""A conversation that can be looked at."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import uuid4

from pydantic_ai.messages import ModelMessage
from pydantic_ai.usage import RunUsage

from mamba_agents._internal.background_loop import run_sync
from mamba_agents.sessions.events import ContextCleared, MessageAppended, SessionEvent
from mamba_agents.sessions.log import SessionLog
from mamba_agents.sessions.store import MemoryStore, SessionStore
from mamba_agents.tokens.billing import total_cost


class Session:
    """A conversation: its id, and what follows from the events in its store.

    `Session()` is a new one in memory. Give it to an agent as `Agent(…, session=…)`.
    """

    __slots__ = ("__weakref__", "log")

    def __init__(self, store: SessionStore | None = None, session_id: str | None = None) -> None:
        self.log = SessionLog(MemoryStore() if store is None else store, session_id or new_session_id())

    @property
    def id(self) -> str:
        """The name the session has in its store."""
        return self.log.session_id

    @property
    def messages(self) -> list[ModelMessage]:
        """What the next run will see, oldest first; a new list that is the caller's to change."""
        run_sync(self.log.load)
        return self.log.view()[0]

    @property
    def transcript(self) -> list[ModelMessage]:
        """All that was ever said, oldest first: also what a compaction or a `clear` took from the model's view."""
        return [event.message for event in self.events() if isinstance(event, MessageAppended)]

    @property
    def usage(self) -> RunUsage:
        """The tokens of every reply that was paid for.

        Those from before a `clear` are in it, those of summaries, and those that a `FallbackModel` turned down.
        """
        total = RunUsage()
        for response in run_sync(self.log.billed):
            total.incr(response.usage)
            total.requests += 1
        return total

    @property
    def cost(self) -> Decimal | None:
        """USD for the same replies as `usage`; None when the price of one of them is unknown."""
        return total_cost(run_sync(self.log.billed))

    def events(self, from_seq: int = 0) -> Sequence[SessionEvent]:
        """The log from event number `from_seq` on, oldest first, counted from 0."""
        return run_sync(lambda: self.log.read(from_seq))

    def clear(self) -> None:
        """Start the conversation anew; the log keeps what was said."""
        run_sync(lambda: self.log.append([ContextCleared()]))

    def delete(self) -> None:
        """Forget the conversation, its log included; a later run under its id begins a new one."""
        run_sync(self._delete)

    async def _delete(self) -> None:
        async with self.log.queue.turn():
            await self.log.delete()


def new_session_id() -> str:
    """An id no other session has."""
    return str(uuid4())
