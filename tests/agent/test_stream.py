"""Text as it comes."""

import asyncio
import gc
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ThinkingPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel

from mamba_agents.agent import Agent, AgentResult
from tests.helpers import echo, prompts

pytestmark = pytest.mark.anyio


def tool_then_answer() -> FunctionModel:
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        if isinstance(messages[-1].parts[-1], ToolReturnPart):
            yield {0: DeltaThinkingPart(content="hm")}
            yield "It is "
            yield "sunny."
        else:
            yield "Let me "
            yield "look."
            yield {1: DeltaToolCall("weather", "{}", tool_call_id="c")}

    return FunctionModel(stream_function=stream)


async def test_text_comes_in_pieces_and_the_texts_around_a_tool_call_are_set_apart() -> None:
    agent = Agent(tool_then_answer())
    agent.tool_plain(lambda: "sun", name="weather")
    stream = agent.stream("weather?")
    pieces = [text async for text in stream]
    assert pieces == ["Let me ", "look.", "\n\nIt is ", "sunny."]
    assert stream.result is not None
    assert stream.result.output == "It is sunny."
    assert any(isinstance(part, ThinkingPart) for message in agent.messages for part in message.parts)


async def test_its_end_state_is_that_of_run() -> None:
    streamed, ran = Agent(echo()), Agent(echo())
    stream = streamed.stream("a b c")
    text = "".join([piece async for piece in stream])
    result = await ran.run("a b c")
    assert isinstance(stream.result, AgentResult)
    assert stream.result.output == text
    assert stream.result.output.strip() == result.output
    assert stream.result.stop_reason == result.stop_reason
    assert stream.result.session_id == streamed.session().id
    assert prompts(streamed.messages) == prompts(ran.messages)
    assert len(streamed.messages) == len(ran.messages)


async def test_there_is_no_result_before_the_end_and_nothing_after_it() -> None:
    stream = Agent(echo()).stream("a b")
    assert await anext(stream) == "1: "
    assert stream.result is None
    assert [text async for text in stream] == ["a ", "b "]
    assert stream.result is not None
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_stream_nobody_reads_never_runs() -> None:
    agent = Agent(echo())
    stream = agent.stream("a")
    await stream.aclose()
    del stream
    agent.stream("b")
    gc.collect()
    assert agent.messages == []
    assert (await agent.run("c")).output == "1: c"


async def test_leaving_a_stream_does_not_disturb_what_the_caller_awaits_next() -> None:
    agent = Agent(echo())
    async for _ in agent.stream("a b c d"):
        break
    await asyncio.sleep(0.05)
    async with agent.stream("e f g") as stream:
        async for _ in stream:
            break
    assert prompts(agent.messages) == ["a b c d", "e f g"]
    assert (await agent.run("h")).output == "3: h"
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


async def test_an_error_reaches_the_reader_and_what_came_before_it_is_kept() -> None:
    async def fail(messages: list[ModelMessage], info: AgentInfo) -> Any:
        yield "so far "
        raise ConnectionError("gone")

    agent = Agent(FunctionModel(stream_function=fail))
    got: list[str] = []
    with pytest.raises(ConnectionError, match="gone"):
        async for text in agent.stream("a"):
            got.append(text)
    assert got == ["so far "]
    assert [getattr(message, "text", None) for message in agent.messages] == [None, "so far "]


async def test_sessions_stream_side_by_side() -> None:
    agent = Agent(echo())

    async def read(name: str) -> str:
        return "".join([text async for text in agent.session(name).stream(f"i am {name}")])

    texts = await asyncio.gather(*(read(str(i)) for i in range(20)))
    assert texts == [f"1: i am {i} " for i in range(20)]


# pydantic-ai's own channel says that nobody could close it any more.
@pytest.mark.filterwarnings("ignore:.*MemoryObjectReceiveStream:pytest.PytestUnraisableExceptionWarning")
def test_a_stream_whose_event_loop_is_closed_can_be_dropped() -> None:
    agent = Agent(echo())

    async def begin() -> Any:
        stream = agent.stream("a b c")
        await anext(stream)
        return stream

    stream = asyncio.run(begin())
    del stream
    gc.collect()
    assert agent.run_sync("next").output.endswith(": next")
