"""What a run gives back."""

import pickle
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_ai import AgentRunResult, RunContext, SkipModelRequest
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from mamba_agents.agent import Agent, AgentConfig, AgentResult
from mamba_agents.config import AgentSettings
from mamba_agents.tokens import ModelRate, TokenCounter, TokenizerConfig
from tests.helpers import call, echo

pytestmark = pytest.mark.anyio


def priced(*costs: Decimal | None) -> FunctionModel:
    """A model that calls a tool once for every cost but the last."""
    left = list(costs)

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        usage = RequestUsage(input_tokens=10, output_tokens=5, cost=left.pop(0))
        response = call("look") if left else ModelResponse(parts=[TextPart("done")])
        response.usage = usage
        return response

    return FunctionModel(respond)


async def run_priced(*costs: Decimal | None) -> tuple[Agent[Any, str], AgentResult[str]]:
    agent = Agent(priced(*costs))
    agent.tool_plain(lambda: "ok", name="look")
    return agent, await agent.run("a")


async def test_the_cost_is_the_sum_of_all_requests() -> None:
    agent, result = await run_priced(Decimal("0.01"), Decimal("0.002"))
    assert result.cost == agent.get_cost() == agent.session().cost == Decimal("0.012")


async def test_one_unknown_price_makes_the_cost_unknown_and_zero_is_known() -> None:
    agent, result = await run_priced(Decimal("0.01"), None)
    assert (result.cost, agent.get_cost(), agent.session().cost) == (None, None, None)
    _, free = await run_priced(Decimal(0), Decimal(0))
    assert free.cost == 0
    assert free.cost is not None


async def test_what_a_delegate_spent_is_in_the_cost() -> None:
    inner = Agent(priced(Decimal("0.5")))
    outer = Agent(priced(Decimal("0.01"), Decimal("0.01")))

    @outer.tool
    async def look(ctx: RunContext[object]) -> str:
        return (await inner.run("b", usage=ctx.usage)).output

    assert (await outer.run("a")).cost == Decimal("0.52")
    assert outer.get_cost() == Decimal("0.02")


async def test_its_fields_are_those_of_pydantic_ai_and_ours() -> None:
    agent = Agent(echo())
    result = await agent.run("a")
    assert isinstance(result, AgentRunResult)
    assert (result.output, result.data) == ("1: a", "1: a")
    assert result.usage.requests == 1
    assert result.session_id == result.conversation_id == agent.session().id
    assert result.run_id
    assert result.stop_reason == "completed"
    assert len(result.new_messages()) == len(result.all_messages()) == 2
    assert repr(result) == "AgentResult(output='1: a')"


async def test_it_survives_pickling_and_pydantic() -> None:
    result = await Agent(echo()).run("a")
    back = pickle.loads(pickle.dumps(result))
    assert type(back) is AgentResult
    assert (back.output, back.stop_reason, back.session_id, back.cost) == (
        "1: a",
        "completed",
        result.session_id,
        None,
    )
    assert back.all_messages() == result.all_messages()
    adapter = TypeAdapter(AgentRunResult[str])
    assert adapter.validate_json(adapter.dump_json(result)).all_messages() == result.all_messages()


async def test_an_answer_in_place_of_the_models_is_no_request_and_costs_nothing() -> None:
    class Block(AbstractCapability[Any]):
        async def before_model_request(self, ctx: RunContext[Any], request_context: Any) -> Any:
            raise SkipModelRequest(ModelResponse(parts=[TextPart("blocked")]))

    agent = Agent(echo(), capabilities=[Block()])
    result = await agent.run("a")
    assert (result.output, result.cost, result.stop_reason) == ("blocked", Decimal(0), "completed")
    assert agent.get_usage().request_count == 0


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_an_answer_the_provider_cut_says_so(reason: Any) -> None:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart("half an ans")], finish_reason=reason)

    assert (await Agent(FunctionModel(respond)).run("a")).stop_reason == reason


RATES = {"model-x": ModelRate(input=Decimal(1), output=Decimal(2))}


def model_x() -> FunctionModel:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart("x")], usage=RequestUsage(input_tokens=1_000_000, output_tokens=500_000))

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        yield "x"

    return FunctionModel(respond, stream_function=stream, model_name="model-x")


@pytest.mark.parametrize("named", [lambda rate: {"model-x": rate}, lambda rate: {"function:model-x": rate}])
async def test_rates_from_settings_price_every_request(named: Callable[[ModelRate], dict[str, ModelRate]]) -> None:
    settings = AgentSettings(cost_rates=named(RATES["model-x"]))
    agent = Agent(model_x(), settings=settings)
    result = await agent.run("a")
    assert result.cost == agent.get_cost() == Decimal(2)
    assert result.usage.cost == Decimal(2)


async def test_rates_from_settings_price_streams() -> None:
    agent = Agent(model_x(), settings=AgentSettings(cost_rates=RATES))
    stream = agent.stream("a")
    assert [text async for text in stream] == ["x"]
    assert stream.result is not None
    usage = stream.result.usage
    assert usage.input_tokens > 0
    assert stream.result.cost == (usage.input_tokens + usage.output_tokens * 2) / Decimal(1_000_000)


async def test_rates_for_other_models_change_nothing() -> None:
    agent = Agent(echo(), settings=AgentSettings(cost_rates=RATES))
    assert (await agent.run("a")).cost is None


async def test_usage_is_recorded_by_request_with_run_and_session_and_can_be_reset() -> None:
    agent = Agent(echo(), config=AgentConfig(max_iterations=3))
    result = await agent.session("u").run("a")
    (record,) = agent.get_usage_history()
    assert (record.run_id, record.session_id) == (result.run_id, "u")
    assert record.model == "function:respond:stream"
    assert record.timestamp.tzinfo is not None
    assert agent.get_usage().total_tokens == result.usage.total_tokens
    agent.reset_all()
    assert agent.get_usage().request_count == 0
    assert agent.get_usage_history() == []


async def test_token_counts_are_those_of_the_text_or_those_that_the_provider_reported_of_the_conversation() -> None:
    agent = Agent(echo())
    assert agent.get_token_count("hello world") == 2
    without_messages = agent.get_token_count()
    assert without_messages < 10
    result = await agent.run("a")
    assert agent.get_token_count() == result.usage.total_tokens > without_messages


async def test_the_cost_comes_in_and_out_apart_where_that_is_known() -> None:
    agent = Agent(model_x(), settings=AgentSettings(cost_rates=RATES))
    await agent.run("a")
    breakdown = agent.get_cost_breakdown()
    assert breakdown is not None
    assert (breakdown.prompt_cost, breakdown.completion_cost, breakdown.total_cost) == (1, 1, 2)
    assert breakdown.model == "model-x"
    assert agent.cost_estimator.get_rate("model-x") == RATES["model-x"]
    unknown = Agent(echo())
    await unknown.run("a")
    assert unknown.get_cost_breakdown() is None


def test_tokens_are_counted_as_the_config_says_and_else_as_the_settings_say() -> None:
    text = "人工智能正在改变世界"
    old, new = TokenizerConfig(encoding="cl100k_base"), TokenizerConfig(encoding="o200k_base")
    settings = AgentSettings(tokenizer=old)
    by_settings = Agent(echo(), settings=settings).get_token_count(text)
    by_config = Agent(echo(), settings=settings, config=AgentConfig(tokenizer=new)).get_token_count(text)
    assert by_settings == TokenCounter(old).count(text)
    assert by_config == TokenCounter(new).count(text) != by_settings
