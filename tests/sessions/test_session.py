"""Sessions as logs."""

from decimal import Decimal

import pytest
from pydantic_ai.messages import ModelResponse, TextPart, ToolReturnPart
from pydantic_ai.usage import RequestUsage

from mamba_agents.sessions import ContextCleared, MemoryStore, MessageAppended, RunEnded, Session
from tests.helpers import call, prompts, reply, returned, user

pytestmark = pytest.mark.anyio


def said(*messages: object) -> list[MessageAppended]:
    return [MessageAppended(run_id="r", message=message) for message in messages]  # type: ignore[arg-type]


async def test_messages_follow_from_the_events() -> None:
    session = Session()
    await session.log.append([*said(user("a"), reply("b")), RunEnded(run_id="r", outcome="completed")])
    assert [message.parts[0].part_kind for message in session.messages] == ["user-prompt", "text"]
    assert prompts(session.messages) == ["a"]
    assert len(session.events()) == 3
    assert [type(event) for event in session.events(2)] == [RunEnded]


async def test_what_others_append_is_seen() -> None:
    store = MemoryStore()
    mine, theirs = Session(store, "s"), Session(store, "s")
    await mine.log.append(said(user("a")))
    assert prompts(theirs.messages) == ["a"]
    await theirs.log.append(said(reply("b"), user("c")))
    assert prompts(mine.messages) == ["a", "c"]


async def test_sessions_of_one_store_are_apart_and_can_be_deleted() -> None:
    store = MemoryStore()
    await Session(store, "a").log.append(said(user("a")))
    assert Session(store, "b").messages == []
    await store.delete("a")
    await store.delete("never there")
    assert Session(store, "a").messages == []


async def test_usage_and_cost_are_sums_over_the_whole_log() -> None:
    session = Session()
    answer = ModelResponse(parts=[TextPart("b")], usage=RequestUsage(input_tokens=3, output_tokens=2, cost=Decimal(1)))
    blocked = reply("in place of a model's answer")
    await session.log.append([*said(user("a"), answer), ContextCleared(), *said(user("c"), answer, blocked)])
    assert prompts(session.messages) == ["c"]
    assert (session.usage.requests, session.usage.input_tokens, session.usage.output_tokens) == (2, 6, 4)
    assert session.cost == 2
    await session.log.append(said(ModelResponse(parts=[TextPart("price unknown")], model_name="m")))
    assert session.cost is None


async def test_clearing_is_an_event() -> None:
    session = Session()
    await session.log.append(said(user("a")))
    session.clear()
    assert session.messages == []
    assert [type(event) for event in session.events()] == [MessageAppended, ContextCleared]


async def test_a_prompt_after_unanswered_calls_is_made_to_fit_wherever_the_log_is_read() -> None:
    store = MemoryStore()
    session = Session(store, "s")
    await session.log.append(said(user("a"), call("look"), user("b")))
    for reader in (session, Session(store, "s")):
        answers = [part for message in reader.messages for part in message.parts if isinstance(part, ToolReturnPart)]
        assert [answer.tool_call_id for answer in answers] == ["call-1"]
        assert prompts(reader.messages) == ["a", "b"]


async def test_an_answer_to_a_call_is_kept_as_it_is() -> None:
    session = Session()
    await session.log.append(said(user("a"), call("look"), returned("look", "a cat"), reply("it is a cat")))
    assert [message.parts[0].part_kind for message in session.messages] == [
        "user-prompt",
        "tool-call",
        "tool-return",
        "text",
    ]


def test_every_session_has_an_id_of_its_own() -> None:
    assert Session().id != Session().id
    assert Session(session_id="mine").id == "mine"
