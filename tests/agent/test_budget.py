"""Caps on money and tokens: never passed, whatever a run does and however it ends."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent as PlainAgent
from pydantic_ai import RunContext
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.settings import ModelSettings

from mamba_agents import Agent
from mamba_agents.agent.layers.budget import Budget
from mamba_agents.agent.layers.deadline import RunDeadline
from mamba_agents.agent.layers.loop_guard import LoopGuard
from mamba_agents.backends import create_openai_compatible_backend
from mamba_agents.errors import BudgetExceededError
from mamba_agents.sessions import MemoryStore, Session
from mamba_agents.tokens import (
    BudgetConfig,
    BudgetLedger,
    BudgetWarning,
    CostEstimator,
    ModelRate,
    TenantBudget,
)
from tests.agent.budgets import (
    PRICE,
    budget_layers,
    budgeted,
    is_settled,
    layers,
    obedient,
    plain,
    priced,
    replies,
    spent,
    usage,
)
from tests.helpers import call, echo

pytestmark = pytest.mark.anyio


def test_what_is_off_is_absent() -> None:
    def of_a_budget(config: BudgetConfig) -> list[type]:
        kinds = LoopGuard, RunDeadline, Budget
        return [type(layer) for layer in budgeted(echo(), config).layers.in_order if isinstance(layer, kinds)]

    assert of_a_budget(BudgetConfig()) == []
    assert of_a_budget(BudgetConfig(run_seconds=5)) == [RunDeadline]
    assert of_a_budget(BudgetConfig(run_usd=5, run_seconds=5, max_repeated_calls=3)) == [LoopGuard, RunDeadline, Budget]


@pytest.mark.parametrize("unit", ["usd", "tokens"])
async def test_a_hundred_runs_at_once_never_pass_a_cap_and_use_it_up(unit: str) -> None:
    ledger = BudgetLedger()
    cap = 3_000
    config = BudgetConfig.model_validate(
        {f"day_{unit}": cap * PRICE if unit == "usd" else cap, "max_output_tokens": 200}
    )
    seen: list[bool] = []

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        now = spent(ledger)
        if unit == "usd":
            seen.append(now.usd + now.reserved_usd <= cap * PRICE)
        else:
            seen.append(now.tokens + now.reserved_tokens <= cap)
        return obedient(7, 53)(messages, info)

    agent = plain(priced(respond, delay=0.001), config, ledger)
    results = await asyncio.gather(*(agent.run("Hi") for _ in range(100)))
    answered = [result for result in results if result.output == "Fine."]
    total = sum(result.usage.input_tokens + result.usage.output_tokens for result in results)
    now = spent(ledger)
    assert seen
    assert all(seen)
    assert now.tokens == total <= cap
    assert now.usd == (total * PRICE if unit == "usd" else 0)
    assert is_settled(now)
    assert total > cap * 0.9
    assert len(answered) < len(results)


async def test_a_cap_holds_for_runs_in_several_threads() -> None:
    ledger = BudgetLedger()
    config = BudgetConfig(hour_usd=2_000 * PRICE, max_output_tokens=100)
    totals: list[int] = []

    async def many() -> None:
        agent = plain(priced(obedient(7, 53)), config, ledger)
        results = await asyncio.gather(*(agent.run("Hi") for _ in range(25)))
        totals.extend(result.usage.total_tokens for result in results)

    threads = [threading.Thread(target=lambda: asyncio.run(many())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert len(totals) == 100
    assert spent(ledger, "hour").usd == sum(totals) * PRICE <= 2_000 * PRICE
    assert is_settled(spent(ledger, "hour"))


async def test_at_a_cap_a_run_stops_with_the_text_there_is() -> None:
    said = ModelResponse(parts=[TextPart("So far, so good."), ToolCallPart("look", {})])
    agent = budgeted(priced(replies(said, sent=20, received=40)), BudgetConfig(run_tokens=90, max_output_tokens=50))
    agent.tool_plain(name="look")(lambda: "nothing")
    result = await agent.run("Hi")
    assert result.output == "So far, so good."
    assert result.stop_reason == "budget"
    assert result.usage.requests == 1


async def test_without_any_text_a_run_says_which_cap_stopped_it(caplog: pytest.LogCaptureFixture) -> None:
    agent = budgeted(priced(replies("never sent")), BudgetConfig(run_tokens=5))
    with caplog.at_level(logging.WARNING, "mamba_agents.budget"):
        result = await agent.run("Hi")
    assert result.stop_reason == "budget"
    assert "raise budget.run_tokens" in result.output
    assert "raise budget.run_tokens" in caplog.text
    assert result.usage.requests == 0
    assert result.cost == 0


async def test_a_run_may_raise_at_a_cap_instead() -> None:
    ledger = BudgetLedger()
    config = BudgetConfig(day_usd=100 * PRICE, on_exceeded="raise", max_output_tokens=100)
    agent = budgeted(priced(obedient(20, 70)), config, ledger)
    await agent.run("Hi")
    with pytest.raises(BudgetExceededError) as caught:
        await agent.run("Hi")
    error = caught.value
    assert (error.scope, error.unit, error.limit, error.spent) == ("day", "USD", 100 * PRICE, 90 * PRICE)
    assert error.requested is not None
    assert error.requested > 10 * PRICE


class Answer(BaseModel):
    number: int


async def test_a_run_with_a_typed_output_raises_where_it_cannot_stop() -> None:
    agent = budgeted(priced(replies("never sent")), BudgetConfig(run_tokens=5), output_type=Answer)
    with pytest.raises(BudgetExceededError):
        await agent.run("Hi")


async def test_a_budget_may_only_warn_once_a_run_and_go_on(caplog: pytest.LogCaptureFixture) -> None:
    ledger = BudgetLedger()
    config = BudgetConfig(day_tokens=15, on_exceeded="warn")
    asked: list[ModelSettings | None] = []

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append(info.model_settings)
        return replies(call("look") if len(messages) < 4 else "Done.")(messages, info)

    agent = budgeted(priced(respond), config, ledger)
    agent.tool_plain(name="look")(lambda: "nothing")
    with caplog.at_level(logging.WARNING, "mamba_agents.budget"), pytest.warns(BudgetWarning) as caught:
        result = await agent.run("Hi")
    assert result.output == "Done."
    assert result.stop_reason == "completed"
    assert len(caught) == len(caplog.records) == 1
    assert "expected at most 15 tokens" in caplog.text
    assert len(asked) == 3
    assert not any("max_tokens" in (each or {}) for each in asked)
    assert spent(ledger).tokens == 60


async def test_a_request_is_sent_with_what_the_budget_still_allows() -> None:
    asked: list[int | None] = []

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append((info.model_settings or {}).get("max_tokens"))
        return obedient(10, 20)(messages, info)

    config = BudgetConfig(session_tokens=1_000, max_output_tokens=600)
    agent = plain(priced(respond), config)
    first = await agent.run("Hi")
    await agent.run("Hi", conversation_id=first.conversation_id, model_settings={"max_tokens": 50})
    for _ in range(20):
        await agent.run("Hi", conversation_id=first.conversation_id)
    assert asked[0] == 600
    assert asked[1] == 50
    assert asked == [600, 50, *sorted((each or 0 for each in asked[2:]), reverse=True)]
    assert (asked[-1] or 0) < 600


@pytest.mark.parametrize("streams", [False, True])
async def test_an_answer_that_the_budget_cut_ends_the_run_as_such(streams: bool) -> None:
    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        limit = (info.model_settings or {})["max_tokens"]
        parts = [TextPart("The answer is"), ToolCallPart("look", '{"where": "he')]
        return ModelResponse(parts=parts, usage=usage(10, limit), finish_reason="length")

    agent = budgeted(streaming(respond) if streams else priced(respond), BudgetConfig(run_tokens=200))
    agent.tool_plain(look)
    result = await (drain(agent) if streams else agent.run("Hi"))
    assert result.output == "The answer is"
    assert result.stop_reason == "budget"
    assert [part.part_kind for part in result.all_messages()[-1].parts] == ["text"]


async def test_an_answer_that_the_budget_cut_may_raise() -> None:
    config = BudgetConfig(run_tokens=200, on_exceeded="raise")
    agent = budgeted(priced(obedient(10, 5_000)), config)
    with pytest.raises(BudgetExceededError, match="expected at most 200 tokens"):
        await agent.run("Hi")


def look(where: str = "") -> str:
    return "nothing"


def streaming(respond: Any) -> FunctionModel:
    """A streaming model that says what `respond` does, in one piece a part, and with its finish reason."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        for index, part in enumerate(respond(messages, info).parts):
            if isinstance(part, TextPart):
                yield part.content
            else:
                yield {index: DeltaToolCall(name=part.tool_name, json_args=part.args)}

    class Cut(FunctionModel):
        def request_stream(self, *args: Any, **options: Any) -> Any:
            return cut_streams(super().request_stream(*args, **options))

    return Cut(stream_function=stream, model_name="priced")


