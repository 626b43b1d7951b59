"""Who remembers what, whichever way an agent is run and however the run ends."""

import asyncio
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
