"""What a run leaves in the usage record: one row for every reply that was billed, however the run ends."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from pydantic_ai import Agent as HostAgent
from pydantic_ai import FallbackExceptionGroup, ModelRetry, RunContext, RunUsage
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import RequestUsage

from mamba_agents.agent import Agent, AgentConfig
from mamba_agents.agent.layers.metering import MeasureRequests
from mamba_agents.agent.layers.pricing import PriceRequests
from mamba_agents.agent.usage_rows import response_rows, run_rows
from mamba_agents.backends import create_ollama_backend
from mamba_agents.config import AgentSettings
from mamba_agents.tokens import BudgetConfig, CostEstimator, ModelRate, UsageRecord, UsageTracker
from tests.backends.server import Answer, ToLoopback, chunk, serving, tool_call
from tests.helpers import call, echo, reply

pytestmark = pytest.mark.anyio

CENT = Decimal("0.01")
RATE = ModelRate(input=Decimal(1), output=Decimal(2))


def used(tokens: int = 10, cost: Decimal | None = CENT) -> RequestUsage:
    return RequestUsage(input_tokens=tokens, output_tokens=5, cost=cost)


def replying(*replies: ModelResponse | Exception, name: str = "model-x") -> FunctionModel:
    """A model that gives these in order, and raises those that are exceptions."""
    left = list(replies)

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return FunctionModel(respond, model_name=name)


def saying(text: str = "done", *, cost: Decimal | None = CENT) -> ModelResponse:
    return ModelResponse(parts=[TextPart(text)], usage=used(cost=cost))


def calling(*tools: str, cost: Decimal | None = CENT) -> ModelResponse:
    calls = [ToolCallPart(tool, {}, tool_call_id=f"call-{place}") for place, tool in enumerate(tools)]
    return ModelResponse(parts=calls, usage=used(cost=cost))


def looking(model: Model, **options: Any) -> Agent[Any, str]:
    """An agent with a tool `look`."""
    agent = Agent(model, **options)
    agent.tool_plain(lambda: "ok", name="look")
    return agent


def kinds(agent: Agent[Any, Any]) -> list[str]:
    return [record.kind for record in agent.get_usage_history()]


async def test_a_reply_is_a_row_with_all_that_is_known_of_it() -> None:
    usage = RequestUsage(
        input_tokens=100,
        output_tokens=50,
        cache_read_tokens=40,
        cache_write_tokens=20,
        cache_write_1h_tokens=5,
        input_audio_tokens=10,
        cache_audio_read_tokens=4,
        output_audio_tokens=6,
        details={"reasoning_tokens": 30},
        cost=CENT,
    )
    first = ModelResponse(parts=calling("look", "look").parts, usage=usage, provider_name="openai")
    agent = looking(replying(first, saying()))
    result = await agent.session("s").run("a")
    row, last = agent.get_usage_history()
    assert (row.run_id, row.session_id, row.index, last.index) == (result.run_id, "s", 0, 1)
    assert (row.model, row.provider, row.kind, row.cost) == ("model-x", "openai", "response", CENT)
    assert (row.tool_calls, last.tool_calls) == (("look", "look"), ())
    assert (row.is_complete, row.timestamp.tzinfo is not None) == (True, True)
    assert row.duration_seconds is not None
    assert last.duration_seconds is not None
    tokens = row.usage
    assert (tokens.prompt_tokens, tokens.completion_tokens, tokens.total_tokens) == (100, 50, 150)
    assert (tokens.cached_tokens, tokens.cache_write_tokens, tokens.cache_write_1h_tokens) == (40, 20, 5)
    assert (tokens.input_audio_tokens, tokens.cached_audio_tokens, tokens.output_audio_tokens) == (10, 4, 6)
    assert tokens.reasoning_tokens == 30


async def test_the_duration_is_the_models_own_and_not_that_of_the_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("mamba_agents.agent.layers.metering.perf_counter", lambda: now[0])

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        now[0] += 2
        return call("slow") if len(messages) == 1 else reply("done")

    agent = Agent(FunctionModel(respond))

    @agent.tool_plain
    def slow() -> str:
        now[0] += 100
        return "ok"

    await agent.run("a")
    assert [record.duration_seconds for record in agent.get_usage_history()] == [2, 2]


async def test_a_run_that_fails_leaves_what_was_answered() -> None:
    agent = looking(replying(calling("look"), ValueError("broken")))
    with pytest.raises(ValueError, match="broken"):
        await agent.run("a")
    (row,) = agent.get_usage_history()
    assert (row.tool_calls, row.cost) == (("look",), CENT)


async def test_a_run_that_is_cancelled_leaves_what_was_answered() -> None:
    waiting = asyncio.Event()
    agent = Agent(replying(calling("wait")))

    @agent.tool_plain
    async def wait() -> str:
        waiting.set()
        await asyncio.sleep(60)
        return "never"

    task = asyncio.create_task(agent.run("a"))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [record.cost for record in agent.get_usage_history()] == [CENT]


async def test_a_reply_that_a_hook_refused_was_billed() -> None:
    class Refuse(AbstractCapability[Any]):
        async def after_model_request(self, ctx: Any, *, request_context: Any, response: ModelResponse) -> Any:
            raise RuntimeError("refused")

    agent = Agent(replying(saying()), capabilities=[Refuse()])
    with pytest.raises(RuntimeError, match="refused"):
        await agent.run("a")
    assert [record.cost for record in agent.get_usage_history()] == [CENT]


async def test_a_reply_that_a_hook_sent_back_is_a_row_as_its_successor_is() -> None:
    class SendBack(AbstractCapability[Any]):
        async def after_model_request(self, ctx: Any, *, request_context: Any, response: ModelResponse) -> Any:
            if response.text == "bad":
                raise ModelRetry("again")
            return response

    agent = Agent(replying(saying("bad"), saying("good")), capabilities=[SendBack()])
    result = await agent.run("a")
    assert [record.cost for record in agent.get_usage_history()] == [CENT, CENT]
    assert result.cost == agent.get_cost() == 2 * CENT


async def test_the_same_reply_object_given_twice_is_two_rows() -> None:
    same = calling("look")
    agent = looking(replying(same, same, saying()))
    await agent.run("a")
    assert [record.index for record in agent.get_usage_history()] == [0, 1, 2]


async def left_by_break(agent: Agent[Any, str]) -> None:
    async with agent.stream("a") as stream:
        async for _ in stream:
            break


async def left_by_error(agent: Agent[Any, str]) -> None:
    with pytest.raises(KeyError):
        async with agent.run_stream("a") as streamed:
            async for _ in streamed.stream_text(delta=True, debounce_by=None):
                raise KeyError


@pytest.mark.parametrize("leave", [left_by_break, left_by_error])
async def test_a_half_streamed_run_is_a_row_that_says_it_was_cut(leave: Callable[..., Any]) -> None:
    agent = Agent(echo())
    await leave(agent)
    (row,) = agent.get_usage_history()
    assert not row.is_complete
    assert row.usage.prompt_tokens > 0
    assert row.duration_seconds is not None


async def test_a_whole_stream_is_a_row_like_any_other() -> None:
    agent = Agent(echo())
    assert [piece async for piece in agent.stream("a")]
    (row,) = agent.get_usage_history()
    assert (row.is_complete, row.kind) == (True, "response")
    assert row.duration_seconds is not None


COUNTED = {"prompt_tokens": 70, "completion_tokens": 1, "total_tokens": 71}


async def test_a_cut_stream_keeps_the_usage_that_came_before_the_cut() -> None:
    chunks = [chunk({"role": "assistant", "content": "one "}, usage=COUNTED), *[chunk({"content": "more "})] * 50]
    with serving(Answer(chunks=chunks, pause_seconds=0.01)) as server:
        agent = Agent(create_ollama_backend("gpt-4o", base_url=server.url))
        await left_by_break(agent)
    (row,) = agent.get_usage_history()
    assert (row.is_complete, row.usage.prompt_tokens, row.cost) == (False, 70, 0)


async def test_a_connection_that_breaks_in_the_middle_leaves_a_row() -> None:
    with serving(Answer(tool_calls=[tool_call("look")]), Answer("one two three", cut=True)) as server:
        agent = looking(create_ollama_backend("llama3.2", base_url=server.url, max_retries=0))
        with pytest.raises(Exception, match=r"."):
            await left_by_reading_all(agent)
    assert [record.is_complete for record in agent.get_usage_history()] == [True, False]


async def left_by_reading_all(agent: Agent[Any, str]) -> None:
    async for _ in agent.stream("a"):
        pass


async def test_an_answer_nobody_asked_a_model_for_is_no_row() -> None:
    agent = looking(replying(calling("look")), config=AgentConfig(max_iterations=1))
    result = await agent.run("a")
    assert (result.stop_reason, kinds(agent)) == ("max_iterations", ["response"])
    assert result.cost == CENT


def refuse_refusals(response: ModelResponse) -> bool:
    return response.text == "no"


async def test_what_a_fallback_model_turned_down_is_a_row_of_its_own() -> None:
    model = FallbackModel(replying(saying("no"), name="first"), replying(saying()), fallback_on=refuse_refusals)
    agent = Agent(model)
    result = await agent.run("a")
    rejected, answer = agent.get_usage_history()
    assert (rejected.kind, rejected.model, rejected.cost) == ("rejected", "first", CENT)
    assert rejected.duration_seconds is not None
    assert (answer.kind, answer.model) == ("response", "model-x")
    assert result.cost == agent.get_cost() == 2 * CENT


async def test_an_unpriced_refusal_makes_the_cost_unknown() -> None:
    model = FallbackModel(replying(saying("no", cost=None)), replying(saying()), fallback_on=refuse_refusals)
    agent = Agent(model)
    assert ((await agent.run("a")).cost, agent.get_cost()) == (None, None)
    assert agent.usage_tracker.get_total().unpriced_requests == 1


async def test_when_all_models_are_turned_down_the_run_fails_and_their_rows_stay() -> None:
    model = FallbackModel(replying(saying("no")), replying(saying("no")), fallback_on=refuse_refusals)
    agent = Agent(model)
    with pytest.raises(FallbackExceptionGroup):
        await agent.run("a")
    assert kinds(agent) == ["rejected", "rejected"]
    assert agent.get_cost() == 2 * CENT


class DropHistory(AbstractCapability[Any]):
    """Takes all but the newest request out of the run."""

    async def before_model_request(self, ctx: RunContext[Any], request_context: Any) -> Any:
        ctx.messages[:] = [ctx.messages[0], ctx.messages[-1]] if len(ctx.messages) > 4 else ctx.messages
        return request_context


@pytest.mark.parametrize(("cost", "whole"), [(CENT, 5 * CENT), (None, None)])
async def test_replies_that_compaction_took_out_are_in_the_cost(cost: Decimal | None, whole: Decimal | None) -> None:
    model = replying(calling("look", cost=cost), *[calling("look")] * 3, saying())
    agent = looking(model, capabilities=[DropHistory()])
    result = await agent.run("a")
    assert len([message for message in result.new_messages() if isinstance(message, ModelResponse)]) < 5
    assert result.cost == agent.get_cost() == whole
    assert len(agent.get_usage_history()) == 5


async def outer_run(inner: HostAgent[Any, str], *, usage: RunUsage | None = None) -> tuple[Agent[Any, str], Any]:
    """An agent that asks the inner one four times at once, and its result."""
    agent = Agent(replying(calling(*["ask"] * 4), saying()))

    @agent.tool
    async def ask(ctx: RunContext[Any]) -> str:
        return (await inner.run("b", usage=ctx.usage)).output

    return agent, await agent.run("a", usage=usage)


async def test_agents_that_share_usage_record_their_own_replies_only() -> None:
    inner = Agent(replying(*[saying(cost=Decimal("0.5")) for _ in range(4)]))
    outer, result = await outer_run(inner)
    assert (len(outer.get_usage_history()), outer.get_cost()) == (2, 2 * CENT)
    assert (len(inner.get_usage_history()), inner.get_cost()) == (4, 2)
    assert result.cost == result.usage.cost == 2 + 2 * CENT
    together = outer.get_usage() + inner.get_usage()
    assert (together.total_tokens, together.request_count) == (result.usage.total_tokens, result.usage.requests)


async def test_a_delegates_unknown_price_makes_the_whole_unknown() -> None:
    inner = Agent(replying(saying(), saying(cost=None), saying(), saying()))
    outer, result = await outer_run(inner)
    assert result.cost is None
    assert outer.get_cost() == 2 * CENT
    assert inner.usage_tracker.get_total().unpriced_requests == 1
    assert inner.usage_tracker.get_total().known_cost == 3 * CENT


async def test_a_usage_that_goes_from_run_to_run_remembers_what_is_unknown() -> None:
    shared = RunUsage()
    agent = Agent(replying(saying(cost=None), saying()))
    assert (await agent.run("a", usage=shared)).cost is None
    assert (await agent.run("b", usage=shared)).cost is None
    apart = Agent(replying(saying(cost=None), saying()))
    assert (await apart.run("a")).cost is None
    assert (await apart.run("b")).cost == CENT


async def test_a_plain_delegates_known_cost_is_in_the_whole() -> None:
    _, result = await outer_run(HostAgent(replying(*[saying() for _ in range(4)])))
    assert result.cost == 6 * CENT


class Summarize(AbstractCapability[Any]):
    """Asks another model on the side, and bills the run for it."""

    def __init__(self, metering: MeasureRequests, reply: ModelResponse) -> None:
        self.metering = metering
        self.reply = reply

    async def before_model_request(self, ctx: RunContext[Any], request_context: Any) -> Any:
        ctx.usage.incr(self.reply.usage)
        self.metering.billed(ctx, [self.reply])
        return request_context


async def summarized(reply: ModelResponse, metering: MeasureRequests) -> tuple[list[UsageRecord], RunUsage]:
    """The rows and the usage of a run that asks for a summary too."""
    agent = HostAgent(replying(saying()), capabilities=[Summarize(metering, reply), metering])
    result = await agent.run("a")
    measured = metering.finish(result.run_id, result.usage)
    assert metering.running == {}
    return run_rows(measured, result.new_messages(), run_id=result.run_id, session_id="s"), result.usage


def summary(name: str = "summariser", cost: Decimal | None = CENT, **fields: Any) -> ModelResponse:
    return ModelResponse(parts=[TextPart("short")], usage=used(cost=cost), model_name=name, **fields)


async def test_a_summary_is_a_row_of_the_run_under_its_own_kind() -> None:
    rows, usage = await summarized(summary(), MeasureRequests())
    assert [(row.kind, row.model, row.index) for row in rows] == [
        ("compaction", "summariser", 0),
        ("response", "model-x", 0),
    ]
    assert len({row.run_id for row in rows}) == 1
    assert {row.session_id for row in rows} == {"s"}
    assert (usage.cost, usage.requests) == (2 * CENT, 1)
    tracker = UsageTracker()
    tracker.add(rows)
    assert {kind: spent.cost for kind, spent in tracker.get_breakdown_by_kind().items()} == {
        "compaction": CENT,
        "response": CENT,
    }


HOSTED = {"provider_name": "openai", "provider_url": "https://api.openai.com/v1"}
LOCAL = {"provider_name": "openai", "provider_url": "http://localhost:8000/v1"}
PRIVATE = {"provider_name": "openai", "provider_url": "http://10.0.0.1/v1"}


@pytest.mark.parametrize(
    ("reply", "cost"),
    [
        # openai.com/api/pricing, read 2026-11-22: gpt-4o is 2.50 USD in and 10.00 USD out for a million tokens.
        (summary("gpt-4o", None, **HOSTED), Decimal("0.000075")),
        (summary("gpt-4o", CENT, **LOCAL), Decimal(0)),
        (summary("gpt-4o", CENT, **PRIVATE), None),
        (summary("rated", None), Decimal("0.00002")),
        (summary("nobody-knows", None), None),
    ],
)
async def test_a_summary_has_the_price_that_a_reply_in_a_run_would_have(
    reply: ModelResponse, cost: Decimal | None
) -> None:
    rows, usage = await summarized(reply, MeasureRequests(PriceRequests(CostEstimator({"rated": RATE}))))
    assert rows[0].cost == cost
    assert usage.cost == CENT + (cost or 0)


async def test_a_summary_outside_of_a_run_has_its_session_and_no_run() -> None:
    reply = summary("rated", None)
    (row,) = response_rows([reply], rates=PriceRequests(CostEstimator({"rated": RATE})), session_id="s")
    assert (row.kind, row.session_id, row.run_id, row.key) == ("compaction", "s", None, None)
    assert row.cost == reply.usage.cost == Decimal("0.00002")


async def test_a_model_is_priced_by_the_same_wrapper_every_time() -> None:
    """So that what other layers know of the wrapper stays known."""
    layer, models = (
        PriceRequests(CostEstimator({"model-*": RATE})),
        [replying(name=f"model-{place}") for place in range(40)],
    )
    wrapper = layer.get_wrapper_model(models[0])
    assert wrapper is not None
    assert layer.get_wrapper_model(models[0]) is wrapper
    wrapped = [layer.get_wrapper_model(model) for model in models]
    assert [isinstance(each, WrapperModel) and each.wrapped for each in wrapped] == models
    assert layer.get_wrapper_model(echo()) is None


async def test_a_run_that_is_replayed_is_not_counted_twice() -> None:
    agent = looking(replying(calling("look"), saying()))
    await agent.run("a")
    before, history = agent.get_usage(), agent.get_usage_history()
    agent.usage_tracker.add([UsageRecord(**{name: getattr(row, name) for name in row.__slots__}) for row in history])
    assert (agent.get_usage(), len(agent.get_usage_history())) == (before, 2)


async def test_two_runs_under_one_id_are_both_counted() -> None:
    """As pydantic-ai allows when a failed run is tried again: it asks, and is billed, anew."""
    agent = Agent(replying(saying(), saying()))
    await agent.session("s").run("a", run_id="same")
    await agent.session("t").run("a", run_id="same")
    assert agent.get_usage().request_count == 2


def plain(url: str, name: str = "gpt-4o") -> OpenAIChatModel:
    """pydantic-ai's own model, which takes a server for OpenAI's."""
    return OpenAIChatModel(name, provider=OpenAIProvider(base_url=url, api_key="k"))


async def costs(agent: Agent[Any, str]) -> list[Decimal | None]:
    """Of a run and of a stream: to the result, to pydantic-ai, to the record and to the session."""
    async with agent:
        whole = await agent.run("Hi")
        stream = agent.stream("Hi")
        async for _ in stream:
            pass
    assert stream.result is not None
    rows = [record.cost for record in agent.get_usage_history()]
    own = [whole.cost, whole.usage.cost, stream.result.cost, stream.result.usage.cost]
    return [*own, *rows, agent.get_cost(), agent.session().cost]


async def test_a_local_server_is_not_billed_as_the_hosted_model_it_is_named_like() -> None:
    with serving() as server:
        assert set(await costs(Agent(plain(server.url)))) == {Decimal(0)}


async def test_a_hosted_reply_that_was_cut_before_its_usage_came_has_an_unknown_price() -> None:
    with serving(Answer(), Answer("one two three four", pause_seconds=0.01)) as server:
        async with httpx2.AsyncClient(transport=ToLoopback(server.url)) as client:
            agent = Agent(OpenAIChatModel("gpt-4o", provider=OpenAIProvider(api_key="k", http_client=client)))
            whole = await agent.run("Hi")
            await left_by_break(agent)
    first, cut = agent.get_usage_history()
    assert whole.cost == first.cost == Decimal("0.0000475")  # of 7 tokens in and 3 out, as above
    assert (cut.is_complete, cut.cost, agent.get_cost()) == (False, None, None)
    assert agent.usage_tracker.get_total().known_cost == whole.cost
    assert agent.session().cost is None


@pytest.mark.parametrize("price", [0, 1])
async def test_of_a_cut_reply_everybody_knows_the_same_cost(price: int) -> None:
    rates = {"gpt-4o": ModelRate(input=Decimal(price), output=Decimal(price))}
    with serving(Answer("one two three four", pause_seconds=0.01)) as server:
        async with httpx2.AsyncClient(transport=ToLoopback(server.url)) as client:
            model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(api_key="k", http_client=client))
            agent = Agent(model, settings=AgentSettings(cost_rates=rates))
            async with agent.iter("Hi") as run:
                async for node in run:
                    if Agent.is_model_request_node(node):
                        async with node.stream(run.ctx) as stream:
                            async for _ in stream:
                                await stream.cancel()
                                break
    assert run.result is not None
    (row,) = agent.get_usage_history()
    session = await asyncio.to_thread(lambda: agent.session().cost)
    known = None if price else 0
    assert [row.is_complete, row.cost, run.result.cost, agent.get_cost(), session] == [False, *[known] * 4]


async def test_a_local_member_of_a_fallback_model_is_not_billed_as_hosted() -> None:
    with serving() as server:
        async with Agent(FallbackModel(plain(server.url), echo())) as agent:
            assert (await agent.run("Hi")).cost == 0


async def test_the_price_of_a_server_in_a_private_network_is_unknown() -> None:
    with serving() as server:
        async with httpx2.AsyncClient(transport=ToLoopback(server.url)) as client:
            provider = OpenAIProvider(base_url="http://10.0.0.5/v1", api_key="k", http_client=client)
            agent = Agent(OpenAIChatModel("gpt-4o", provider=provider))
            assert set(await costs(agent)) == {None}
            assert agent.usage_tracker.get_total().unpriced_requests == 2


async def test_a_cut_stream_of_a_local_server_costs_nothing() -> None:
    with serving(Answer("one two three four", pause_seconds=0.01)) as server:
        async with Agent(plain(server.url)) as agent:
            await left_by_break(agent)
    assert [record.cost for record in agent.get_usage_history()] == [0]


@pytest.mark.parametrize("name", ["gpt-4o", "openai:gpt-4o", "gpt-4*", "openai:*", "*"])
async def test_a_rate_for_a_name_or_a_pattern_prices_a_server_wherever_it_is(name: str) -> None:
    with serving() as server:
        agent = Agent(plain(server.url), settings=AgentSettings(cost_rates={"*": RATE, name: RATE}))
        # Of 7 tokens in and 3 out.
        assert set((await costs(agent))[:4]) == {Decimal("0.000013")}


async def test_a_pattern_for_others_leaves_a_model_without_a_price() -> None:
    agent = Agent(replying(saying(cost=None)), settings=AgentSettings(cost_rates={"gpt-*": RATE}))
    assert (await agent.run("a")).cost is None


async def test_rates_reach_the_members_of_a_fallback_model_and_what_was_turned_down() -> None:
    free = ModelRate(input=Decimal(0), output=Decimal(0))
    model = FallbackModel(
        replying(saying("no", cost=None), name="first"), replying(saying(cost=None)), fallback_on=refuse_refusals
    )
    agent = Agent(model, settings=AgentSettings(cost_rates={"first": RATE, "model-x": free}))
    result = await agent.run("a")
    assert [record.cost for record in agent.get_usage_history()] == [Decimal("0.00002"), 0]
    assert result.cost == result.usage.cost == Decimal("0.00002")


async def test_a_request_that_was_cancelled_before_its_answer_is_a_row_of_unknown_cost() -> None:
    async def never(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.Event().wait()
        raise AssertionError

    agent = Agent(FunctionModel(never, model_name="slow"))
    task = asyncio.create_task(agent.run("Hi."))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = agent.get_usage_history()
    assert (row.model, row.cost, row.is_complete, row.usage.request_count) == ("slow", None, False, 1)
    assert row.duration_seconds is not None
    assert agent.get_cost() is None


async def test_a_request_that_ran_out_of_time_is_a_row_of_unknown_cost_and_counts_what_it_sent() -> None:
    async def never(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.Event().wait()
        raise AssertionError

    budget = BudgetConfig(run_seconds=0.05, day_tokens=100_000)
    settings = AgentSettings(budget=budget, _env_file=None, _config_file=None)
    agent = Agent(FunctionModel(never, model_name="slow"), settings=settings)
    result = await agent.run("the quick brown fox " * 20)
    assert result.stop_reason == "timeout"
    (row,) = agent.get_usage_history()
    assert (row.model, row.cost, row.is_complete) == ("slow", None, False)
    spent = agent.budget_ledger.spent("day")
    assert spent is not None
    assert spent.tokens > 80
    assert spent.reserved_tokens == 0


async def test_a_request_that_failed_is_no_row() -> None:
    def fail(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise OSError("no")

    agent = Agent(FunctionModel(fail))
    with pytest.raises(OSError, match="no"):
        await agent.run("Hi.")
    assert agent.get_usage_history() == []


def test_the_cost_of_a_model_that_was_never_asked_is_unknown() -> None:
    assert UsageTracker().get_cost_estimate("gpt-4o") is None
    assert UsageTracker().get_cost_estimate() == 0
