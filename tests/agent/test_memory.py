"""Who remembers what, whichever way an agent is run and however the run ends."""

import asyncio
import threading
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import (
    ApprovalRequired,
    CancellationToken,
    DeferredToolRequests,
    DeferredToolResults,
    RunCancelled,
    RunContext,
)
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from mamba_agents.agent import Agent, AgentConfig
from mamba_agents.sessions import MemoryStore, RunEnded, Session
from tests.agent import entry_points
from tests.agent.entry_points import EntryPoint
from tests.helpers import call, echo, prompts, reply, user

pytestmark = pytest.mark.anyio
each_entry_point = pytest.mark.parametrize("enter", entry_points.ALL, ids=lambda enter: enter.__name__)


def outcomes(session: Session) -> list[str]:
    return [event.outcome for event in session.events() if isinstance(event, RunEnded)]


@each_entry_point
async def test_every_entry_point_remembers_the_conversation(enter: EntryPoint) -> None:
    agent = Agent(echo())
    assert (await enter(agent, "a")).strip() == "1: a"
    assert (await enter(agent, "b")).strip() == "2: b"
    assert prompts(agent.messages) == ["a", "b"]
    assert [type(message) for message in agent.messages] == [ModelRequest, ModelResponse] * 2
    assert outcomes(agent.session()) == ["completed", "completed"]


@each_entry_point
async def test_a_run_with_its_own_history_neither_sees_nor_changes_memory(enter: EntryPoint) -> None:
    agent = Agent(echo())
    await enter(agent, "remembered")
    assert (await enter(agent, "c", message_history=[user("x"), reply("y")])).strip() == "2: c"
    assert (await enter(agent, "d", message_history=[])).strip() == "1: d"
    assert prompts(agent.messages) == ["remembered"]


@each_entry_point
async def test_a_conversation_id_names_the_session(enter: EntryPoint) -> None:
    agent = Agent(echo())
    await enter(agent, "mine")
    await enter(agent, "hers", conversation_id="her")
    assert (await enter(agent, "hers again", conversation_id="her")).strip() == "2: hers again"
    assert prompts(agent.messages) == ["mine"]
    assert prompts(agent.session("her").messages) == ["hers", "hers again"]


@each_entry_point
async def test_a_new_conversation_starts_empty_and_can_be_gone_on_with(enter: EntryPoint) -> None:
    agent = Agent(echo())
    await enter(agent, "old")
    assert (await enter(agent, "fresh", conversation_id="new")).strip() == "1: fresh"
    result = await agent.run("fresh again", conversation_id="new")
    assert (await agent.session(result.session_id).run("more")).output == "2: more"


class Point(BaseModel):
    x: int


def typed_model() -> FunctionModel:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return call(info.output_tools[0].name, {"x": len(prompts(messages))})

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        yield {0: DeltaToolCall(info.output_tools[0].name, f'{{"x": {len(prompts(messages))}}}', tool_call_id="c")}

    return FunctionModel(respond, stream_function=stream)


@each_entry_point
async def test_a_typed_output_is_remembered_with_its_tool_call_answered(enter: EntryPoint) -> None:
    agent = Agent(typed_model(), output_type=Point)
    assert (await enter(agent, "a")).x == 1
    assert (await enter(agent, "b")).x == 2
    closing = [message.parts[-1] for message in agent.messages if isinstance(message, ModelRequest)]
    answers = [part.content for message in agent.messages for part in message.parts if isinstance(part, ToolReturnPart)]
    assert answers == ["Final result processed."] * 2, closing


def failing_after_a_tool() -> FunctionModel:
    """Calls a tool first, then breaks, until it is asked about what happened."""

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if prompts(messages)[-1] == "what happened?":
            seen = [part.content for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
            return reply(f"I saw {seen}")
        if isinstance(messages[-1].parts[-1], ToolReturnPart):
            raise ConnectionError("the line went dead")
        return call("look", {})

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        response = await respond(messages, info)
        for part in response.parts:
            if isinstance(part, ToolCallPart):
                yield {0: DeltaToolCall(part.tool_name, "{}", tool_call_id=part.tool_call_id)}
            else:
                yield part.content

    return FunctionModel(respond, stream_function=stream)


@each_entry_point
async def test_a_failed_run_leaves_what_was_said_and_the_next_run_sees_it(enter: EntryPoint) -> None:
    agent = Agent(failing_after_a_tool())
    agent.tool_plain(lambda: "a cat", name="look")
    with pytest.raises(ConnectionError, match="the line went dead"):
        await enter(agent, "look around")
    assert outcomes(agent.session()) == ["failed"]
    said = [part.part_kind for message in agent.messages for part in message.parts]
    assert said == ["user-prompt", "tool-call", "tool-return"]
    assert (await enter(agent, "what happened?")).strip() == "I saw ['a cat']"


async def test_a_run_that_fails_before_it_begins_frees_the_session() -> None:
    agent = Agent(echo())
    with pytest.raises(Exception, match="run_id"):
        await agent.run("a", run_id="")
    assert (await agent.run("b")).output == "1: b"


async def test_a_run_id_belongs_to_one_run_at_a_time() -> None:
    started = asyncio.Event()
    agent = Agent(slow_model(started))
    first = asyncio.create_task(agent.session("a").run("wait", run_id="mine"))
    await started.wait()
    with pytest.raises(RuntimeError, match="run_id 'mine', which a run of this agent that is still under way has"):
        await agent.session("b").run("hello", run_id="mine")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await agent.session("b").run("hello", run_id="mine")).run_id == "mine"
    assert [row.run_id for row in agent.get_usage_history()] == ["mine", "mine"]