@asynccontextmanager
async def cut_streams(opening: Any) -> AsyncIterator[Any]:
    async with opening as stream:
        stream.finish_reason = "length"
        yield stream


async def drain(agent: Agent[Any, Any], prompt: str = "Hi") -> Any:
    stream = agent.stream(prompt)
    async for _ in stream:
        pass
    return stream.result


async def test_a_stream_at_a_cap_ends_cleanly() -> None:
    agent = budgeted(streaming(replies("never sent")), BudgetConfig(run_tokens=5))
    stream = agent.stream("Hi")
    pieces = [piece async for piece in stream]
    assert "".join(pieces) == stream.result.output
    assert stream.result.stop_reason == "budget"


async def test_a_whole_stream_is_settled_with_what_it_used() -> None:
    ledger = BudgetLedger()

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for word in ("one ", "two ", "three"):
            yield word

    agent = budgeted(FunctionModel(stream_function=stream, model_name="priced"), BudgetConfig(day_usd=1), ledger)
    result = await drain(agent)
    assert spent(ledger).tokens == result.usage.total_tokens > 0
    assert spent(ledger).usd == result.usage.total_tokens * PRICE
    assert is_settled(spent(ledger))


@pytest.mark.parametrize("reports", [True, False])
async def test_a_cut_stream_is_settled_with_what_came(reports: bool) -> None:
    ledger = BudgetLedger()

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "A few words came before the reader left. "
        await asyncio.sleep(60)

    model = FunctionModel(stream_function=stream, model_name="priced")
    agent = plain(model if reports else unreported(model), BudgetConfig(day_usd=1), ledger)
    async with agent.run_stream("Hi, please tell me a very long story.") as result:
        async for _ in result.stream_text(delta=True, debounce_by=None):
            assert not is_settled(spent(ledger))
            break
    now = spent(ledger)
    assert is_settled(now)
    assert 10 <= now.tokens < 400
    assert now.usd == now.tokens * PRICE


