"""What nobody knows the cost of: everybody says so, and nobody takes it for nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from pydantic_ai import Agent as PlainAgent
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import RequestUsage

from mamba_agents import Agent, AgentConfig, AgentSettings, CompactionConfig
from mamba_agents.backends import create_ollama_backend
from mamba_agents.tokens import BudgetConfig
from tests.backends.server import Answer, ToLoopback, serving
from tests.helpers import call, reply, user

pytestmark = pytest.mark.anyio

FREE = {"slow": {"input": 0, "output": 0}}


async def never(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    await asyncio.Event().wait()
    raise AssertionError


def settings(rates: Any = None, **budget: Any) -> AgentSettings:
    return AgentSettings(budget=BudgetConfig(**budget), cost_rates=rates or {}, _env_file=None, _config_file=None)


async def said_of(agent: Agent[Any, Any]) -> list[object]:
    """What the only row, the record and the session say of the cost."""
    (row,) = agent.get_usage_history()
    assert not row.is_complete
    return [row.cost, agent.get_cost(), await asyncio.to_thread(lambda: agent.session().cost)]


@pytest.mark.parametrize("budget", [{}, {"day_usd": 1, "day_tokens": 100_000}])
@pytest.mark.parametrize("local", [False, True])
async def test_of_a_stream_that_ran_out_of_time_before_its_usage_came(budget: Any, local: bool) -> None:
    with serving(Answer("one two three four " * 50, pause_seconds=0.02)) as server:
        async with httpx2.AsyncClient(transport=ToLoopback(server.url)) as client:
            hosted = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(api_key="k", http_client=client))
            model = create_ollama_backend("gpt-4o", base_url=server.url) if local else hosted
            agent = Agent(model, settings=settings(run_seconds=0.3, **budget))
            stream = agent.stream("Hi")
            pieces = [piece async for piece in stream]
    assert pieces
    assert stream.result is not None
    assert stream.result.stop_reason == "timeout"
    known = 0 if local else None
    assert [stream.result.cost, *await said_of(agent)] == [known] * 4


@pytest.mark.parametrize(("rates", "known"), [(None, None), ({"slow": {"input": 1, "output": 1}}, None), (FREE, 0)])
async def test_of_a_request_that_ran_out_of_time(rates: Any, known: object) -> None:
    agent = Agent(FunctionModel(never, model_name="slow"), settings=settings(rates, run_seconds=0.05))
    result = await agent.run("Hi")
    assert result.stop_reason == "timeout"
    assert [result.cost, *await said_of(agent)] == [known] * 4


async def cancelled(awaitable: Awaitable[Any], seconds: float = 0.05) -> None:
    task = asyncio.ensure_future(awaitable)
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(("rates", "known"), [(None, None), (FREE, 0)])
async def test_of_a_request_that_was_cancelled(rates: Any, known: object) -> None:
    agent = Agent(FunctionModel(never, model_name="slow"), settings=settings(rates))
    await cancelled(agent.run("Hi"))
    assert await said_of(agent) == [known] * 3


async def test_of_a_local_server_that_was_cancelled() -> None:
    with serving(Answer("late", delay_seconds=30)) as server:
        agent = Agent(create_ollama_backend("gpt-4o", base_url=server.url))
        await cancelled(agent.run("Hi"), 0.3)
    assert await said_of(agent) == [0] * 3


@pytest.mark.parametrize(("rates", "known"), [(None, None), (FREE, 0)])
async def test_of_a_delegate_that_a_tool_left(rates: Any, known: object) -> None:
    free = settings({"function:*": {"input": 0, "output": 0}, **FREE})
    delegate = Agent(FunctionModel(never, model_name="slow"), settings=settings(rates))
    outer = Agent(
        FunctionModel(lambda messages, info: call("ask") if len(messages) == 1 else reply("ok")), settings=free
    )

    @outer.tool
    async def ask(ctx: RunContext[Any]) -> str:
        try:
            await asyncio.wait_for(delegate.run("Hi", usage=ctx.usage), 0.05)
        except TimeoutError:
            return "no answer"
        raise AssertionError

    assert (await outer.run("Hi")).cost == known


def summing_up(strategy: Callable[[FunctionModel], Any], **budget: Any) -> tuple[Agent[Any, Any], asyncio.Event]:
    """An agent that has a history summed up first, and whose summary never comes."""
    asked = asyncio.Event()

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.set()
        return await never(messages, info)

    context = CompactionConfig(
        strategy=strategy(FunctionModel(respond, model_name="slow")),
        trigger_threshold_tokens=2_000,
        target_tokens=1_500,
    )
    answering = FunctionModel(
        lambda messages, info: ModelResponse(parts=[TextPart("ok")], usage=RequestUsage(input_tokens=1)),
        model_name="quick",
    )
    return Agent(answering, settings=settings(**budget), config=AgentConfig(context=context)), asked


@pytest.mark.parametrize("budget", [{}, {"day_tokens": 10**6}])
@pytest.mark.parametrize("source", ["a model", "an agent"])
async def test_of_a_summary_that_was_cancelled(source: str, budget: Any) -> None:
    from mamba_agents.context import SummarizeOlderStrategy

    agent, asked = summing_up(
        lambda model: (
            SummarizeOlderStrategy(model=model) if source == "a model" else SummarizeOlderStrategy(PlainAgent(model))
        ),
        **budget,
    )
    said = [user("the quick brown fox " * 50), reply("ok")] * 20
    await asyncio.to_thread(agent.session().context.add_messages, said)
    run = asyncio.ensure_future(agent.run("Hi"))
    await asked.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    (row,) = agent.get_usage_history()
    assert (row.kind, row.model, row.usage.request_count) == ("compaction", "slow", 1)
    assert row.duration_seconds is not None
    assert await said_of(agent) == [None] * 3
    if budget:
        spent = agent.budget_ledger.spent("day")
        assert spent is not None
        assert (spent.tokens > 500, spent.reserved_tokens) == (True, 0)
