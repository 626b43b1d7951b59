"""A run ends when its time is over, wherever it is by then."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai.exceptions import ModelContextWindowExceededError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.profiles import ModelProfile

from mamba_agents import Agent, AgentConfig, CompactionConfig
from mamba_agents.agent.layers.deadline import RunDeadline
from mamba_agents.context.laws import check_history
from mamba_agents.errors import BudgetExceededError
from mamba_agents.sessions import ContextCompacted
from mamba_agents.tokens import BudgetConfig, BudgetLedger, BudgetWarning
from tests.agent.budgets import PRICE, budgeted, is_settled, obedient, plain, priced, replies, spent, usage
from tests.helpers import call, reply, user

pytestmark = pytest.mark.anyio

SHORT = BudgetConfig(run_seconds=0.05)
FOREVER = 3_600


def hanging_stream(*pieces: str | dict[int, DeltaToolCall]) -> FunctionModel:
    """Says this and then nothing more for ever."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        for piece in pieces:
            yield piece
        await asyncio.sleep(FOREVER)

    return FunctionModel(stream_function=stream, model_name="priced")


async def test_a_model_that_hangs_is_left() -> None:
    result = await budgeted(priced(obedient(1, 1), delay=FOREVER), SHORT).run("Hi")
    assert result.output == "Stopped after 0.05 seconds without an answer."
    assert result.stop_reason == "timeout"
    assert result.usage.requests == 0


async def test_the_text_of_an_earlier_request_is_kept() -> None:
    answers = [ModelResponse(parts=[TextPart("Let me see."), ToolCallPart("look", {})])]

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if not answers:
            await asyncio.sleep(FOREVER)
        return answers.pop()

    agent = budgeted(FunctionModel(respond), SHORT)
    agent.tool_plain(name="look")(lambda: "nothing")
    result = await agent.run("Hi")
    assert (result.output, result.stop_reason) == ("Let me see.", "timeout")
    assert result.usage.requests == 1


async def test_a_tool_that_hangs_is_left_and_answered_for() -> None:
    agent = budgeted(priced(replies(call("wait"), "never sent")), SHORT)

    @agent.tool_plain
    async def wait() -> str:
        await asyncio.sleep(FOREVER)
        return "late"

    result = await agent.run("Hi")
    assert result.stop_reason == "timeout"
    assert check_history(result.all_messages()) == []
    assert "the 0.05 seconds of this run are over" in str(result.all_messages()[2])


async def test_time_between_requests_counts() -> None:
    agent = budgeted(priced(replies(call("wait"), "never sent")), SHORT)

    @agent.tool_plain
    def wait() -> str:
        import time

        time.sleep(0.06)
        return "in a thread, which nobody can cancel"

    result = await agent.run("Hi")
    assert result.stop_reason == "timeout"


async def test_a_timeout_of_a_tools_own_is_the_tools() -> None:
    agent = plain(priced(replies(call("wait"))), BudgetConfig(run_seconds=60))

    @agent.tool_plain
    async def wait() -> str:
        raise TimeoutError("my own")

    with pytest.raises(TimeoutError, match="my own"):
        await agent.run("Hi")


async def test_a_timeout_of_a_models_own_is_the_models() -> None:
    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise TimeoutError("my own")

    with pytest.raises(TimeoutError, match="my own"):
        await plain(priced(respond), BudgetConfig(run_seconds=60)).run("Hi")


async def test_of_a_stream_what_came_in_time_is_kept() -> None:
    agent = budgeted(hanging_stream("One ", "two "), SHORT)
    stream = agent.stream("Hi")
    pieces = [piece async for piece in stream]
    assert "".join(pieces) == "One two "
    assert stream.result is not None
    assert (stream.result.output, stream.result.stop_reason) == ("One two ", "timeout")
    assert stream.result.all_messages()[-1].state == "complete"  # type: ignore[union-attr]


async def test_pydantic_ais_own_stream_ends_cleanly_too() -> None:
    async with plain(hanging_stream("One ", "two "), SHORT).run_stream("Hi") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
        assert "".join(pieces) == "One two " == await result.get_output()


