"""What the context of a session is measured with."""

import asyncio
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents import Agent, AgentConfig, CompactionConfig
from mamba_agents.sessions import ContextCleared
from tests.agent.budgets import obedient, priced
from tests.helpers import prompts, reply, user

pytestmark = pytest.mark.anyio

WORDS = "lorem ipsum dolor " * 150


def windowed(window: int, respond: Any = lambda messages, info: reply("ok")) -> FunctionModel:
    return FunctionModel(respond, profile={"context_window": window})


async def test_what_one_sessions_requests_carry_is_not_counted_in_anothers() -> None:
    agent = Agent(priced(obedient(10, 5)))
    one, other = agent.session("one"), agent.session("other")
    await one.run("hi")
    before = one.context.get_token_count()
    await other.run("hi", instructions="word " * 5_000)
    assert one.context.get_token_count() == before
    await other.log.append([ContextCleared()])
    assert other.context.get_token_count() > 5_000
    await one.log.append([ContextCleared()])
    assert one.context.get_token_count() < 50


async def test_the_model_of_an_override_is_the_one_that_the_context_is_kept_for() -> None:
    agent = Agent(windowed(1_000))
    with agent.override(model=windowed(100_000)):
        assert agent.get_context_state().window_tokens == 100_000
        assert (await asyncio.to_thread(agent.get_context_state)).window_tokens == 100_000
        with agent.override(model=windowed(5_000)):
            assert agent.get_context_state().window_tokens == 5_000
    assert agent.get_context_state().window_tokens == 1_000


async def test_should_compact_plan_and_compact_keep_to_the_model_of_an_override() -> None:
    agent = Agent(windowed(4_000), config=AgentConfig(context=CompactionConfig(strategy="sliding_window")))
    agent.session().context.add_messages([message for _ in range(6) for message in (user(WORDS), reply(WORDS))])
    with agent.override(model=windowed(100_000)):
        assert not agent.should_compact()
        assert (await agent.session().context.plan()).tokens_before < 100_000 / 2
        assert (await agent.session().context.plan()).freed_tokens == 0
        assert (await agent.compact()).removed_count == 0
    assert agent.should_compact()
    assert (await agent.session().context.plan()).freed_tokens
    assert (await agent.compact()).removed_count > 0


async def test_the_model_of_an_override_writes_the_summary() -> None:
    asked: list[str] = []

    def named(name: str) -> FunctionModel:
        def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            if "<transcript>" in str(prompts(messages)):
                asked.append(name)
            return reply("## Goal\ncount foxes")

        return windowed(4_000, respond)

    config = CompactionConfig(strategy="summarize_older", preserve_recent_turns=1)
    agent = Agent(named("own"), config=AgentConfig(context=config))
    agent.session().context.add_messages([message for _ in range(6) for message in (user(WORDS), reply(WORDS))])
    with agent.override(model=named("other")):
        await agent.compact()
    assert set(asked) == {"other"}
