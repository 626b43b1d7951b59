"""Logs that are read a piece at a time, and whose session may be deleted by others."""

from copy import deepcopy

import pytest
from pydantic_ai.messages import ModelMessage

from mamba_agents.sessions import (
    ContextCleared,
    MemoryStore,
    MessageAppended,
    RunEnded,
    Session,
    SessionEvent,
    StoredEvents,
)
from tests.helpers import prompts, reply, user

pytestmark = pytest.mark.anyio


class CopyingStore(MemoryStore):
    """Gives copies of what it keeps, as a database does, and notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def read(self, session_id: str, from_seq: int = 0) -> StoredEvents:
        self.asked.append(from_seq)
        return deepcopy(await super().read(session_id, from_seq))


def said(*messages: ModelMessage, run_id: str = "r") -> list[SessionEvent]:
    return [
        *(MessageAppended(run_id=run_id, message=message) for message in messages),
        RunEnded(run_id=run_id, outcome="completed"),
    ]


@pytest.mark.parametrize("later", [0, 1, 3, 5])
async def test_a_session_that_is_deleted_elsewhere_and_begun_anew_is_seen_anew_however_long_it_is(later: int) -> None:
    store = CopyingStore()
    session = Session(store, "s")
    await session.log.append(said(user("old"), reply("b")))
    assert prompts(session.messages) == ["old"]
    await Session(store, "s").log.delete()
    again = said(*(user(f"new {number}") for number in range(later)))
    if later:
        await store.append("s", again)
    assert prompts(session.messages) == [f"new {number}" for number in range(later)]
    await store.append("s", said(user("more")))
    assert prompts(session.messages) == [*(f"new {number}" for number in range(later)), "more"]


async def test_a_session_that_begins_anew_with_the_same_events_is_read_whole() -> None:
    store = CopyingStore()
    session = Session(store, "s")
    await store.append("s", [*said(user("old")), ContextCleared(), *said(user("a"))])
    assert prompts(session.messages) == ["a"]
    await store.delete("s")
    await store.append("s", [*said(user("new")), *said(user("b")), RunEnded(run_id="r", outcome="completed")])
    assert prompts(session.messages) == ["new", "b"]


async def test_only_what_is_new_is_read() -> None:
    store = CopyingStore()
    session = Session(store, "s")
    for turn in range(3):
        await store.append("s", said(user(str(turn)), reply("ok")))
        await session.log.load()
    assert store.asked == [0, 3, 6]


async def test_what_was_added_since_begins_with_a_clear_when_the_session_was_deleted() -> None:
    store = CopyingStore()
    log = Session(store, "s").log
    _, at_the_start = log.view()
    await log.append(said(user("a")))
    await log.load()
    _, position = log.view()
    assert [type(event) for event in await log.added_since(at_the_start)] == [MessageAppended, RunEnded]
    await log.append([ContextCleared()])
    assert [type(event) for event in await log.added_since(position)] == [ContextCleared]
    await store.delete("s")
    await store.append("s", said(user("b")))
    since = await log.added_since(position)
    assert [type(event) for event in since] == [ContextCleared, MessageAppended, RunEnded]
    await store.delete("s")
    assert [type(event) for event in await log.added_since(position)] == [ContextCleared]
