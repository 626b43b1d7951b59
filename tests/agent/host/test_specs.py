"""Agents described in YAML, JSON and dictionaries."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import AgentSpec, ModelAPIError, ModelRequest, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.models import Model
from pydantic_ai.models.test import TestModel

from mamba_agents import Agent, AgentConfig, AgentResult, AgentSettings, Session
from mamba_agents.errors import ConfigurationError

YAML = """
model: test
name: clerk
description: Answers.
instructions:
  - Be kind to {{name}}.
  - Be brief.
model_settings:
  max_tokens: 7
retries: 4
end_strategy: early
metadata:
  team: blue
capabilities:
  - Thinking: low
  - ReinjectSystemPrompt
"""


@dataclass
class Customer:
    name: str


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    path = tmp_path / "clerk.yaml"
    path.write_text(YAML)
    return path


def test_an_agent_from_a_file_is_ours_and_is_as_the_file_says(yaml_file: Path) -> None:
    agent = Agent.from_file(yaml_file, deps_type=Customer)
    result = agent.run_sync("hello", deps=Customer("Ada"))
    request = result.all_messages()[0]
    assert type(agent) is Agent
    assert type(result) is AgentResult
    assert isinstance(request, ModelRequest)
    assert request.instructions == "Be brief.\n\nBe kind to Ada."  # what changes comes last
    assert (agent.name, agent.description, agent.end_strategy) == ("clerk", "Answers.", "early")
    assert agent.model_settings == {"max_tokens": 7}
    assert result.metadata == {"team": "blue"}
    assert {type(capability).__name__ for capability in agent.root_capability.capabilities} >= {
        "Thinking",
        "ReinjectSystemPrompt",
    }


def test_an_agent_from_a_json_file_remembers(tmp_path: Path) -> None:
    path = tmp_path / "clerk.json"
    AgentSpec(model="test", name="clerk").to_file(path, schema_path=None)
    agent = Agent.from_file(path)
    agent.run_sync("one")
    agent.run_sync("two")
    assert len(agent.messages) == 4


def test_what_a_spec_has_no_word_for_is_an_argument() -> None:
    session = Session(session_id="thread")
    agent = Agent.from_spec(
        {"instructions": "Be kind."},
        model=TestModel(),
        system_prompt="You are a clerk.",
        config=AgentConfig(max_iterations=3),
        session=session,
    )
    result = agent.run_sync("hello")
    request = result.all_messages()[0]
    assert isinstance(request, ModelRequest)
    assert request.instructions == "You are a clerk.\n\nBe kind."
    assert result.session_id == "thread"
    assert agent.config.max_iterations == 3


def test_a_spec_without_a_model_takes_the_settings() -> None:
    settings = AgentSettings(model_backend={"model": "test"})
    assert isinstance(Agent.from_spec({}, settings=settings).model, TestModel)
    with pytest.raises(ValueError, match="No model is set"):
        Agent.from_spec({})


def test_an_output_schema_in_a_spec_is_the_output() -> None:
    schema = {"type": "object", "title": "City", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    agent = Agent.from_spec({"model": "test", "output_schema": schema})
    assert agent.run_sync("which?").output == {"name": "a"}


def test_a_capability_of_ones_own_is_known_to_a_spec() -> None:
    @dataclass
    class Polite(AbstractCapability[Any]):
        word: str = "please"

        def get_instructions(self) -> str:
            return f"Say {self.word}."

    spec = {"model": "test", "capabilities": [{"Polite": "thanks"}]}
    agent = Agent.from_spec(spec, custom_capability_types=[Polite])
    request = agent.run_sync("hello").all_messages()[0]
    assert isinstance(request, ModelRequest)
    assert request.instructions == "Say thanks."


def test_a_subclass_makes_its_own() -> None:
    class Clerk(Agent[None, str]):
        pass

    assert type(Clerk.from_spec({"model": "test"})) is Clerk


def test_a_tool_of_an_agent_from_a_spec_fails_gracefully() -> None:
    def broken(ctx: RunContext[object]) -> str:
        if ctx.retry == 0:
            raise ValueError("first")
        return "second"

    assert "second" in Agent.from_spec({"model": "test"}, tools=[broken]).run_sync("go").output


def server_nobody_listens_at() -> AgentSettings:
    return AgentSettings(model_backend={"base_url": "http://127.0.0.1:9/v1", "max_retries": 0})


def test_a_bare_model_name_in_a_spec_is_looked_up_in_the_settings() -> None:
    model = Agent.from_spec({"model": "mine"}, settings=server_nobody_listens_at()).model
    assert isinstance(model, Model)
    assert model.model_name == "mine"


def test_a_bare_model_name_in_a_runs_spec_is_looked_up_in_the_settings() -> None:
    agent = Agent(TestModel(), settings=server_nobody_listens_at())
    with pytest.raises(ModelAPIError) as raised:
        agent.run_sync("hello", spec={"model": "mine"})
    assert raised.value.model_name == "mine"


def test_a_bare_model_name_in_an_overriding_spec_is_looked_up_in_the_settings() -> None:
    agent = Agent(TestModel(), settings=server_nobody_listens_at())
    with agent.override(spec={"model": "mine"}), pytest.raises(ModelAPIError) as raised:
        agent.run_sync("hello")
    assert raised.value.model_name == "mine"


def test_a_provider_that_does_not_exist_is_told_at_construction() -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        Agent.from_spec({"model": "nowhere:model"})