def unreported(model: FunctionModel) -> FunctionModel:
    """The model, whose streams report no usage before they end, as those of OpenAI's."""

    class Unreported(FunctionModel):
        @asynccontextmanager
        async def request_stream(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
            async with model.request_stream(*args, **options) as stream:
                received = stream.get

                def get() -> ModelResponse:
                    response = received()
                    response.usage = usage(0, 0)
                    return response

                stream.get = get
                yield stream

    return Unreported(stream_function=model.stream_function, model_name="priced")


async def test_a_failed_request_gives_its_room_back() -> None:
    ledger = BudgetLedger()

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        assert not is_settled(spent(ledger))
        raise ModelHTTPError(500, "priced")

    agent = plain(priced(respond), BudgetConfig(day_usd=1), ledger)
    with pytest.raises(ModelHTTPError):
        await agent.run("Hi")
    assert is_settled(spent(ledger))
    assert spent(ledger).usd == 0


@pytest.mark.parametrize("waits", [False, True])
async def test_a_cancelled_run_gives_its_room_back(waits: bool) -> None:
    ledger = BudgetLedger()
    agent = plain(priced(obedient(1, 1), delay=60), BudgetConfig(day_tokens=1_000, max_output_tokens=800), ledger)
    runs = [asyncio.ensure_future(agent.run("Hi")) for _ in range(2 if waits else 1)]
    while ledger.spent("day") is None or is_settled(spent(ledger)):
        await asyncio.sleep(0.001)
    for run in reversed(runs):
        run.cancel()
    assert [type(each) for each in await asyncio.gather(*runs, return_exceptions=True)] == (
        [asyncio.CancelledError] * len(runs)
    )
    assert is_settled(spent(ledger))
    assert ledger.spent("run") is None


async def test_the_account_of_a_run_ends_with_it() -> None:
    ledger = BudgetLedger()
    (layer,) = layers(BudgetConfig(run_tokens=1_000), ledger)
    agent = PlainAgent(priced(obedient(1, 1)), capabilities=[layer])
    result = await agent.run("Hi")
    assert ledger.spent("run", result.run_id) is None
    assert isinstance(layer, Budget)
    assert layer._runs == {}


async def test_every_run_has_its_own_cap_and_a_session_one_over_its_runs() -> None:
    config = BudgetConfig(run_tokens=100, session_tokens=250, max_output_tokens=50)
    agent = budgeted(priced(obedient(10, 50)), config)
    outcomes = [(await agent.run("Hi", conversation_id="ann")).stop_reason for _ in range(6)]
    assert outcomes[:3] == ["completed"] * 3
    assert outcomes[-1] == "budget"
    assert (await agent.run("Hi", conversation_id="bob")).stop_reason == "completed"


async def test_a_tenant_is_named_by_the_metadata_of_the_run() -> None:
    ledger = BudgetLedger()
    config = BudgetConfig(
        tenant_tokens=60, tenants={"big": TenantBudget(tokens=10_000)}, max_output_tokens=20, tenant_window="day"
    )
    agent = budgeted(priced(obedient(20, 20)), config, ledger)

    async def run(tenant: str | None) -> str:
        metadata = None if tenant is None else {"tenant": tenant}
        return (await agent.run("Hi", metadata=metadata, conversation_id="new")).stop_reason

    assert [await run("small") for _ in range(2)] == ["completed", "budget"]
    assert [await run("big") for _ in range(3)] == ["completed"] * 3
    assert [await run(None) for _ in range(2)] == ["completed", "budget"]
    assert spent(ledger, "tenant", "big").tokens == 120


async def test_the_key_of_the_tenant_is_a_setting() -> None:
    ledger = BudgetLedger()
    agent = budgeted(priced(obedient(5, 5)), BudgetConfig(tenant_tokens=1_000, tenant_key="customer"), ledger)
    await agent.run("Hi", metadata={"customer": 7, "tenant": "other"})
    assert spent(ledger, "tenant", "7").tokens == 10
    assert ledger.spent("tenant", "other") is None


async def test_agents_that_share_a_ledger_share_its_caps_and_count_each_response_once() -> None:
    ledger = BudgetLedger()
    inner = plain(priced(obedient(30, 10)), BudgetConfig(day_tokens=10_000, run_tokens=5_000), ledger)
    outer = plain(priced(replies(call("ask"), "Done.")), BudgetConfig(day_tokens=10_000, run_tokens=5_000), ledger)
    of_outer: list[int] = []

    @outer.tool
    async def ask(ctx: RunContext[Any]) -> str:
        result = await inner.run("Hi", usage=ctx.usage)
        of_outer.append(spent(ledger, "run", ctx.run_id).tokens)
        return result.output

    await outer.run("Hi")
    assert spent(ledger).tokens == 20 + 40 + 20
    assert of_outer == [20 + 40]


async def test_the_cap_of_a_run_holds_for_the_agents_in_its_tools() -> None:
    ledger = BudgetLedger()
    inner = budgeted(priced(obedient(500, 500)), BudgetConfig(day_tokens=100_000, max_output_tokens=500), ledger)
    outer = budgeted(
        priced(replies(call("ask"), call("ask", call_id="2"), "Done.")),
        BudgetConfig(run_tokens=2_500, max_output_tokens=500),
        ledger,
    )
    stopped: list[str] = []

    @outer.tool_plain
    async def ask() -> str:
        result = await inner.run("Hi", conversation_id="new")
        stopped.append(result.stop_reason)
        return result.output

    await outer.run("Hi")
    assert stopped[0] == "completed"
    assert spent(ledger).tokens <= 2_500


async def test_a_reader_of_a_stream_may_run_another_agent_on_a_scarce_budget() -> None:
    ledger = BudgetLedger()
    config = BudgetConfig(day_tokens=1_000, max_output_tokens=900, wait_seconds=0.02)

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "one "
        yield "two"

    outer = plain(FunctionModel(stream_function=stream, model_name="priced"), config, ledger)
    inner = plain(priced(obedient(1, 1)), config, ledger)
    async with outer.run_stream("Hi") as result:
        async for _ in result.stream_text(delta=True, debounce_by=None):
            await inner.run("Hi")
    assert is_settled(spent(ledger))


async def test_a_local_model_costs_nothing_and_meets_token_caps_only() -> None:
    local = create_openai_compatible_backend("gpt-4o", base_url="http://127.0.0.1:9/v1")
    (layer,) = budget_layers(BudgetConfig(day_usd=1), BudgetLedger(), CostEstimator())
    assert isinstance(layer, Budget)
    ceiling = layer._terms.traits(local).ceiling
    assert ceiling is not None
    assert (ceiling.input, ceiling.output, ceiling.request) == (0, 0, 0)


async def test_a_free_model_is_asked_when_the_money_is_gone() -> None:
    ledger = BudgetLedger()
    ledger.charge("day", usd=Decimal(5))
    free = CostEstimator({"priced": ModelRate(input=Decimal(0), output=Decimal(0))})
    agent = Agent(priced(obedient(5, 5)), capabilities=budget_layers(BudgetConfig(day_usd=1), ledger, free))
    assert (await agent.run("Hi")).stop_reason == "completed"


async def test_an_unpriced_model_is_said_once_and_counts_as_nothing() -> None:
    ledger = BudgetLedger()
    agent = budgeted(priced(obedient(5, 5), "unheard-of"), BudgetConfig(day_usd=1), ledger)
    with pytest.warns(BudgetWarning, match="no price for the model 'unheard-of'; name its price in cost_rates"):
        result = await agent.run("Hi")
    assert result.stop_reason == "completed"
    assert (spent(ledger).tokens, spent(ledger).usd) == (10, 0)


async def test_an_unpriced_model_may_be_allowed_without_a_word() -> None:
    agent = budgeted(priced(obedient(5, 5), "unheard-of"), BudgetConfig(day_usd=1, on_unpriced="allow"))
    assert (await agent.run("Hi")).stop_reason == "completed"


@pytest.mark.parametrize("on_exceeded", ["stop", "raise", "warn"])
@pytest.mark.parametrize("streams", [False, True])
async def test_an_unpriced_model_may_be_blocked_which_raises_whatever_happens_at_a_cap(
    on_exceeded: Any, streams: bool
) -> None:
    asked: list[int] = []

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        asked.append(len(messages))
        yield "never sent"

    config = BudgetConfig(day_usd=1, on_unpriced="block", on_exceeded=on_exceeded)
    agent = budgeted(priced(obedient(5, 5), "unheard-of", stream_function=stream), config)
    with pytest.raises(BudgetExceededError, match="nothing was sent"):
        await (drain(agent) if streams else agent.run("Hi"))
    assert asked == []


@pytest.mark.parametrize("sent", [-50, 10])
async def test_a_provider_that_reports_less_than_nothing_gives_no_budget_back(sent: int) -> None:
    ledger = BudgetLedger()
    agent = budgeted(priced(obedient(5, 5)), BudgetConfig(day_tokens=10_000, day_usd=1, max_output_tokens=100), ledger)
    await agent.run("Hi")
    wrong = ModelResponse(parts=[TextPart("ok")], usage=usage(sent, -10))
    await budgeted(priced(lambda messages, info: wrong), BudgetConfig(day_tokens=10_000, day_usd=1), ledger).run("Hi")
    assert spent(ledger).tokens > 10
    assert spent(ledger).usd >= 10 * PRICE


async def test_nobody_asks_for_prices_where_only_tokens_are_capped() -> None:
    agent = budgeted(priced(obedient(5, 5), "unheard-of"), BudgetConfig(day_tokens=1_000, on_unpriced="block"))
    assert (await agent.run("Hi")).stop_reason == "completed"


async def test_what_a_fallback_refused_was_billed_too() -> None:
    ledger = BudgetLedger()

    def refused(response: ModelResponse) -> bool:
        return response.text == "bad"

    model = FallbackModel(priced(obedient(10, 10, "bad")), priced(obedient(20, 20, "good")), fallback_on=refused)
    agent = PlainAgent(model, capabilities=layers(BudgetConfig(day_usd=1), ledger))
    result = await agent.run("Hi")
    assert result.output == "good"
    assert spent(ledger).tokens == 60
    assert spent(ledger).usd == 60 * PRICE


async def test_when_a_fallback_refuses_everything_that_is_billed_and_nothing_leaks() -> None:
    ledger = BudgetLedger()

    def refused(response: ModelResponse) -> bool:
        return True

    model = FallbackModel(priced(obedient(10, 10)), priced(obedient(20, 20)), fallback_on=refused)
    agent = PlainAgent(model, capabilities=layers(BudgetConfig(day_usd=1), ledger))
    with pytest.raises(ExceptionGroup):
        await agent.run("Hi")
    assert spent(ledger).tokens == 60
    assert is_settled(spent(ledger))


async def test_a_long_history_is_bounded_by_what_the_provider_reported_for_it() -> None:
    ledger = BudgetLedger()
    history: list[ModelMessage] = [
        ModelRequest(parts=[UserPromptPart("word " * 20_000)]),
        ModelResponse(parts=[TextPart("Read.")], usage=usage(500, 2), model_name="priced"),
    ]
    seen: list[int] = []

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(spent(ledger).reserved_tokens)
        return obedient(510, 5)(messages, info)

    agent = plain(priced(respond), BudgetConfig(day_tokens=10_000, max_output_tokens=100), ledger)
    await agent.run("And now?", message_history=history)
    assert 600 <= seen[0] < 1_000


async def test_a_history_that_fits_only_when_counted_is_counted() -> None:
    agent = budgeted(priced(obedient(5_000, 5)), BudgetConfig(run_tokens=8_000, max_output_tokens=100))
    result = await agent.run("word " * 5_000)
    assert result.stop_reason == "completed"


async def test_tools_that_came_after_the_last_report_are_counted_on_top() -> None:
    ledger = BudgetLedger()
    seen: list[int] = []

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(spent(ledger).reserved_tokens)
        return obedient(10, 5)(messages, info)

    agent = plain(priced(respond), BudgetConfig(day_tokens=100_000, max_output_tokens=100), ledger)
    first = await agent.run("Hi")
    agent.tool_plain(name="much", description="x" * 3_000)(lambda: "nothing")
    await agent.run("Hi", message_history=first.all_messages())
    assert seen[1] > seen[0] + 3_000


async def test_a_server_that_passes_its_max_tokens_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    agent = budgeted(
        priced(replies("Much.", sent=10, received=900)), BudgetConfig(run_tokens=5_000, max_output_tokens=50)
    )
    with caplog.at_level(logging.WARNING, "mamba_agents.budget"):
        await agent.run("Hi")
    assert "a server that ignores max_tokens" in caplog.text


async def test_requests_beside_the_runs_own_are_its_spending_too() -> None:
    ledger = BudgetLedger()
    (layer,) = layers(BudgetConfig(run_tokens=1_000, max_output_tokens=100), ledger)
    assert isinstance(layer, Budget)
    summariser = priced(obedient(30, 30))
    outer = PlainAgent(priced(replies(call("note"), "Done.")), capabilities=[layer])
    counted: list[int] = []

    @outer.tool
    async def note(ctx: RunContext[Any]) -> str:
        await PlainAgent(layer.model_for(summariser, ctx)).run("Sum up.")
        layer.charge(ctx, [ModelResponse(parts=[], usage=usage(3, 4))])
        counted.append(spent(ledger, "run", ctx.run_id).tokens)
        with pytest.raises(BudgetExceededError):
            await PlainAgent(layer.model_for(summariser, ctx)).run("word " * 5_000)
        return "noted"

    result = await outer.run("Hi")
    assert result.output == "Done."
    assert counted == [20 + 60 + 7]


def test_the_cap_of_a_session_counts_what_it_spent_in_other_processes() -> None:
    store = MemoryStore()
    used = 0
    for _ in range(5):  # each with a ledger of its own, as after a restart
        agent = budgeted(
            priced(obedient(50, 50)),
            BudgetConfig(session_tokens=350, max_output_tokens=50),
            session=Session(store, "s"),
        )
        agent.run_sync("Hi.")
        used = agent.session().usage.total_tokens
    assert used <= 350
    assert agent.run_sync("Hi.").stop_reason == "budget"
