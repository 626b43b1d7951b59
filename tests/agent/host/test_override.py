"""`override()` changes what it names and nothing else: our layers hold inside it."""

from typing import Any

import pytest
from pydantic_ai import FunctionToolset, ModelMessage, ModelRequest, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.agent import WrapperAgent
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from mamba_agents import Agent, AgentConfig, AgentResult
from tests.helpers import call, echo, script


def always_calls(name: str) -> FunctionModel:
    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart(name, {})])

    return FunctionModel(respond)


def broken() -> str:
    """Fails."""
    raise ValueError("broken")


def instructions(result: AgentResult[Any]) -> str | None:
    request = result.all_messages()[0]
    assert isinstance(request, ModelRequest)
    return request.instructions


OVERRIDES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "model": {"model": always_calls("broken")},
    "deps": {"deps": "other"},
    "tools": {"tools": [broken]},
    "toolsets": {"toolsets": [FunctionToolset([broken], id="own")], "tools": []},
    "instructions": {"instructions": "Be rude."},
    "name": {"name": "other"},
    "model settings": {"model_settings": {"max_tokens": 3}},
    "retries": {"retries": 8},
    "a spec": {"spec": {"instructions": "Be rude.", "name": "other"}},
    "a spec with capabilities": {"spec": {"capabilities": [{"Thinking": "low"}]}},
    "a spec with our seat's capability": {"spec": {"capabilities": ["ToolSearch"]}},
}


@pytest.mark.parametrize("what", OVERRIDES)
def test_our_layers_hold_inside_an_override(what: str) -> None:
    agent = Agent(
        always_calls("broken"), tools=[broken], deps_type=str, retries=9, config=AgentConfig(max_iterations=3), name="a"
    )
    with agent.override(**OVERRIDES[what]):
        result = agent.run_sync("go", deps="d")
    told = [part.content for message in agent.messages for part in message.parts if isinstance(part, ToolReturnPart)]
    assert type(result) is AgentResult
    assert result.stop_reason == "max_iterations"
    assert told == ["ValueError: broken"] * 3


def test_memory_goes_on_inside_an_override_and_after_it() -> None:
    agent = Agent(echo())
    agent.run_sync("one")
    with agent.override(model=echo(), name="other"):
        assert agent.run_sync("two").output == "2: two"
    assert agent.run_sync("three").output == "3: three"


def test_the_system_prompt_stays_where_instructions_are_overridden() -> None:
    agent = Agent(echo(), system_prompt="You are a clerk.", instructions="Be kind.")
    with agent.override(instructions="Be rude."):
        assert instructions(agent.run_sync("one")) == "You are a clerk.\n\nBe rude."
        with agent.override(spec={"instructions": "Be brief."}):
            assert instructions(agent.session("a").run_sync("one")) == "You are a clerk.\n\nBe brief."
        with agent.override(name="other"):
            assert instructions(agent.session("b").run_sync("one")) == "You are a clerk.\n\nBe rude."
    assert instructions(agent.session("c").run_sync("one")) == "You are a clerk.\n\nBe kind."


def test_a_set_system_prompt_reaches_an_overridden_agent() -> None:
    agent = Agent(echo(), system_prompt="You are a clerk.")
    with agent.override(instructions="Be rude."):
        agent.set_system_prompt("You are a king.")
        assert instructions(agent.run_sync("one")) == "You are a king.\n\nBe rude."


@pytest.mark.anyio
async def test_a_wrapper_runs_and_overrides_ours() -> None:
    agent = Agent(echo(), system_prompt="You are a clerk.", config=AgentConfig(max_iterations=2))
    wrapper = WrapperAgent(agent)
    first = await wrapper.run("one")
    with wrapper.override(
        model=script(*[call("gone", call_id=str(n)) for n in range(3)]), instructions="Be rude.", retries=5
    ):
        second = await wrapper.run("two")
    assert type(first) is type(second) is AgentResult
    assert second.stop_reason == "max_iterations"
    assert instructions(second) == "You are a clerk."  # that of the first turn stays with it
    assert second.all_messages()[2].instructions == "You are a clerk.\n\nBe rude."
    assert len(agent.messages) == len(second.all_messages())


def test_an_override_of_tools_leaves_the_agents_own_out() -> None:
    agent = Agent(TestModel(), tools=[broken])

    def fine() -> str:
        return "fine"

    with agent.override(tools=[fine]):
        assert agent.run_sync("go").output == '{"fine":"fine"}'


def test_an_ungraceful_tool_stays_so_inside_an_override() -> None:
    agent = Agent(echo())
    agent.tool_plain(graceful_errors=False)(broken)
    with agent.override(model=script(call("broken"))), pytest.raises(ValueError, match="broken"):
        agent.run_sync("go")
