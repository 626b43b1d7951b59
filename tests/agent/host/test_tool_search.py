"""`ToolSearch`, which an agent has unasked, brought by the user in every way that pydantic-ai has."""

from typing import Any

import pytest
from pydantic_ai import ModelMessage, ModelProfile, ModelResponse
from pydantic_ai.capabilities import ToolSearch
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents import Agent, AgentConfig, AgentResult
from tests.helpers import call, reply


def own_search(ctx: Any, queries: Any, tools: Any) -> list[str]:
    return ["hidden"]


NO_SEARCH_OF_ITS_OWN = ModelProfile(supported_native_tools=frozenset())
ONE: dict[str, Any] = {"capabilities": [ToolSearch()]}
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "not at all": ({}, {}),
    "at construction": (ONE, {}),
    "at the run": ({}, ONE),
    "at the run by a function": ({}, {"capabilities": [lambda ctx: ToolSearch()]}),
    "at the run by a spec": ({}, {"spec": {"capabilities": ["ToolSearch"]}}),
    "at construction and at the run": (ONE, ONE),
    "with a search of its own": ({"capabilities": [ToolSearch(strategy=own_search)]}, {}),
    "with a search of its own at the run": ({}, {"capabilities": [ToolSearch(strategy=own_search)]}),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_hidden_tool_is_found_and_our_layers_hold(way: str) -> None:
    offered: list[list[str]] = []

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        offered.append([tool.name for tool in info.function_tools])
        match len(offered):
            case 1:
                return call("search_tools", {"queries": ["hidden thing"]}, "1")
            case 2 | 3:
                return call("hidden", {}, str(len(offered)))
            case _:
                return reply("not reached")

    at_construction, at_run = WAYS[way]
    agent: Agent[Any, str] = Agent(
        FunctionModel(respond, profile=NO_SEARCH_OF_ITS_OWN),
        retries=9,
        config=AgentConfig(max_iterations=3),
        **at_construction,
    )

    @agent.tool_plain(defer_loading=True)
    def hidden() -> str:
        """A hidden thing."""
        raise ValueError("found and broken")

    result = agent.run_sync("go", **at_run)
    assert offered[0] == ["search_tools"]
    assert "hidden" in offered[1]
    assert "ValueError: found and broken" in str(agent.messages)
    assert type(result) is AgentResult
    assert result.stop_reason == "max_iterations"


def test_a_search_of_ones_own_is_the_one_that_searches() -> None:
    searched: list[object] = []

    def search(ctx: Any, queries: Any, tools: Any) -> list[str]:
        searched.append(queries)
        return []

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return call("search_tools", {"queries": ["it"]}) if len(messages) == 1 else reply("done")

    agent = Agent(FunctionModel(respond, profile=NO_SEARCH_OF_ITS_OWN))
    agent.tool_plain(defer_loading=True, name="it")(lambda: "it")
    agent.run_sync("go", capabilities=[ToolSearch(strategy=search)])
    assert searched == [["it"]]
