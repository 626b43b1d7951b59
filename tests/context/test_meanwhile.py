"""What happens to a context while a summary of it is written: nothing is lost, and nothing comes back."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents import Agent, AgentConfig, CompactionConfig, ContextManager
from mamba_agents.context import check_history
from mamba_agents.sessions import ContextCompacted, Session
from tests.helpers import call, prompts, reply, returned, user

pytestmark = pytest.mark.anyio

NOTES = "## Goal\nFind out why.\n## Facts\nThe disk is full."
WORDS = "is db-1 well? " * 30
CONFIG = CompactionConfig(
    strategy="summarize_older", trigger_threshold_tokens=2_000, target_tokens=400, preserve_recent_turns=1
)
NOT_KEPT = "The context was cleared while it was compacted, so this was not kept."


@dataclass
class Writer:
    """Writes summaries, and waits until it may."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    summaries: int = 0

    async def respond(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if "You write the notes" not in (info.instructions or ""):
            return reply("It is.")
        self.summaries += 1
        self.asked.set()
        await self.may_go_on.wait()
        return reply(NOTES)

    async def meanwhile[T](self, compacting: Awaitable[T], act: Callable[[], object]) -> T:
        """What a compaction gives while whose summary is written something is done."""
        task = asyncio.ensure_future(compacting)
        await self.asked.wait()
        act()
        self.may_go_on.set()
        return await task


def alone(writer: Writer) -> ContextManager:
    return ContextManager(CONFIG, model=FunctionModel(writer.respond))


def of_an_agent(writer: Writer) -> ContextManager:
    return Agent(FunctionModel(writer.respond), config=AgentConfig(context=CONFIG)).session().context


WAYS = [alone, of_an_agent]


def filled(context: ContextManager) -> ContextManager:
    for number in range(10):
        context.add_messages([user(f"{number}: {WORDS}"), reply("It is.")])
    return context


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_added_while_a_summary_is_written_stands_after_what_is_left(
    way: Callable[[Writer], ContextManager],
) -> None:
    writer = Writer()
    context = filled(way(writer))
    added = [user("And db-2?"), reply("It is too.")]
    result = await writer.meanwhile(context.compact(), lambda: context.add_messages(added))
    assert prompts(context.history) == [f"9: {WORDS}", "And db-2?"]
    assert "The disk is full." in str(context.history[0])
    assert check_history(context.history) == []
    assert context.get_compaction_history()[-1].messages == result.messages == context.history
    assert result.notes == ()
    assert result.tokens_after < context.get_token_count() < result.tokens_after + 100


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_cleared_while_a_summary_is_written_stays_cleared_and_that_is_said(
    way: Callable[[Writer], ContextManager],
) -> None:
    writer = Writer()
    context = filled(way(writer))

    def clear_and_add() -> None:
        context.add_messages([user("Forget it.")])
        context.clear()
        context.add_messages([user("And db-2?")])

    result = await writer.meanwhile(context.compact(), clear_and_add)
    assert prompts(context.history) == ["And db-2?"]
    assert result.notes == (NOT_KEPT,)
    assert len(result.responses) == 1, "it was paid for"
    assert context.get_compaction_history() == []


@pytest.mark.parametrize("way", WAYS)
async def test_calls_at_once_wait_for_each_other_and_pay_for_one_summary(
    way: Callable[[Writer], ContextManager],
) -> None:
    writer = Writer()
    context = filled(way(writer))
    several: Any = asyncio.gather(context.compact(), context.compact(), context.compact())
    first, *later = await writer.meanwhile(several, lambda: None)
    assert writer.summaries == 1
    assert len(first.responses) == 1
    assert [(result.responses, result.removed_count) for result in later] == [((), 0), ((), 0)]
    assert len(context.get_compaction_history()) == 1


async def test_a_call_that_is_cancelled_lets_the_next_one_in() -> None:
    writer = Writer()
    context = filled(alone(writer))
    first, waiting, last = (asyncio.ensure_future(context.compact()) for _ in range(3))
    await writer.asked.wait()
    waiting.cancel()
    first.cancel()
    writer.may_go_on.set()
    assert (await last).strategy == "summarize_older"
    assert first.cancelled()
    assert waiting.cancelled()
    assert len(context.get_compaction_history()) == 1


async def test_calls_from_another_thread_wait_too() -> None:
    writer = Writer()
    context = filled(alone(writer))
    results: list[Any] = []
    thread = Thread(target=lambda: results.append(context.compact_sync()))
    result = await writer.meanwhile(context.compact(), thread.start)
    await asyncio.to_thread(thread.join)
    assert result.removed_count > 0
    assert results[0].removed_count == 0
    assert writer.summaries == 1


async def test_a_sync_call_that_would_wait_for_ever_is_refused() -> None:
    writer = Writer()
    context = filled(alone(writer))

    def compact_here() -> None:
        with pytest.raises(RuntimeError, match=r"would wait for ever: a compaction .* Await compact\(\) instead"):
            context.compact_sync()

    result = await writer.meanwhile(context.compact(), compact_here)
    assert result.removed_count > 0


async def test_the_log_of_a_session_holds_each_message_once_and_all_of_them() -> None:
    writer = Writer()
    agent = Agent(FunctionModel(writer.respond), config=AgentConfig(context=CONFIG))
    session = agent.session()
    filled(session.context)
    await writer.meanwhile(agent.compact(), lambda: session.context.add_messages([user("And db-2?")]))
    assert prompts(session.transcript) == [*(f"{number}: {WORDS}" for number in range(10)), "And db-2?"]
    await agent.run("Go on.")
    assert prompts(agent.messages)[-2:] == ["And db-2?", "Go on."]
    again = Agent(FunctionModel(writer.respond), session=Session(session.log.store, session.id))
    assert again.messages == agent.messages


async def test_a_summary_that_was_not_kept_is_billed() -> None:
    writer = Writer()
    agent = Agent(FunctionModel(writer.respond), config=AgentConfig(context=CONFIG))
    filled(agent.session().context)
    await writer.meanwhile(agent.compact(), agent.clear_context)
    assert [row.kind for row in agent.get_usage_history()] == ["compaction"]
    assert not any(isinstance(event, ContextCompacted) for event in agent.session().events())


@pytest.mark.parametrize(
    ("added", "is_the_tools"),
    [(user("And db-2?"), False), (returned("look", "full", "open"), True)],
    ids=["a prompt", "the result"],
)
async def test_a_call_that_nobody_answered_is_closed_by_the_prompt_that_follows_as_ever(
    added: ModelMessage, is_the_tools: bool
) -> None:
    writer = Writer()
    context = filled(of_an_agent(writer))
    context.add_messages([user("Look."), call("look", call_id="open")])
    await writer.meanwhile(context.compact(), lambda: context.add_messages([added]))
    assert check_history(context.history) == []
    results = [part for message in context.history for part in message.parts if isinstance(part, ToolReturnPart)]
    assert [(part.tool_call_id, part.content == "full") for part in results] == [("open", is_the_tools)]
