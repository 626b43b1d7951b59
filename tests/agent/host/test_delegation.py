"""Agents as tools of agents."""

import asyncio
from typing import Any

import pytest
from pydantic_ai import ModelMessage, ModelResponse, RunContext, ToolCallPart, UsageLimitExceeded, UsageLimits
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents import Agent, AgentConfig
from tests.helpers import call, echo, prompts, reply, script


def asks_twice_at_once() -> FunctionModel:
    calls = [ToolCallPart("ask", {"question": q}, tool_call_id=q) for q in ("one", "two")]
    return script(ModelResponse(parts=calls), "done")


def with_delegate(model: FunctionModel, delegate: Agent[Any, str], **options: Any) -> Agent[Any, str]:
    agent: Agent[Any, str] = Agent(model)

    @agent.tool
    async def ask(ctx: RunContext[Any], question: str) -> str:
        return (await delegate.run(question, usage=ctx.usage, **options)).output

    return agent


def answers(agent: Agent[Any, Any]) -> list[object]:
    return [part.content for message in agent.messages for part in message.parts if part.part_kind == "tool-return"]


@pytest.mark.anyio
async def test_shared_usage_is_the_results_and_each_agent_bills_its_own() -> None:
    delegate = Agent(echo())
    agent = with_delegate(script(call("ask", {"question": "?"}), "done"), delegate)
    result = await agent.run("go")
    assert result.usage.requests == 3
    assert (agent.get_usage().request_count, delegate.get_usage().request_count) == (2, 1)
    total = agent.get_usage().prompt_tokens + delegate.get_usage().prompt_tokens
    assert result.usage.input_tokens == total


@pytest.mark.anyio
async def test_a_delegate_remembers_what_it_was_asked_also_when_asked_at_once() -> None:
    delegate = Agent(echo())
    agent = with_delegate(asks_twice_at_once(), delegate)
    await agent.run("go")
    assert answers(agent) == ["1: one", "2: two"]
    assert prompts(delegate.session(agent.session().id).messages) == ["one", "two"]


@pytest.mark.anyio
async def test_a_delegate_in_a_new_conversation_remembers_nothing() -> None:
    delegate = Agent(echo())
    agent = with_delegate(asks_twice_at_once(), delegate, conversation_id="new")
    await agent.run("go")
    assert answers(agent) == ["1: one", "1: two"]
    assert delegate.messages == []


@pytest.mark.anyio
async def test_delegates_in_new_conversations_run_at_once() -> None:
    both = asyncio.Barrier(2)

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await both.wait()
        return reply("met")

    agent = with_delegate(asks_twice_at_once(), Agent(FunctionModel(respond)), conversation_id="new")
    async with asyncio.timeout(10):
        await agent.run("go")
    assert answers(agent) == ["met", "met"]


@pytest.mark.anyio
async def test_the_callers_limit_holds_for_delegates() -> None:
    agent = with_delegate(
        script(call("ask", {"question": "?"}), "done"), Agent(echo(), config=AgentConfig(graceful_tool_errors=False))
    )

    @agent.tool
    async def unused(ctx: RunContext[Any]) -> str:
        return ""

    with pytest.raises(UsageLimitExceeded):
        await agent.run("go", usage_limits=UsageLimits(request_limit=2))


@pytest.mark.anyio
async def test_an_agent_that_calls_itself_does_not_wait_for_itself() -> None:
    model = script(call("again", {}), "inner", "outer")
    agent: Agent[Any, str] = Agent(model)

    @agent.tool
    async def again(ctx: RunContext[Any]) -> str:
        return (await agent.run("inside", usage=ctx.usage)).output

    async with asyncio.timeout(10):
        result = await agent.run("outside")
    assert result.output == "outer"
    assert result.usage.requests == 3


@pytest.mark.anyio
async def test_what_goes_wrong_in_a_delegate_is_told_to_the_caller() -> None:
    def fail(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise ConnectionError("down")

    agent = with_delegate(script(call("ask", {"question": "?"}), "noted"), Agent(FunctionModel(fail)))
    assert (await agent.run("go")).output == "noted"
    assert answers(agent) == ["ConnectionError: down"]
