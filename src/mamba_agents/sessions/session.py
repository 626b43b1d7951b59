"""A conversation that can be looked at."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from uuid import uuid4

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.usage import RunUsage

from mamba_agents._internal.background_loop import run_sync
from mamba_agents.sessions.events import ContextCleared, MessageAppended, SessionEvent, UsageRecorded
from mamba_agents.sessions.log import SessionLog
from mamba_agents.sessions.store import MemoryStore, SessionStore
from mamba_agents.tokens.cost import response_cost


class Session:
    """A conversation: its id, and what follows from the events in its store.

    `Session()` is a new one in memory. Give it to an agent as `Agent(…, session=…)`.
    """

    __slots__ = ("log",)

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
        return list(self.log.messages)

    @property
    def transcript(self) -> list[ModelMessage]:
        """All that was ever said, oldest first: also what a compaction or a `clear` took from the model's view."""
        return [event.message for event in self.events() if isinstance(event, MessageAppended)]

    @property
    def usage(self) -> RunUsage:
        """The tokens of every response in the log: also those from before a `clear`, and those of summaries."""
        total = RunUsage()
        for response in self._responses():
            total.incr(response.usage)
            total.requests += 1
        return total

    @property
    def cost(self) -> Decimal | None:
        """USD for every response in the log; None when the price of one of them is unknown."""
        return total_cost(self._responses())

    def events(self, from_seq: int = 0) -> Sequence[SessionEvent]:
        """The log from event number `from_seq` on, oldest first, counted from 0."""
        return run_sync(lambda: self.log.store.read(self.id, from_seq))

    def clear(self) -> None:
        """Start the conversation anew; the log keeps what was said."""
        run_sync(lambda: self.log.append([ContextCleared()]))

    def delete(self) -> None:
        """Forget the conversation, its log included; a later run under its id begins a new one."""
        run_sync(self.log.delete)

    def _responses(self) -> list[ModelResponse]:
        return billed_responses(self.events())


def billed_responses(events: Iterable[SessionEvent]) -> list[ModelResponse]:
    """Every reply of a model that the events tell of, oldest first, those of summaries included."""
    responses: list[ModelResponse] = []
    for event in events:
        if isinstance(event, MessageAppended) and isinstance(event.message, ModelResponse):
            responses.append(event.message)
        elif isinstance(event, UsageRecorded):
            responses.append(event.response)
    return [response for response in responses if is_from_model(response)]


def new_session_id() -> str:
    """An id no other session has."""
    return str(uuid4())


def is_from_model(response: ModelResponse) -> bool:
    """Whether a model gave the response, and not a capability in its place, which names no model and uses nothing."""
    return response.model_name is not None or response.usage.has_values()


def total_cost(responses: Sequence[ModelResponse]) -> Decimal | None:
    """USD for all of them; None when the price of one is unknown, since a part of a sum is no sum."""
    costs = [response_cost(response) for response in responses]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None