def slow_model(started: asyncio.Event) -> FunctionModel:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if prompts(messages)[-1] == "wait":
            started.set()
            await asyncio.sleep(60)
        return reply(f"{len(prompts(messages))}")

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        yield "so far "
        yield (await respond(messages, info)).text

    return FunctionModel(respond, stream_function=stream)


@pytest.mark.parametrize("enter", [entry_points.run, entry_points.run_stream, entry_points.stream])
async def test_a_cancelled_run_is_remembered_and_frees_the_session(enter: EntryPoint) -> None:
    started = asyncio.Event()
    agent = Agent(slow_model(started))
    task = asyncio.create_task(enter(agent, "wait"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert outcomes(agent.session()) == ["cancelled"]
    assert prompts(agent.messages) == ["wait"]
    assert (await agent.run("go on")).output == "2"


async def test_a_run_cancelled_by_its_token_is_remembered() -> None:
    started, token = asyncio.Event(), CancellationToken()
    agent = Agent(slow_model(started))
    task = asyncio.create_task(agent.run("wait", cancellation_token=token))
    await started.wait()
    token.cancel()
    with pytest.raises(RunCancelled):
        await task
    assert outcomes(agent.session()) == ["cancelled"]


async def test_a_stream_left_early_is_remembered_as_far_as_it_came() -> None:
    agent = Agent(slow_model(asyncio.Event()))
    async for text in agent.stream("wait"):
        assert text == "so far "
        break
    # The run ends on the event loop; the next one waits for it.
    assert (await agent.run("go on")).output == "2"
    assert outcomes(agent.session()) == ["cancelled", "completed"]
    cut = agent.messages[1]
    assert isinstance(cut, ModelResponse)
    assert (cut.text, cut.state) == ("so far ", "interrupted")


async def test_an_iteration_left_early_counts_as_abandoned() -> None:
    agent = Agent(echo())
    async with agent.iter("a") as run:
        async for _ in run:
            break
    assert outcomes(agent.session()) == ["abandoned"]
    assert (await agent.run("b")).output.endswith(": b")


async def test_unanswered_calls_of_a_cancelled_run_do_not_block_the_next_prompt() -> None:
    started = asyncio.Event()

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return call("wait") if prompts(messages)[-1] == "use the tool" else reply("fine")

    agent = Agent(FunctionModel(respond))

    @agent.tool_plain
    async def wait() -> str:
        started.set()
        await asyncio.sleep(60)
        return "never"

    task = asyncio.create_task(agent.run("use the tool"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await agent.run("and now?")).output == "fine"
    # The log keeps what happened; what the model sees was made whole.
    assert prompts(agent.messages) == ["use the tool", "and now?"]


@each_entry_point
async def test_a_run_paused_for_approval_goes_on_from_memory(enter: EntryPoint) -> None:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        last = messages[-1].parts[-1]
        return reply(f"did: {last.content}") if isinstance(last, ToolReturnPart) else call("delete", {}, "call-7")

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        last = messages[-1].parts[-1]
        if isinstance(last, ToolReturnPart):
            yield f"did: {last.content}"
        else:
            yield {0: DeltaToolCall("delete", "{}", tool_call_id="call-7")}

    agent = Agent(FunctionModel(respond, stream_function=stream), output_type=[str, DeferredToolRequests])

    @agent.tool
    def delete(ctx: RunContext[object]) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        return "deleted"

    paused = await enter(agent, "delete it")
    assert isinstance(paused, DeferredToolRequests)
    assert [request.tool_call_id for request in paused.approvals] == ["call-7"]
    answer = DeferredToolResults(approvals={"call-7": True})
    assert (await enter(agent, None, deferred_tool_results=answer)).strip() == "did: deleted"
    assert prompts(agent.messages) == ["delete it"]


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
    await queue.acquire()
    waiting = asyncio.create_task(queue.acquire())
    await asyncio.sleep(0)
    queue.release()  # grants the place, but the waiter has not run yet
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await asyncio.wait_for(agent.run("a"), 10)).output == "1: a"


async def test_a_waiter_whose_event_loop_is_gone_does_not_hold_up_the_others() -> None:
    agent = Agent(echo())
    queue = agent.session().log.queue
    await queue.acquire()

    def wait_on_a_loop_that_closes() -> None:
        loop = asyncio.new_event_loop()
        waiting = queue.acquire()
        loop.call_soon(loop.stop)
        task = loop.create_task(waiting)
        loop.run_forever()
        task._log_destroy_pending = False  # type: ignore[attr-defined] - it is destroyed pending, on purpose
        loop.close()

    await asyncio.to_thread(wait_on_a_loop_that_closes)
    queue.release()
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


async def test_an_agent_continues_the_session_it_is_given() -> None:
    store = MemoryStore()
    session = Session(store, "user-42")
    await Agent(echo(), session=session).run("a")
    other = Agent(echo(), session=Session(store, "user-42"))
    assert (await other.run("b")).output == "2: b"
    assert prompts(session.messages) == ["a", "b"]
    assert other.session().id == "user-42"


async def test_clearing_starts_anew_and_the_log_keeps_everything() -> None:
    agent = Agent(echo())
    await agent.run("a")
    agent.clear_context()
    assert agent.messages == []
    assert (await agent.run("b")).output == "1: b"
    assert agent.session().usage.requests == 2


async def test_without_tracking_every_run_starts_anew_and_memory_says_that_it_is_off() -> None:
    agent = Agent(echo(), config=AgentConfig(track_context=False))
    assert [(await agent.run("a")).output, (await agent.run("b")).output] == ["1: a", "1: b"]
    with pytest.raises(RuntimeError, match="Context tracking is disabled"):
        agent.session()
    with pytest.raises(RuntimeError, match="Context tracking is disabled"):
        _ = agent.messages
    with pytest.raises(RuntimeError, match="Context tracking is disabled"):
        agent.clear_context()
    assert agent.get_usage().request_count == 2


async def test_chat_messages_are_a_view_of_the_conversation() -> None:
    agent = Agent(echo(), system_prompt="Be brief.")
    await agent.run("a")
    assert agent.get_messages() == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "1: a"},
    ]


