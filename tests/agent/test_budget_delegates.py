"""The cap of a run holds for what its tools spend on its usage, whoever they ask."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai import Agent as PlainAgent
from pydantic_ai import RunContext, RunUsage
from pydantic_ai.usage import RequestUsage

from mamba_agents.errors import BudgetExceededError
from mamba_agents.tokens import BudgetConfig, BudgetLedger
from tests.agent.budgets import PRICE, budgeted, obedient, priced, replies, spent
from tests.helpers import call

pytestmark = pytest.mark.anyio

ROOMY = BudgetConfig(day_tokens=10**9, run_tokens=10**9)

DELEGATES: dict[str, Callable[[BudgetLedger], PlainAgent[Any, Any]]] = {
    "a plain agent": lambda ledger: PlainAgent(priced(obedient(5_000, 10))),
    "ours without a budget": lambda ledger: budgeted(priced(obedient(5_000, 10)), BudgetConfig()),
    "ours on another ledger": lambda ledger: budgeted(priced(obedient(5_000, 10)), ROOMY),
    "ours on the same ledger": lambda ledger: budgeted(priced(obedient(5_000, 10)), ROOMY, ledger),
}


def asking(delegate: PlainAgent[Any, Any], budget: BudgetConfig, ledger: BudgetLedger, *, times: int = 6) -> Any:
    """An agent that has its tool ask the delegate so many times, each in a request of 20 tokens."""
    calls = [call("ask", call_id=str(number)) for number in range(times)]
    agent = budgeted(priced(replies(*calls, "Done.")), budget, ledger)

    @agent.tool
    async def ask(ctx: RunContext[Any]) -> str:
        return (await delegate.run("Hi", usage=ctx.usage)).output

    return agent


@pytest.mark.parametrize("name", DELEGATES)
async def test_a_run_stops_when_the_agents_that_share_its_usage_have_used_up_its_cap(name: str) -> None:
    ledger = BudgetLedger()
    agent = asking(DELEGATES[name](ledger), BudgetConfig(run_tokens=12_000, max_output_tokens=50), ledger)
    result = await agent.run("Go.")
    assert result.stop_reason == "budget"
    assert result.usage.total_tokens < 12_000 + 5_030  # the last of them is not foreseen where it is not on the ledger


@pytest.mark.parametrize("name", DELEGATES)
async def test_what_they_used_is_counted_once(name: str) -> None:
    ledger = BudgetLedger()
    delegate = DELEGATES[name](ledger)
    counted: list[int] = []
    agent = budgeted(priced(replies(call("ask"), call("look", call_id="2"), "Done.")), ROOMY, ledger)

    @agent.tool
    async def ask(ctx: RunContext[Any]) -> str:
        await asyncio.gather(*(delegate.run("Hi", usage=ctx.usage, conversation_id="new") for _ in range(3)))
        return "asked"

    @agent.tool
    def look(ctx: RunContext[Any]) -> str:
        counted.append(spent(ledger, "run", ctx.run_id).tokens)
        return "nothing"

    result = await agent.run("Go.")
    assert counted == [result.usage.total_tokens - 20] == [2 * 20 + 3 * 5_010]


async def test_a_cap_in_money_holds_for_what_they_are_known_to_cost() -> None:
    agent = asking(
        budgeted(priced(obedient(5_000, 10)), BudgetConfig()),
        BudgetConfig(run_usd=12_000 * PRICE, max_output_tokens=50, on_exceeded="raise"),
        BudgetLedger(),
    )
    with pytest.raises(BudgetExceededError) as caught:
        await agent.run("Go.")
    assert (caught.value.scope, caught.value.unit) == ("run", "USD")
    assert caught.value.spent == (3 * 20 + 3 * 5_010) * PRICE


async def test_what_was_on_a_usage_before_is_not_the_runs() -> None:
    used = RunUsage()
    used.incr(RequestUsage(input_tokens=50_000, output_tokens=10))
    delegate = PlainAgent(priced(obedient(5_000, 10)))
    agent = asking(delegate, BudgetConfig(run_tokens=12_000, max_output_tokens=50), BudgetLedger(), times=1)
    result = await agent.run("Go.", usage=used)
    assert (result.stop_reason, used.total_tokens) == ("completed", 50_010 + 2 * 20 + 5_010)


async def test_what_others_put_on_a_usage_while_a_run_asks_its_model_is_not_the_runs() -> None:
    """As of delegates beside each other, each with a cap of its own."""
    used = RunUsage()
    config = BudgetConfig(run_tokens=8_000, max_output_tokens=50)
    agents = [budgeted(priced(obedient(5_000, 10), delay=0.01), config) for _ in range(3)]
    results = await asyncio.gather(*(agent.run("Hi", usage=used) for agent in agents))
    assert [result.stop_reason for result in results] == ["completed"] * 3


async def test_the_cap_of_a_run_counts_what_delegates_of_its_delegates_spend_once() -> None:
    ledger = BudgetLedger()
    counted: list[int] = []
    sharing, apart = (asking(PlainAgent(priced(obedient(5_000, 10))), ROOMY, ledger, times=1) for _ in range(2))
    outer = budgeted(priced(replies(call("ask"), call("look", call_id="2"), "Done.")), ROOMY, ledger)

    @outer.tool
    async def ask(ctx: RunContext[Any]) -> str:
        await sharing.run("Hi", usage=ctx.usage)
        await apart.run("Hi", conversation_id="new")
        return "asked"

    @outer.tool
    def look(ctx: RunContext[Any]) -> str:
        counted.append(spent(ledger, "run", ctx.run_id).tokens)
        return "nothing"

    await outer.run("Go.")
    assert counted == [2 * 20 + 2 * (2 * 20 + 5_010)]
