"""Tools of MCP servers: one in this process, one behind standard input and output."""

from pathlib import Path
from typing import Any, Literal

import pytest
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.function import FunctionModel

from mamba_agents import Agent, AgentConfig
from tests.agent.host.mcp_server import server
from tests.helpers import call, script


def calls_both() -> FunctionModel:
    return script(call("price", {"item": "tea"}, "1"), call("broken", {}, "2"), "done")


def answers(agent: Agent[Any, Any]) -> list[object]:
    return [part.content for message in agent.messages for part in message.parts if part.part_kind == "tool-return"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("behavior", "told"),
    [
        ("retry", "Error executing tool broken"),
        ("failed", "Error executing tool broken"),
        ("error", "ToolError: Error executing tool broken"),
    ],
)
async def test_an_error_of_a_server_is_told_to_the_model(
    behavior: Literal["retry", "failed", "error"], told: str
) -> None:
    agent = Agent(calls_both(), toolsets=[MCPToolset(server, tool_error_behavior=behavior)])
    result = await agent.run("go")
    assert result.output == "done"
    assert answers(agent) == [3, told]


@pytest.mark.anyio
async def test_without_graceful_errors_a_servers_error_ends_the_run() -> None:
    toolset: Any = MCPToolset(server, tool_error_behavior="error")
    agent = Agent(calls_both(), toolsets=[toolset], config=AgentConfig(graceful_tool_errors=False))
    with pytest.raises(ToolError):
        await agent.run("go")


def test_a_server_program_serves_one_sync_run_after_another() -> None:
    import sys

    program = StdioTransport(sys.executable, [str(Path(__file__).with_name("mcp_server.py"))])
    model = script(*[call("price", {"item": "tea"}, "1"), "one", call("broken", {}, "2"), "two"])
    agent = Agent(model, toolsets=[MCPToolset(program, id="shop")])
    assert agent.run_sync("go").output == "one"
    assert agent.run_sync("go on").output == "two"
    assert answers(agent) == [3, "Error executing tool broken"]


@pytest.mark.anyio
async def test_an_entered_agent_keeps_its_server_between_runs() -> None:
    toolset: Any = MCPToolset(server, id="shop")
    agent = Agent(script(call("price", {"item": "a"}, "1"), "one", call("price", {"item": "ab"}, "2"), "two"))
    with agent.override(toolsets=[toolset]):
        async with agent:
            assert toolset.is_running
            await agent.run("go")
            await agent.run("go on")
            assert toolset.is_running
    assert not toolset.is_running
    assert answers(agent) == [1, 2]