async def test_messages_are_the_callers_to_change() -> None:
    agent = Agent(echo())
    await agent.run("a")
    agent.messages.clear()
    assert prompts(agent.messages) == ["a"]


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


async def test_a_deleted_session_is_gone_and_its_id_can_be_used_anew() -> None:
    agent = Agent(echo())
    session = agent.session("ada")
    await session.run("a")
    session.delete()
    assert list(session.events()) == []
    assert (await session.run("b")).output == "1: b"


class SlowStore(MemoryStore):
    """A store that takes its time, as those on disks and networks do."""

    async def append(self, session_id: str, events: Any) -> None:
        await asyncio.sleep(0.01)
        await super().append(session_id, events)

    async def read(self, session_id: str, from_seq: int = 0) -> Any:
        events = await super().read(session_id, from_seq)
        await asyncio.sleep(0.01)
        return events


async def test_looking_at_memory_from_everywhere_does_not_change_it() -> None:
    agent = Agent(echo(), session=Session(SlowStore(), "s"))
    for i in range(3):
        looks = [asyncio.to_thread(lambda: agent.messages) for _ in range(5)]
        result, *_ = await asyncio.gather(agent.run(f"{i}"), *looks, *(agent.session().log.load() for _ in range(5)))
        assert result.output == f"{i + 1}: {i}"
    assert prompts(agent.messages) == ["0", "1", "2"]


async def test_a_run_that_is_cancelled_while_it_is_written_down_is_written_down() -> None:
    agent = Agent(echo(), session=Session(SlowStore(), "s"))
    for delay in (0.005, 0.012, 0.015, 0.018, 0.022):
        task = asyncio.create_task(agent.run("a"))
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.wait([task])
    kept = [message for message in agent.messages if isinstance(message, ModelResponse)]
    assert len(kept) == agent.get_usage().request_count
    assert (await agent.run("b")).output.endswith(": b")


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


def test_ids_that_name_no_session_are_refused() -> None:
    agent = Agent(echo())
    for session_id in ("", "new"):
        with pytest.raises(ValueError, match="session id"):
            agent.session(session_id)
    with pytest.raises(ValueError, match="session id"):
        agent.run_sync("a", conversation_id="")
    session = agent.session("ada")
    for method in (
        session.stream,
        session.run_stream,
        session.run_stream_sync,
        session.run_stream_events,
        session.iter,
    ):
        with pytest.raises(TypeError, match="conversation_id"):
            method("a", conversation_id="bob")
    with pytest.raises(TypeError, match="conversation_id"):
        session.run_sync("a", conversation_id="bob")


def test_a_session_can_be_streamed_by_sync_code() -> None:
    session = Agent(echo()).session("ada")
    with session.run_stream_sync("a") as stream:
        assert stream.get_output() == "1: a "
    assert prompts(session.messages) == ["a"]
