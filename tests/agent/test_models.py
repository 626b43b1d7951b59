"""Which model an agent talks to, and with which settings."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.settings import ModelSettings

from mamba_agents.agent import Agent
from mamba_agents.agent.models import with_settings
from mamba_agents.config import AgentSettings
from mamba_agents.errors import ConfigurationError
from tests.backends.server import Answer, serving
from tests.helpers import echo, reply

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_neither_model_nor_settings_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="No model is set"):
        Agent()
    with pytest.raises(ValueError, match="No model is set"):
        Agent.from_settings(AgentSettings())


async def test_the_model_can_be_left_to_the_run() -> None:
    agent = Agent(defer_model_check=True)
    assert (await agent.run("a", model=echo())).output == "1: a"


def test_an_openai_model_by_its_bare_name_needs_only_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        Agent("gpt-4o")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    agent = Agent("gpt-4o")
    assert agent.model is not None
    assert agent.model_name == "gpt-4o"


async def test_a_bare_name_goes_to_the_server_in_the_settings_and_wins_over_theirs() -> None:
    with serving(Answer("hello"), Answer("again"), models=("mine",)) as server:
        settings = AgentSettings(model_backend={"base_url": server.url, "model": "theirs", "temperature": 0.25})
        assert (await Agent("mine", settings=settings).run("a")).output == "hello"
        assert (await Agent.from_settings(settings).run("a")).output == "again"
    assert [body["model"] for body in server.bodies] == ["mine", "theirs"]
    assert [body["temperature"] for body in server.bodies] == [0.25, 0.25]


async def test_a_name_reads_the_environment_and_a_ready_model_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Answer("hello"), models=("mine",)) as server:
        monkeypatch.setenv("MAMBA_MODEL_BACKEND__BASE_URL", server.url)
        assert (await Agent("mine").run("a")).output == "hello"
    Path("config.toml").write_text("[model_backend]\nnonsense = 1\n")
    with pytest.raises(ConfigurationError, match="nonsense"):
        Agent("mine")
    assert (await Agent(echo()).run("a")).output == "1: a"


async def test_a_bare_name_works_for_a_run_and_for_an_override_too() -> None:
    with serving(Answer("run"), Answer("override"), models=("other",)) as server:
        agent = Agent(echo(), settings=AgentSettings(model_backend={"base_url": server.url}))
        assert (await agent.run("a", model="other")).output == "run"
        with agent.override(model="other"):
            assert (await agent.run("b")).output == "override"
    assert [body["model"] for body in server.bodies] == ["other", "other"]


def test_the_model_name_is_none_for_an_instance() -> None:
    assert Agent(TestModel()).model_name is None
    assert Agent("test").model_name == "test"


SETTINGS = AgentSettings(model_backend={"temperature": 0.5, "max_tokens": 7, "timeout": 3})


def test_settings_are_below_the_agents_own_model_settings() -> None:
    assert with_settings(None, "openai:gpt-5", SETTINGS) == {"temperature": 0.5, "max_tokens": 7, "timeout": 3}
    merged = with_settings(ModelSettings(temperature=0.9), "openai:gpt-5", SETTINGS)
    assert merged == {"temperature": 0.9, "max_tokens": 7, "timeout": 3}


def test_a_ready_model_and_empty_settings_leave_model_settings_alone() -> None:
    own = ModelSettings(temperature=0.9)
    assert with_settings(own, TestModel(), SETTINGS) is own
    assert with_settings(own, "openai:gpt-5", AgentSettings()) is own


async def test_settings_reach_the_request_of_a_provider_also_below_a_function() -> None:
    seen: list[ModelSettings | None] = []

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(info.model_settings)
        return reply("done")

    def own(ctx: RunContext[Any]) -> ModelSettings:
        return ModelSettings(temperature=0.9)

    for model_settings in (None, own):
        agent = Agent("test", settings=SETTINGS, model_settings=model_settings)
        with agent.override(model=FunctionModel(respond)):
            await agent.run("a")
    assert seen == [
        {"temperature": 0.5, "max_tokens": 7, "timeout": 3},
        {"temperature": 0.9, "max_tokens": 7, "timeout": 3},
    ]


def test_an_agent_without_a_model_takes_that_of_the_settings_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMBA_MODEL_BACKEND__MODEL", "test")
    assert Agent().model_name == "test"


async def test_settings_follow_a_name_that_is_given_to_the_run() -> None:
    seen: list[Any] = []

    class Watch(AbstractCapability[Any]):
        async def before_model_request(self, ctx: RunContext[Any], request_context: Any) -> Any:
            seen.append(dict(request_context.model_settings or {}))
            return request_context

    agent = Agent(echo(), settings=SETTINGS, capabilities=[Watch()])
    await agent.run("a")
    await agent.run("a", model="test", model_settings={"max_tokens": 8})
    assert seen == [{}, {"temperature": 0.5, "max_tokens": 8, "timeout": 3}]


def test_a_hosted_model_is_shared_by_sync_and_async_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(*(Answer("hello") for _ in range(6)), models=("gpt-4o",)) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        agent = Agent("openai-chat:gpt-4o")

        async def run() -> str:
            return (await agent.run("async")).output

        for _ in range(2):
            assert agent.run_sync("sync").output == "hello"
            assert asyncio.run(run()) == "hello"
        with Agent(echo()).override(model="openai-chat:gpt-4o"):
            pass
        overridden = Agent(echo())
        with overridden.override(model="openai-chat:gpt-4o"):
            assert overridden.run_sync("sync").output == "hello"
            assert asyncio.run(overridden.run("async")).output == "hello"


def test_a_capability_that_looks_names_up_is_asked_first() -> None:
    class LookUp(AbstractCapability[Any]):
        async def resolve_model_id(self, ctx: Any, *, model_id: str) -> Any:
            return echo() if model_id == "openai:mine" else None

    assert Agent("openai:mine", capabilities=[LookUp()]).run_sync("a").output == "1: a"
