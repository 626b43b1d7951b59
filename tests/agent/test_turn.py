"""Which runs wait for each other, and which do not."""

import asyncio
import threading
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents.agent import Agent
from tests.helpers import call, echo, prompts, reply

pytestmark = pytest.mark.anyio


async def test_runs_on_one_session_queue_up_in_order() -> None:
    agent = Agent(echo())
    results = await asyncio.gather(*(agent.run(str(i)) for i in range(100)))
    assert [result.output for result in results] == [f"{i + 1}: {i}" for i in range(100)]


async def test_runs_on_different_sessions_run_together() -> None:
    all_in = asyncio.Event()
    running: set[str] = set()

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        running.add(prompts(messages)[-1])
        if len(running) == 20:
            all_in.set()
        await asyncio.wait_for(all_in.wait(), 30)  # ends only when all 20 are in the model at once
        return reply("done")

    agent = Agent(FunctionModel(respond))
    results = await asyncio.gather(*(agent.session(f"user-{i}").run(f"{i}") for i in range(20)))
    assert [result.output for result in results] == ["done"] * 20


async def test_a_hundred_tasks_and_fifty_threads_lose_and_mix_nothing() -> None:
    agent = Agent(echo())

    def work(name: str) -> None:
        for i in range(4):
            assert agent.session(name).run_sync(f"{name}-{i}").output == f"{i + 1}: {name}-{i}"
            agent.run_sync(f"shared {name}-{i}")

    failures: list[BaseException] = []

    def guarded(name: str) -> None:
        try:
            work(name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(f"thread-{i}",)) for i in range(50)]
    for thread in threads:
        thread.start()

    async def task(name: str) -> None:
        for i in range(4):
            assert (await agent.session(name).run(f"{name}-{i}")).output == f"{i + 1}: {name}-{i}"
        await agent.run(f"shared {name}")

    await asyncio.gather(*(task(f"task-{i}") for i in range(100)))
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    assert failures == []
    shared = prompts(agent.messages)
    assert sorted(shared) == sorted(
        [f"shared thread-{i}-{j}" for i in range(50) for j in range(4)] + [f"shared task-{i}" for i in range(100)]
    )
    answers = [message.text for message in agent.messages if isinstance(message, ModelResponse)]
    assert answers == [f"{i + 1}: {prompt}" for i, prompt in enumerate(shared)]
    assert agent.get_usage().request_count == 50 * 8 + 100 * 5


async def test_a_cancelled_wait_gives_up_its_place_only() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        started.set()
        await release.wait()
        return reply(f"{len(prompts(messages))}")

    agent = Agent(FunctionModel(respond))
    first = asyncio.create_task(agent.run("first"))
    await started.wait()
    second, third = asyncio.create_task(agent.run("second")), asyncio.create_task(agent.run("third"))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    release.set()
    assert [(await first).output, (await third).output] == ["1", "2"]
    assert prompts(agent.messages) == ["first", "third"]


async def test_a_place_granted_to_a_run_that_is_cancelled_at_that_moment_is_passed_on() -> None:
    agent = Agent(echo())
    queue = agent.session().log.queue
    ticket = await queue.acquire()
    waiting = asyncio.create_task(queue.acquire())
    await asyncio.sleep(0)
    queue.release(ticket)  # grants the place, but the waiter has not run yet
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await asyncio.wait_for(agent.run("a"), 10)).output == "1: a"


async def test_a_waiter_whose_event_loop_is_gone_does_not_hold_up_the_others() -> None:
    agent = Agent(echo())
    queue = agent.session().log.queue
    ticket = await queue.acquire()

    def wait_on_a_loop_that_closes() -> None:
        loop = asyncio.new_event_loop()
        waiting = queue.acquire()
        loop.call_soon(loop.stop)
        task = loop.create_task(waiting)
        loop.run_forever()
        task._log_destroy_pending = False  # type: ignore[attr-defined] - it is destroyed pending, on purpose
        loop.close()

    await asyncio.to_thread(wait_on_a_loop_that_closes)
    queue.release(ticket)
    assert (await asyncio.wait_for(agent.run("a"), 10)).output == "1: a"


