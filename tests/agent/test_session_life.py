"""Sessions of an agent: how long they are held, and what is left of one that is deleted."""

import asyncio
import gc
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents import Agent, AgentConfig, AgentSettings, CompactionConfig
from mamba_agents.agent.sessions import _RECENT  # pyright: ignore[reportPrivateUsage]
from mamba_agents.context import CompactionResult, CompactionStrategy, check_history
from mamba_agents.sessions import ContextCompacted, MemoryStore, Session, StoredEvents
from mamba_agents.tokens import BudgetConfig, BudgetLedger
from tests.agent.budgets import budgeted, obedient, priced
from tests.helpers import call, echo, prompts, reply, user

pytestmark = pytest.mark.anyio

WORDS = "lorem ipsum dolor " * 150


async def test_a_thousand_conversations_are_not_held_for_ever_and_are_remembered_all_the_same() -> None:
    agent = Agent(echo())
    held = agent.session("held")
    for number in range(1000):
        await agent.run("a", conversation_id=f"s{number}")
    for _ in range(100):
        await agent.run("a", conversation_id="new")
    gc.collect()
    assert len(agent._sessions) <= _RECENT + 2
    assert agent.session("held") is held
    assert (await agent.run("b", conversation_id="s0")).output == "2: b"
    assert (await agent.run("b", conversation_id="s999")).output == "2: b"


async def test_a_session_that_anything_of_is_held_stays_one() -> None:
    agent = Agent(echo())
    assert agent.session("s") is not None  # held by nobody
    context, log = agent.session("c").context, agent.session("l").log
    session = agent.session("s")
    for number in range(_RECENT + 1):
        await agent.run("a", conversation_id=str(number))
    gc.collect()
    assert agent.session("s") is session
    assert agent.session("l").log is log
    assert agent.session("c").context._log is context._log
    assert agent.session() is agent.session(agent.session().id)


