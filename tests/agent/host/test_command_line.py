"""pydantic-ai's chat in the terminal, on an agent of ours."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from pydantic_ai import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from mamba_agents import Agent
from tests.helpers import echo, prompts


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PipeInput]:
    monkeypatch.setattr("pydantic_ai._cli.PYDANTIC_AI_HOME", tmp_path)
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        yield keys


@pytest.mark.anyio
async def test_a_chat_asks_answers_and_goes_on(keyboard: PipeInput, capsys: pytest.CaptureFixture[str]) -> None:
    agent = Agent(echo())
    keyboard.send_text("first question\nsecond question\n/exit\n")
    await agent.to_cli()
    printed = capsys.readouterr().out
    assert "1: first question" in printed
    assert "2: second question" in printed


@pytest.mark.anyio
async def test_the_chat_keeps_its_own_history_and_the_agent_its_own(
    keyboard: PipeInput, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = Agent(echo())
    await agent.run("before")
    keyboard.send_text("asked in the chat\n/exit\n")
    await agent.to_cli()
    assert "1: asked in the chat" in capsys.readouterr().out
    assert prompts(agent.messages) == ["before"]
    assert agent.get_usage().request_count == 2


@pytest.mark.anyio
async def test_a_chat_can_start_from_the_agents_memory(keyboard: PipeInput, capsys: pytest.CaptureFixture[str]) -> None:
    agent = Agent(echo())
    await agent.run("before")
    keyboard.send_text("after\n/exit\n")
    await agent.to_cli(message_history=agent.messages)
    assert "2: after" in capsys.readouterr().out


@pytest.fixture
def main_loop() -> Iterator[None]:
    """The event loop of a program's main thread, which pydantic-ai's sync chat runs on and leaves open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def test_a_chat_without_async(keyboard: PipeInput, main_loop: None, capsys: pytest.CaptureFixture[str]) -> None:
    keyboard.send_text("question\n/exit\n")
    Agent(echo()).to_cli_sync(prog_name="clerk")
    assert "1: question" in capsys.readouterr().out


@pytest.mark.anyio
async def test_a_failing_tool_does_not_end_the_chat(keyboard: PipeInput, capsys: pytest.CaptureFixture[str]) -> None:
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        if len(messages) == 1:
            yield {0: DeltaToolCall("broken", "{}", tool_call_id="1")}
        else:
            yield f"told: {messages[-1].parts[0].content}"

    agent = Agent(FunctionModel(stream_function=stream))

    @agent.tool_plain
    def broken() -> str:
        raise ValueError("no such order")

    keyboard.send_text("go\n/exit\n")
    await agent.to_cli()
    assert "told: ValueError: no such order" in capsys.readouterr().out
