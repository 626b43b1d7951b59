"""The caps of sessions: counted once, kept as long as somebody can come back to them, and no longer."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.fallback import FallbackModel

from mamba_agents import Agent, AgentConfig, CompactionConfig
from mamba_agents.sessions import MemoryStore, Session, SessionEvent
from mamba_agents.tokens import BudgetConfig, BudgetLedger, UsageTracker
from tests.agent.budgets import PRICE, RATES, budgeted, obedient, priced, spent
from tests.helpers import echo

pytestmark = pytest.mark.anyio

NO_MEMORY = AgentConfig(track_context=False)


class SlowStore(MemoryStore):
    """Takes long enough to read that others read meanwhile."""

    async def read(self, session_id: str, from_seq: int = 0) -> Sequence[SessionEvent]:
        events = await super().read(session_id, from_seq)
        await asyncio.sleep(0.02)
        return events


async def test_agents_that_open_an_old_session_at_once_count_it_once() -> None:
    store, ledger, config = SlowStore(), BudgetLedger(), BudgetConfig(session_tokens=10**6)

    def agent() -> Agent[Any, Any]:
        return budgeted(priced(obedient(100, 5)), config, ledger, session=Session(store, "k"))

    before = budgeted(priced(obedient(100, 5)), BudgetConfig(), session=Session(store, "k"))
    for _ in range(2):
        await before.run("Hi")
    await asyncio.gather(*(each.run("Hi") for each in [agent() for _ in range(3)]))
    assert spent(ledger, "session", "k").tokens == 5 * 105


async def test_a_session_that_was_refused_answers_is_capped_by_them_after_a_restart_too() -> None:
    def refused(response: ModelResponse) -> bool:
        return response.usage.input_tokens > 100

    model = FallbackModel(priced(obedient(1_000, 500)), priced(obedient(10, 5)), fallback_on=refused)
    config, store = BudgetConfig(session_usd=Decimal(1)), MemoryStore()
    agent = budgeted(model, config, session=Session(store, "k"))
    await agent.run("Hi")
    again = budgeted(model, config, session=Session(store, "k"))
    await again.run("Hi")
    assert spent(agent.budget_ledger, "session", "k").usd == 1_515 * PRICE
    assert spent(again.budget_ledger, "session", "k").usd == 2 * 1_515 * PRICE


async def test_a_session_that_is_deleted_has_its_cap_anew() -> None:
    agent = budgeted(priced(obedient(100, 5)), BudgetConfig(session_tokens=400, max_output_tokens=50))
    session = agent.session("k")
    reasons = [(await session.run("Hi")).stop_reason for _ in range(5)]
    await asyncio.to_thread(session.delete)
    assert agent.budget_ledger.spent("session", "k") is None
    assert [reasons[0], reasons[-1], (await session.run("Hi")).stop_reason] == ["completed", "budget", "completed"]


async def test_a_conversation_that_no_log_tells_of_is_capped_by_the_history_it_comes_with() -> None:
    config = BudgetConfig(session_tokens=250, max_output_tokens=50)
    agent = budgeted(priced(obedient(10, 50)), config, config=NO_MEMORY)
    history: list[ModelMessage] = []
    reasons: list[str] = []
    for _ in range(5):
        result = await agent.run("Hi", message_history=history)
        history = result.all_messages()
        reasons.append(result.stop_reason)
    assert (reasons[0], reasons[-1]) == ("completed", "budget")
    assert sum(message.usage.total_tokens for message in history if isinstance(message, ModelResponse)) <= 250
    assert agent.budget_ledger.spent("session", result.conversation_id) is None


async def test_a_conversation_without_a_log_is_capped_by_its_history_also_where_that_is_shortened() -> None:
    config = BudgetConfig(session_tokens=12_000, max_output_tokens=50)
    context = CompactionConfig(strategy="sliding_window", trigger_threshold_tokens=4_000, target_tokens=1_000)
    agent = budgeted(priced(obedient(4_500, 5)), config, config=AgentConfig(track_context=False, context=context))
    history: list[ModelMessage] = []
    reasons: list[str] = []
    for _ in range(3):
        result = await agent.run("word " * 1_500, message_history=history)
        history = [*history, *result.new_messages()]
        reasons.append(result.stop_reason)
    assert reasons == ["completed", "completed", "budget"]


async def test_a_conversation_without_a_log_is_capped_by_the_name_that_it_is_given() -> None:
    config = BudgetConfig(session_tokens=250, max_output_tokens=50)
    agent = budgeted(priced(obedient(10, 50)), config, config=NO_MEMORY)
    reasons = [(await agent.run("Hi", conversation_id="ann")).stop_reason for _ in range(6)]
    assert (reasons[0], reasons[-1]) == ("completed", "budget")
    assert spent(agent.budget_ledger, "session", "ann").tokens <= 250


async def test_runs_under_ids_that_nobody_chose_leave_no_accounts() -> None:
    ledger = BudgetLedger()
    agent = budgeted(priced(obedient(1, 1)), BudgetConfig(session_tokens=10**6), ledger, config=NO_MEMORY)
    remembering = budgeted(priced(obedient(1, 1)), BudgetConfig(session_tokens=10**6), ledger)
    for _ in range(5):
        await agent.run("Hi")
        await remembering.run("Hi", message_history=[])
    assert ledger._accounts == {}
    await remembering.run("Hi")
    assert list(ledger._accounts) == [("session", remembering.session().id)]


class Deps:
    """Something that a run is given and that others wait to be rid of."""


@pytest.mark.parametrize("config", [BudgetConfig(day_tokens=10**6), BudgetConfig(run_seconds=60)])
async def test_a_task_that_outlives_its_runs_does_not_keep_what_they_were_given(config: BudgetConfig) -> None:
    kept: list[weakref.ref[Deps]] = []

    async def one(make: Callable[[], Agent[Any, Any]]) -> None:
        deps = Deps()
        kept.append(weakref.ref(deps))
        agent = make()
        agent.tool(lambda ctx: "nothing", name="look")
        async with agent.run_stream("Hi", deps=deps) as result:
            await result.get_output()

    for _ in range(5):
        await one(lambda: budgeted(echo(), config, deps_type=Deps))
    gc.collect()
    assert [each() for each in kept[:-1]] == [None] * 4


@pytest.mark.parametrize("budget", [BudgetConfig(), BudgetConfig(run_usd=Decimal(1)), BudgetConfig(run_seconds=60)])
async def test_a_rate_that_is_set_later_counts_from_then_on_everywhere(budget: BudgetConfig) -> None:
    agent = budgeted(priced(obedient(10, 5), name="house"), budget)
    agent.cost_estimator.set_rate("house", {"input": 1, "output": 1})
    first = await agent.run("Hi")
    agent.cost_estimator.set_rate("house", {"input": 2, "output": 2})
    second = await agent.run("Hi")
    assert (first.cost, second.cost) == (15 * PRICE, 30 * PRICE)
    assert agent.get_cost() == await asyncio.to_thread(lambda: agent.session().cost) == 45 * PRICE


async def test_a_cap_is_kept_by_the_rate_that_was_set_last() -> None:
    agent = budgeted(priced(obedient(10, 5)), BudgetConfig(day_usd=1_000 * PRICE, max_output_tokens=20))
    assert (await agent.run("Hi")).stop_reason == "completed"
    agent.cost_estimator.set_rate("priced", {name: rate * 100 for name, rate in RATES["priced"] if rate is not None})
    assert (await agent.run("Hi")).stop_reason == "budget"
    assert spent(agent.budget_ledger).usd == 15 * PRICE


async def test_a_rate_that_is_set_later_counts_also_where_the_record_is_another_one() -> None:
    agent = budgeted(priced(obedient(10, 5), name="house"), BudgetConfig())
    agent.usage_tracker = UsageTracker(max_records=None)
    agent.cost_estimator.set_rate("house", {"input": 1, "output": 1})
    assert (await agent.run("Hi")).cost == agent.get_cost() == 15 * PRICE


@pytest.mark.parametrize("config", [AgentConfig(), NO_MEMORY])
async def test_the_caps_of_a_session_and_of_a_tenant_hold_together(config: AgentConfig) -> None:
    budget = BudgetConfig(session_tokens=10**6, tenant_tokens=80, max_output_tokens=50)
    agent = budgeted(priced(obedient(10, 50)), budget, config=config)
    results = [await agent.run("Hi", metadata={"tenant": "acme"}) for _ in range(2)]
    assert [result.stop_reason for result in results] == ["completed", "budget"]
    assert [result.usage.requests for result in results] == [1, 0]
    assert spent(agent.budget_ledger, "tenant", "acme").tokens <= 80