class NotingStore(MemoryStore):
    """Notes from where on it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def read(self, session_id: str, from_seq: int = 0) -> StoredEvents:
        self.asked.append(from_seq)
        return await super().read(session_id, from_seq)


async def test_a_conversation_that_goes_on_is_not_read_from_its_beginning_again() -> None:
    store = NotingStore()
    agent = Agent(echo(), session=Session(store))
    for _ in range(3):
        await agent.run("a", conversation_id="s")
        await agent.run("a", conversation_id="t")
        gc.collect()
    assert store.asked == [0, 0, 0, 0, 3, 3], "from after what the run before had seen"


async def test_runs_that_wait_for_a_session_nobody_holds_wait_for_the_same_one() -> None:
    running = most = 0

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1
        return reply(f"{len(prompts(messages))}")

    agent = Agent(FunctionModel(respond))

    async def others() -> None:
        for number in range(_RECENT + 1):
            await Agent.run(agent, "b", conversation_id=f"{number}", model=echo())
            gc.collect()

    *results, _ = await asyncio.gather(*(agent.run("a", conversation_id="s") for _ in range(20)), others())
    assert most == 1
    assert [result.output for result in results if result] == [str(number + 1) for number in range(20)]


async def test_a_conversation_that_another_agent_deleted_is_not_sent() -> None:
    store = MemoryStore()
    one, other = (Agent(echo(), session=Session(store, "x")) for _ in range(2))
    await one.run("first")
    await one.run("second")
    assert (await other.run("third")).output == "3: third"
    one.session().delete()
    assert (await other.run("hello")).output == "1: hello"
    assert (await one.run("and now?")).output == "2: and now?"


def wiping(wipe: Any, strategy: Any = "selective_pruning") -> Agent[object, str]:
    """An agent that in its second run calls `wipe`, then learns so much that it has to compact."""
    script = iter([reply("noted"), call("wipe", {}, "c1"), call("big", {}, "c2"), call("big", {}, "c3"), reply("done")])

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return next(script, reply(f"{len(prompts(messages))}"))

    context = CompactionConfig(strategy=strategy, trigger_threshold_tokens=900, target_tokens=500)
    agent = Agent(FunctionModel(respond), config=AgentConfig(context=context), session=Session(MemoryStore(), "s"))

    @agent.tool_plain(name="wipe")
    async def wipe_it() -> str:
        await asyncio.to_thread(wipe, agent)
        return "wiped"

    @agent.tool_plain
    def big() -> str:
        return WORDS

    return agent


@pytest.mark.parametrize("way", ["clear", "delete"])
async def test_what_is_cleared_in_a_run_stays_so_when_the_run_compacts(way: str) -> None:
    def wipe(agent: Agent[object, str]) -> None:
        if way == "clear":
            agent.clear_context()
        else:
            Session(agent.session().log.store, "s").delete()

    agent = wiping(wipe)
    await agent.run("my secret is 1234")
    await agent.run("wipe it")
    assert any(isinstance(event, ContextCompacted) for event in agent.session().events())
    assert prompts(agent.messages) == ["wipe it"]
    assert "1234" not in str(agent.messages)
    returned = [part.tool_name for each in agent.messages for part in each.parts if isinstance(part, ToolReturnPart)]
    assert returned == ["wipe", "big", "big"]
    assert (await agent.run("and now?")).output == "2"


async def test_what_others_said_after_the_clear_is_kept() -> None:
    def wipe(agent: Agent[object, str]) -> None:
        other = Agent(echo(), session=Session(agent.session().log.store, "s"))
        other.run_sync("before")
        other.clear_context()
        other.run_sync("after")

    agent = wiping(wipe)
    await agent.run("my secret is 1234")
    await agent.run("wipe it")
    assert prompts(agent.messages) == ["after", "wipe it"]


class OnlyTheLatest(CompactionStrategy):
    """Says in a sentence all that was said before the newest request and what it answers."""

    name = "only_the_latest"

    async def compact(
        self, messages: Sequence[ModelMessage], target_tokens: int, preserve_recent: int = 0
    ) -> CompactionResult[ModelMessage]:
        latest = [user(f"So far: {prompts(messages)}"), *messages[-2:]]
        return CompactionResult(
            messages=latest,
            removed_count=len(messages) - 2,
            tokens_before=0,
            tokens_after=0,
            strategy=self.name,
            target_tokens=target_tokens,
            reached_target=True,
        )


async def test_a_prompt_that_went_into_a_summary_is_there_when_the_summary_is_cleared() -> None:
    """Without it, the conversation would begin with a reply."""
    agent = wiping(lambda agent: agent.clear_context(), strategy=OnlyTheLatest())
    await agent.run("my secret is 1234")
    await agent.run("wipe it")
    assert any(isinstance(event, ContextCompacted) for event in agent.session().events())
    assert check_history(agent.messages) == []
    assert prompts(agent.messages) == ["wipe it"]


async def test_deleting_a_session_gives_its_cap_back() -> None:
    ledger = BudgetLedger()
    agent = budgeted(priced(obedient(100, 5)), BudgetConfig(session_tokens=400), ledger)
    for session in (agent.session("k"), agent.session()):
        await session.run("x")
        session.delete()
        assert ledger.spent("session", session.id) is None
        for _ in range(3):
            await session.run("x")


async def test_a_session_is_not_deleted_inside_of_its_run() -> None:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return reply("done") if isinstance(messages[-1].parts[-1], ToolReturnPart) else call("wipe")

    agent = Agent(FunctionModel(respond))

    @agent.tool_plain(graceful_errors=False)
    def wipe() -> str:
        agent.session().delete()
        return "wiped"

    with pytest.raises(RuntimeError, match="found a call of delete\\(\\) inside a run of the same session"):
        await asyncio.wait_for(agent.run("a"), 20)
    assert prompts(agent.messages) == ["a"]


def left_on_a_closed_loop(agent: Agent[object, str], **options: Any) -> None:
    loop = asyncio.new_event_loop()
    task = loop.create_task(agent.run("slow", **options))
    loop.run_until_complete(asyncio.sleep(0.2))
    task._log_destroy_pending = False  # type: ignore[attr-defined] - it is destroyed pending, on purpose
    loop.close()


def test_a_run_whose_event_loop_was_closed_keeps_neither_its_sessions_place_nor_its_id() -> None:
    agent = Agent(priced(obedient(1, 1), delay=5), settings=AgentSettings(_env_file=None, _config_file=None))
    left_on_a_closed_loop(agent, run_id="mine")

    async def next_one() -> str:
        run = agent.run("next", model=priced(obedient(1, 1)), run_id="mine")
        return (await asyncio.wait_for(run, 10)).output

    assert asyncio.run(next_one()) == "Fine."