async def test_a_tool_call_that_was_cut_in_a_stream_is_not_made() -> None:
    agent = budgeted(hanging_stream("Let me see. ", {1: DeltaToolCall(name="look", json_args='{"x": ')}), SHORT)
    made: list[int] = []
    agent.tool_plain(name="look")(made.append)
    stream = agent.stream("Hi")
    async for _ in stream:
        pass
    assert stream.result is not None
    assert (stream.result.output, stream.result.stop_reason) == ("Let me see. ", "timeout")
    assert made == []
    assert check_history(stream.result.all_messages()) == []


async def test_a_stream_that_never_begins_ends_too() -> None:
    from contextlib import asynccontextmanager

    class Silent(FunctionModel):
        @asynccontextmanager
        async def request_stream(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
            await asyncio.sleep(FOREVER)
            yield

    agent = budgeted(Silent(stream_function=hanging_stream().stream_function), SHORT)
    stream = agent.stream("Hi")
    assert "".join([piece async for piece in stream]) == "Stopped after 0.05 seconds without an answer."
    assert stream.result is not None
    assert stream.result.stop_reason == "timeout"


async def test_what_came_of_a_stream_is_settled() -> None:
    ledger = BudgetLedger()
    agent = plain(hanging_stream("One ", "two "), BudgetConfig(run_seconds=0.05, day_usd=1), ledger)
    async with agent.run_stream("Hi") as result:
        await result.get_output()
    assert is_settled(spent(ledger))
    assert spent(ledger).tokens > 0


async def test_waiting_for_room_in_a_budget_takes_time_too() -> None:
    ledger = BudgetLedger()
    slow = plain(priced(obedient(1, 1), delay=FOREVER), BudgetConfig(day_tokens=1_000, max_output_tokens=900), ledger)
    holds = asyncio.ensure_future(slow.run("Hi"))
    while ledger.spent("day") is None or is_settled(spent(ledger)):
        await asyncio.sleep(0.001)
    config = BudgetConfig(day_tokens=1_000, max_output_tokens=900, run_seconds=0.05, wait_seconds=FOREVER)
    result = await budgeted(priced(obedient(1, 1)), config, ledger).run("Hi")
    assert result.stop_reason == "timeout"
    holds.cancel()
    await asyncio.gather(holds, return_exceptions=True)
    assert is_settled(spent(ledger))


def summing_up(config: BudgetConfig, *, hangs_at: int = 1) -> tuple[Agent[Any, Any], list[int]]:
    """An agent that sums up first, in several requests of which one hangs, and what it asked for by then."""
    asked: list[int] = []
    answers = [reply("ok"), call("look")]

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if "You write the notes" not in (info.instructions or ""):
            return answers.pop()
        asked.append(len(asked))
        if len(asked) == hangs_at:
            await asyncio.sleep(0.1 if config.on_exceeded == "warn" else FOREVER)
        return ModelResponse(parts=[TextPart("## Goal\ncount foxes")], usage=usage(300, 20))

    model = FunctionModel(respond, model_name="priced", profile=ModelProfile(context_window=4_000))
    context = CompactionConfig(strategy="summarize_older", trigger_threshold_tokens=2_000, target_tokens=1_500)
    agent = budgeted(model, config, config=AgentConfig(context=context))
    return agent, asked


async def run_after_much(agent: Agent[Any, Any]) -> Any:
    said = [user("the quick brown fox " * 100), reply("ok")] * 20
    await asyncio.to_thread(agent.session().context.add_messages, said)
    return await agent.run("Hi")


IN_TIME = {"day_tokens": 10**6, "day_usd": 1, "run_seconds": 0.3}


async def test_a_summary_that_hangs_is_left_with_the_history_as_it_was_and_what_it_took_is_billed() -> None:
    agent, asked = summing_up(BudgetConfig(**IN_TIME), hangs_at=2)
    result = await run_after_much(agent)
    assert (result.stop_reason, result.usage.requests, len(asked)) == ("timeout", 2, 2)
    events = await asyncio.to_thread(agent.session().events)
    assert not any(isinstance(event, ContextCompacted) for event in events)
    assert len(await asyncio.to_thread(lambda: agent.messages)) == 42
    whole, cut = agent.get_usage_history()
    assert (whole.kind, whole.cost, whole.is_complete) == ("compaction", 320 * PRICE, True)
    assert (cut.kind, cut.cost, cut.is_complete) == ("compaction", None, False)
    assert result.usage.total_tokens == 320
    assert spent(agent.budget_ledger).tokens > 320
    assert is_settled(spent(agent.budget_ledger))
    assert [result.cost, agent.get_cost(), await asyncio.to_thread(lambda: agent.session().cost)] == [None] * 3
    assert (await asyncio.to_thread(lambda: agent.session().usage)).total_tokens == 320


async def test_a_summary_that_hangs_may_raise_instead() -> None:
    agent, _ = summing_up(BudgetConfig(**IN_TIME, on_exceeded="raise"))
    with pytest.raises(BudgetExceededError, match=r"raise budget\.run_seconds"):
        await run_after_much(agent)


async def test_a_summary_that_takes_long_may_only_be_warned_of() -> None:
    agent, asked = summing_up(BudgetConfig(run_seconds=0.05, on_exceeded="warn"))
    agent.tool_plain(name="look")(lambda: asked.append(-1))
    with pytest.warns(BudgetWarning) as caught:
        result = await run_after_much(agent)
    assert (result.output, result.stop_reason, len(caught)) == ("ok", "completed", 1)
    assert any(row.kind == "compaction" and row.is_complete for row in agent.get_usage_history())


async def test_a_summary_in_place_of_a_refused_request_has_no_more_time_than_the_run() -> None:
    refused: list[int] = []

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if "You write the notes" in (info.instructions or ""):
            await asyncio.sleep(FOREVER)
        refused.append(len(messages))
        raise ModelContextWindowExceededError("m", "maximum context length exceeded")

    context = CompactionConfig(strategy="summarize_older", preserve_recent_turns=1)
    agent = budgeted(
        FunctionModel(respond, model_name="priced"), BudgetConfig(run_seconds=0.2), config=AgentConfig(context=context)
    )
    result = await run_after_much(agent)
    assert (result.stop_reason, len(refused)) == ("timeout", 1)


@pytest.mark.parametrize("where", ["model", "tool", "stream"])
async def test_it_may_raise_instead(where: str) -> None:
    config = BudgetConfig(run_seconds=0.05, on_exceeded="raise")
    if where == "stream":
        agent = budgeted(hanging_stream("One "), config)
    else:
        respond = replies(call("wait")) if where == "tool" else obedient(1, 1)
        agent = budgeted(priced(respond, delay=FOREVER if where == "model" else 0), config)

    @agent.tool_plain
    async def wait() -> str:
        await asyncio.sleep(FOREVER)
        return "late"

    with pytest.raises(BudgetExceededError, match=r"raise budget\.run_seconds") as caught:
        async for _ in agent.stream("Hi") if where == "stream" else one(agent.run("Hi")):
            pass
    error = caught.value
    assert (error.scope, error.unit, error.limit) == ("run", "seconds", 0.05)
    assert error.spent >= 0.05


async def one(awaitable: Any) -> AsyncIterator[Any]:
    yield await awaitable


async def test_it_may_only_warn_and_go_on(caplog: pytest.LogCaptureFixture) -> None:
    config = BudgetConfig(run_seconds=0.01, on_exceeded="warn")
    agent = budgeted(priced(replies(call("look"), call("look"), "Done."), delay=0.02), config)
    agent.tool_plain(name="look")(lambda: "nothing")
    with caplog.at_level(logging.WARNING, "mamba_agents.budget"), pytest.warns(BudgetWarning) as caught:
        result = await agent.run("Hi")
    assert (result.output, result.stop_reason) == ("Done.", "completed")
    assert len(caught) == len(caplog.records) == 1


class Answer(BaseModel):
    number: int


async def test_a_run_with_a_typed_output_raises_where_it_cannot_stop() -> None:
    agent = budgeted(priced(obedient(1, 1), delay=FOREVER), SHORT, output_type=Answer)
    with pytest.raises(BudgetExceededError):
        await agent.run("Hi")


async def test_a_run_in_time_is_as_ever_and_leaves_nothing_behind() -> None:
    layer = RunDeadline(60)
    from pydantic_ai import Agent

    agent = Agent(priced(replies(call("look"), "Done.")), capabilities=[layer])
    agent.tool_plain(name="look")(lambda: "nothing")
    result = await agent.run("Hi")
    assert result.output == "Done."
    assert layer._clocks == {}


async def test_a_cancelled_run_is_cancelled() -> None:
    run = asyncio.ensure_future(plain(priced(obedient(1, 1), delay=FOREVER), BudgetConfig(run_seconds=60)).run("Hi"))
    await asyncio.sleep(0.01)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