async def test_a_run_inside_a_run_of_the_same_session_does_not_wait_for_itself() -> None:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        last = messages[-1].parts[-1]
        if isinstance(last, ToolReturnPart):
            return reply(f"inner said {last.content}")
        return call("ask") if prompts(messages)[-1] == "outer" else reply(f"{len(prompts(messages))}")

    agent = Agent(FunctionModel(respond))

    @agent.tool_plain
    async def ask() -> str:
        return (await agent.run("inner")).output

    await agent.run("before")
    assert (await agent.run("outer")).output == "inner said 2"
    assert prompts(agent.messages) == ["before", "inner", "outer"]


def delegating(to: "dict[str, Agent[Any, Any]]") -> FunctionModel:
    """A model that hands a prompt `name: rest` to the agent called so, and answers every other prompt with a count."""

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        last = messages[-1].parts[-1]
        if isinstance(last, ToolReturnPart):
            return reply(str(last.content))
        name, _, rest = prompts(messages)[-1].partition(": ")
        return call("ask", {"name": name, "prompt": rest}) if name in to else reply(f"{len(prompts(messages))}")

    return FunctionModel(respond)


def agents_that_delegate(*names: str) -> dict[str, Agent[Any, Any]]:
    agents: dict[str, Agent[Any, Any]] = {}

    async def ask(name: str, prompt: str) -> str:
        await asyncio.sleep(0.01)  # so that both outer runs are under way
        return (await agents[name].run(prompt)).output

    for name in names:
        agents[name] = Agent(delegating(agents), tools=[ask], name=name)
    return agents


async def test_a_delegate_remembers_each_conversation_of_its_callers_apart() -> None:
    agents = agents_that_delegate("lead", "aide")
    lead = agents["lead"]
    assert (await lead.session("ada").run("aide: one")).output == "1"
    assert (await lead.session("bob").run("aide: two")).output == "1"
    assert (await lead.session("ada").run("aide: three")).output == "2"
    assert prompts(agents["aide"].session("ada").messages) == ["one", "three"]
    assert agents["aide"].messages == []


async def test_agents_that_delegate_to_each_other_at_once_do_not_wait_for_ever() -> None:
    agents = agents_that_delegate("a", "b")
    both = asyncio.gather(agents["a"].run("b: one"), agents["b"].run("a: two"))
    assert [result.output for result in await asyncio.wait_for(both, 20)] == ["1", "1"]


async def test_a_stream_that_is_kept_after_a_break_does_not_lock_the_session() -> None:
    agent = Agent(echo())
    stream = agent.stream("a b c")
    async for _ in stream:
        break
    # The stream can still be read, so what comes now is inside of its run.
    assert (await asyncio.wait_for(agent.run("d"), 20)).output == "1: d"
    assert "".join([text async for text in stream]) == "a b c "
    assert prompts(agent.messages) == ["d", "a b c"]


async def test_a_run_in_the_body_of_a_stream_does_not_wait_for_it() -> None:
    agent = Agent(echo())
    answers: list[str] = []

    async def read() -> None:
        async for _ in agent.stream("a"):
            answers.append((await agent.run("inner")).output)
        async with agent.run_stream_events("b") as events:
            async for _ in events:
                answers.append((await agent.run("inner")).output)
                break

    await asyncio.wait_for(read(), 20)
    assert answers[0] == "1: inner"
    assert (await asyncio.wait_for(agent.run("after"), 20)).output.endswith(": after")


async def test_a_sync_call_that_would_wait_for_the_loop_it_blocks_says_so() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        started.set()
        await release.wait()
        return reply("done")

    agent = Agent(FunctionModel(respond))
    task = asyncio.create_task(agent.run("a"))
    await started.wait()
    with pytest.raises(RuntimeError, match="would wait for ever"):
        agent.run_sync("b")
    with pytest.raises(RuntimeError, match="would wait for ever"):
        agent.session().delete()
    release.set()
    assert (await task).output == "done"


async def test_what_a_tool_leaves_running_stays_in_the_conversation_of_its_caller() -> None:
    aide = Agent(echo())
    left: list[asyncio.Task[Any]] = []

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return reply("done") if isinstance(messages[-1].parts[-1], ToolReturnPart) else call("later")

    lead = Agent(FunctionModel(respond))

    @lead.tool_plain
    async def later() -> str:
        async def ask() -> Any:
            await asyncio.sleep(0.05)
            return (await aide.run("in the background")).session_id

        left.append(asyncio.create_task(ask()))
        return "asked"

    for name in ("ada", "bob"):
        await lead.session(name).run("a")
    assert [await task for task in left] == ["ada", "bob"]
    assert aide.messages == []
