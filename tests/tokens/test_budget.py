"""Budgets: their settings, and the ledger that keeps them."""

import asyncio
import threading
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from mamba_agents.errors import BudgetExceededError, ConfigurationError
from mamba_agents.tokens import BudgetConfig, BudgetLedger, ModelRate, TenantBudget
from mamba_agents.tokens.ceiling import PriceCeiling, ceiling_of_rate, ceiling_of_table, dearest
from mamba_agents.tokens.room import Ask, Cap

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def ask(input_tokens: int, output_tokens: int, *, least: int = 1, usd: str = "0", answers: int = 1) -> Ask:
    """A request whose tokens cost `usd` each."""
    return Ask(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        least_output_tokens=least,
        input_usd=input_tokens * Decimal(usd),
        output_usd=Decimal(usd),
        answers=answers,
    )


def tokens_of(ledger: BudgetLedger, limit: int, scope: str = "day") -> list[Cap]:
    return [Cap(account=ledger.account(scope), usd=None, tokens=limit)]  # type: ignore[arg-type]


def test_everything_is_off_by_default() -> None:
    config = BudgetConfig()
    assert not config.caps_spending
    assert config.max_repeated_calls is config.run_seconds is None
    assert config.on_exceeded == "stop"


@pytest.mark.parametrize(
    "settings", [{"run_usd": 1}, {"month_tokens": 1}, {"tenant_usd": "0.5"}, {"tenants": {"a": {"tokens": 5}}}]
)
def test_any_cap_on_money_or_tokens_turns_the_budget_on(settings: dict[str, object]) -> None:
    assert BudgetConfig.model_validate(settings).caps_spending


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("run_usd", -1, "greater than 0"),
        ("run_usd", "NaN", "finite number"),
        ("session_tokens", 0, "greater than 0"),
        ("day_tokens", -5, "greater than 0"),
        ("max_repeated_calls", 1, "greater than or equal to 2"),
        ("run_seconds", 0, "greater than 0"),
        ("run_seconds", "inf", "finite number"),
        ("wait_seconds", -1, "greater than or equal to 0"),
        ("max_output_tokens", 0, "greater than or equal to 1"),
        ("on_exceeded", "explode", "'stop', 'raise' or 'warn'"),
        ("on_unpriced", "guess", "'allow', 'warn' or 'block'"),
        ("tenant_window", "week", "'hour', 'day' or 'month'"),
        ("week_usd", 1, "Extra inputs are not permitted"),
    ],
)
def test_a_bad_value_is_refused_by_its_field_and_what_is_allowed(field: str, value: object, expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        BudgetConfig.model_validate({field: value})
    (error,) = caught.value.errors()
    assert error["loc"][0] == field
    assert expected in error["msg"]


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        ("hour_usd", "day_usd"),
        ("hour_tokens", "month_tokens"),
        ("day_usd", "month_usd"),
        ("run_usd", "session_usd"),
        ("run_tokens", "session_tokens"),
        ("tenant_tokens", "month_tokens"),
    ],
)
def test_a_cap_that_can_never_be_reached_is_refused_with_both_names(shorter: str, longer: str) -> None:
    with pytest.raises(ValidationError, match=f"{shorter}=10 above {longer}=5"):
        BudgetConfig.model_validate({shorter: 10, longer: 5})
    assert BudgetConfig.model_validate({shorter: 5, longer: 5}).caps_spending


@pytest.mark.parametrize("cap", [{"tenant_usd": 10}, {"tenants": {"a.b": {"usd": 10}}}])
def test_a_tenants_cap_is_held_to_the_windows_that_hold_all_of_the_tenants(cap: dict[str, object]) -> None:
    daily = {**cap, "tenant_window": "day"}
    for window in ("day_usd", "month_usd"):
        with pytest.raises(ValidationError, match=rf"found tenant(_|s\.a\.b\.)usd=10 above {window}=5"):
            BudgetConfig.model_validate({**daily, window: 5})
    assert BudgetConfig.model_validate({**daily, "hour_usd": 5}).caps_spending


def test_caps_that_can_both_act_are_no_contradiction() -> None:
    lifted = BudgetConfig(month_usd=Decimal(5), tenant_usd=Decimal(1), tenants={"big": TenantBudget(usd=Decimal(50))})
    assert lifted.tenants["big"].usd == 50  # as much as all together may spend, where others have 1
    assert BudgetConfig(run_usd=Decimal(9), hour_usd=Decimal(5)).run_usd == 9  # a run may last longer than an hour
    assert BudgetConfig(session_usd=Decimal(9), month_usd=Decimal(5)).session_usd == 9
    assert BudgetConfig(run_usd=Decimal(9), session_tokens=5).run_usd == 9


def test_a_tenant_without_a_cap_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"tenants\.acme without a cap"):
        BudgetConfig(tenants={"acme": TenantBudget()})


@pytest.mark.parametrize(("scope", "seconds"), [("hour", 3_600), ("day", 86_400), ("month", 30 * 86_400)])
def test_no_window_of_that_length_ever_holds_more_than_was_counted_in_it(scope: str, seconds: int) -> None:
    clock = Clock()
    ledger = BudgetLedger(clock=clock)
    begun = clock.now
    ledger.charge(scope, tokens=7, usd=Decimal("0.1"))  # type: ignore[arg-type]
    clock.now = begun + seconds - 1
    assert ledger.spent(scope).tokens == 7  # type: ignore[arg-type, union-attr]
    clock.now = begun + seconds * 1.02
    spent = ledger.spent(scope)  # type: ignore[arg-type]
    assert spent is not None
    assert (spent.tokens, spent.usd) == (0, Decimal("0.0"))


def test_what_is_spent_leaves_the_window_piece_by_piece() -> None:
    clock = Clock()
    ledger = BudgetLedger(clock=clock)
    for _ in range(100):
        ledger.charge("hour", tokens=1)
        clock.now += 60
    spent = ledger.spent("hour")
    assert spent is not None
    assert 60 <= spent.tokens <= 61


def test_memory_is_bounded_however_much_is_spent() -> None:
    clock = Clock()
    ledger = BudgetLedger(clock=clock)
    for _ in range(20_000):
        ledger.charge("month", tokens=1)
        clock.now += 400
    assert len(ledger.account("month")._slots) <= 30 * 4 + 2


def test_what_is_not_capped_is_not_counted_and_so_unknown() -> None:
    assert BudgetLedger().spent("day") is None


def test_a_forgotten_scope_begins_anew() -> None:
    ledger = BudgetLedger()
    ledger.charge("session", "ann", tokens=5)
    ledger.charge("day", tokens=5)
    ledger.forget("session", "ann")
    ledger.forget("day")
    assert ledger.spent("session", "ann") is None
    spent = ledger.spent("day")
    assert spent is not None
    assert spent.tokens == 0


def test_agents_that_share_a_ledger_need_one_window_for_tenants() -> None:
    ledger = BudgetLedger()
    ledger.account("tenant", "acme", window="day")
    with pytest.raises(ConfigurationError, match=r"tenant_window 'month' for 'acme'.*'day' already"):
        ledger.account("tenant", "acme", window="month")


async def test_what_is_set_aside_is_settled_once_and_exactly() -> None:
    ledger = BudgetLedger()
    caps = [Cap(account=ledger.account("day"), usd=Decimal(1), tokens=1_000)]
    held = await ledger.reserve(caps, ask(10, 20, usd="0.001"), wait_seconds=0)
    spent = ledger.spent("day")
    assert spent is not None
    assert (spent.reserved_tokens, spent.reserved_usd) == (30, Decimal("0.030"))
    held.settle(12, Decimal("0.0123"))
    held.settle(12, Decimal("0.0123"))
    spent = ledger.spent("day")
    assert spent is not None
    assert (spent.tokens, spent.usd) == (12, Decimal("0.0123"))
    assert (spent.reserved_tokens, spent.reserved_usd) == (0, 0)


async def test_the_answer_is_as_long_as_what_was_spent_leaves_room_for() -> None:
    ledger = BudgetLedger()
    caps = tokens_of(ledger, 100)
    ledger.spend(caps, 60, Decimal(0))
    held = await ledger.reserve(caps, ask(10, 500), wait_seconds=0)
    assert held.output_tokens == 30
    assert held.shortened is not None
    assert held.shortened.spent == 60


async def test_a_price_bounds_the_answer_too() -> None:
    ledger = BudgetLedger()
    caps = [Cap(account=ledger.account("day"), usd=Decimal("0.10"), tokens=None)]
    held = await ledger.reserve(caps, ask(10, 500, usd="0.001"), wait_seconds=0)
    assert (held.output_tokens, held.usd) == (90, Decimal("0.100"))


async def test_answers_that_may_all_be_billed_are_all_set_aside() -> None:
    ledger = BudgetLedger()
    caps = [Cap(account=ledger.account("day"), usd=Decimal("0.10"), tokens=None)]
    held = await ledger.reserve(caps, ask(10, 500, usd="0.001", answers=2), wait_seconds=0)
    assert (held.output_tokens, held.tokens, held.usd) == (40, 100, Decimal("0.100"))


async def test_a_request_that_spending_alone_leaves_no_room_for_is_refused_at_once() -> None:
    ledger = BudgetLedger()
    caps = tokens_of(ledger, 100)
    ledger.spend(caps, 95, Decimal(0))
    with pytest.raises(BudgetExceededError) as caught:
        await ledger.reserve(caps, ask(10, 500, least=16), wait_seconds=60)
    error = caught.value
    assert (error.scope, error.unit, error.limit, error.spent, error.requested) == ("day", "tokens", 100, 95, 26)


async def test_room_that_others_may_leave_is_waited_for() -> None:
    ledger = BudgetLedger()
    caps = tokens_of(ledger, 100)
    first = await ledger.reserve(caps, ask(10, 80), wait_seconds=0)
    second = asyncio.ensure_future(ledger.reserve(caps, ask(10, 50), wait_seconds=60))
    await asyncio.sleep(0.01)
    assert not second.done()
    first.settle(20)
    held = await second
    assert held.output_tokens == 50


async def test_who_waits_for_what_others_use_up_is_refused_when_they_have() -> None:
    ledger = BudgetLedger()
    caps = tokens_of(ledger, 100)
    first = await ledger.reserve(caps, ask(10, 80), wait_seconds=0)
    second = asyncio.ensure_future(ledger.reserve(caps, ask(10, 50, least=16), wait_seconds=60))
    await asyncio.sleep(0.01)
    first.settle(90)
    with pytest.raises(BudgetExceededError, match="found 90 tokens spent"):
        await second


async def test_who_came_first_is_served_first_and_small_requests_do_not_slip_by() -> None:
    ledger = BudgetLedger()
    caps = tokens_of(ledger, 100)
    first = await ledger.reserve(caps, ask(10, 60), wait_seconds=0)
    order: list[str] = []

    async def wait(name: str, output_tokens: int) -> None:
        held = await ledger.reserve(caps, ask(10, output_tokens), wait_seconds=60)
        order.append(name)
        held.settle()

    large = asyncio.ensure_future(wait("large", 80))
    await asyncio.sleep(0.01)
    small = asyncio.ensure_future(wait("small", 5))
    await asyncio.sleep(0.01)
    assert order == []
    first.settle()
    await asyncio.gather(large, small)
    assert order == ["large", "small"]


async def test_nobody_waits_for_a_scope_that_others_are_short_of() -> None:
    ledger = BudgetLedger()
    acme = [Cap(account=ledger.account("session", "acme"), usd=None, tokens=50), *tokens_of(ledger, 1_000)]
    other = [Cap(account=ledger.account("session", "other"), usd=None, tokens=50), *tokens_of(ledger, 1_000)]
    await ledger.reserve(acme, ask(10, 30), wait_seconds=0)
    waits = asyncio.ensure_future(ledger.reserve(acme, ask(10, 30), wait_seconds=60))
    await asyncio.sleep(0.01)
    held = await ledger.reserve(other, ask(10, 30), wait_seconds=0)
    assert held.output_tokens == 30
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)


async def test_after_the_wait_a_shorter_answer_is_taken_and_else_none() -> None:
    ledger = BudgetLedger()
    caps = tokens_of(ledger, 100)
    await ledger.reserve(caps, ask(10, 50), wait_seconds=0)
    shorter = await ledger.reserve(caps, ask(10, 60), wait_seconds=0.01)
    assert shorter.output_tokens == 30
    with pytest.raises(BudgetExceededError, match="found 100 tokens spent"):
        await ledger.reserve(caps, ask(10, 60), wait_seconds=0.01)


@pytest.mark.parametrize("is_granted", [True, False])
async def test_a_cancelled_waiter_leaves_nothing_behind(is_granted: bool) -> None:
    ledger = BudgetLedger()
    caps = tokens_of(ledger, 100)
    first = await ledger.reserve(caps, ask(10, 80), wait_seconds=0)
    waiter = asyncio.ensure_future(ledger.reserve(caps, ask(10, 80), wait_seconds=60))
    await asyncio.sleep(0.01)
    if is_granted:
        first.settle()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    first.settle()
    held = await ledger.reserve(caps, ask(10, 90), wait_seconds=0)
    assert held.output_tokens == 90


def test_threads_share_a_ledger_and_a_cap_is_never_passed() -> None:
    ledger = BudgetLedger()
    caps = [Cap(account=ledger.account("day"), usd=Decimal("1.0"), tokens=5_000)]
    seen: list[bool] = []
    settled: list[tuple[int, Decimal]] = []

    async def one(number: int) -> None:
        try:
            held = await ledger.reserve(caps, ask(10, 40, least=16, usd="0.0003"), wait_seconds=30)
        except BudgetExceededError:
            return
        spent = ledger.spent("day")
        assert spent is not None
        within_tokens = spent.tokens + spent.reserved_tokens <= 5_000
        seen.append(within_tokens and spent.usd + spent.reserved_usd <= Decimal("1.0"))
        await asyncio.sleep(0)
        used = 10 + number % (held.output_tokens + 1)
        settled.append((used, used * Decimal("0.0003")))
        held.settle(*settled[-1])

    async def many() -> None:
        await asyncio.gather(*(one(number) for number in range(60)))

    threads = [threading.Thread(target=lambda: asyncio.run(many())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = ledger.spent("day")
    assert spent is not None
    assert len(settled) == len(seen)
    assert all(seen)
    assert spent.tokens == sum(tokens for tokens, _ in settled)
    assert spent.usd == sum((usd for _, usd in settled), Decimal(0)) <= Decimal("1.0")
    assert (spent.reserved_tokens, spent.reserved_usd) == (0, 0)
    assert spent.tokens > 3_000


def test_a_rate_bounds_cache_tokens_too() -> None:
    rate = ModelRate(input=Decimal(2), output=Decimal(8), cache_write=Decimal("2.5"))
    assert ceiling_of_rate(rate) == PriceCeiling(input=Decimal("0.0000025"), output=Decimal("0.000008"))


@pytest.mark.parametrize("field", ["cache_write_1h", "cache_audio_read", "input_audio", "output_audio"])
def test_a_rate_bounds_whatever_it_bills_apart(field: str) -> None:
    ceiling = ceiling_of_rate(ModelRate.model_validate({"input": 2, "output": 8, field: 40}))
    dear = ceiling.output if field == "output_audio" else ceiling.input
    assert dear == Decimal("0.00004")


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5", "gpt-4.1-mini"])
def test_the_price_table_bounds_what_it_charges(model: str) -> None:
    from genai_prices import Usage, calc_price

    ceiling = ceiling_of_table(model, "openai", None)
    assert ceiling is not None
    usage = Usage(input_tokens=100_000, output_tokens=5_000, cache_read_tokens=10_000)
    price = calc_price(usage, model, provider_id="openai").total_price
    assert 0 < price <= ceiling.request + 100_000 * ceiling.input + 5_000 * ceiling.output


def test_long_prompts_are_bounded_by_their_dearer_tier() -> None:
    from genai_prices import Usage, calc_price

    ceiling = ceiling_of_table("gemini-2.5-pro", "google-gla", None)
    assert ceiling is not None
    price = calc_price(Usage(input_tokens=500_000), "gemini-2.5-pro", provider_id="google-gla").total_price
    assert 0 < price <= 500_000 * ceiling.input


def test_a_price_for_each_request_is_part_of_the_bound() -> None:
    ceiling = ceiling_of_table("sonar", "perplexity", None)
    assert ceiling is not None
    assert ceiling.request > 0


def test_a_model_that_the_table_does_not_know_has_no_bound() -> None:
    assert ceiling_of_table("nobodys-model", "openai", None) is None
    assert ceiling_of_table("nobodys-model", None, None) is None
    assert dearest([PriceCeiling(), None]) is None


def test_of_several_models_the_dearest_is_the_bound() -> None:
    one = PriceCeiling(input=Decimal(1), output=Decimal(5))
    other = PriceCeiling(input=Decimal(2), output=Decimal(4), request=Decimal(1))
    assert dearest([one, other]) == PriceCeiling(input=Decimal(2), output=Decimal(5), request=Decimal(1))


def test_a_scope_is_opened_once_with_what_was_spent_in_it_before() -> None:
    ledger = BudgetLedger()
    opened: list[bool] = []
    together = threading.Barrier(8)

    def open_it() -> None:
        together.wait()
        opened.append(ledger.open("session", "s", tokens=100, usd=Decimal(1)))

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == [False] * 7 + [True]
    now = ledger.spent("session", "s")
    assert now is not None
    assert (now.tokens, now.usd) == (100, Decimal(1))
    ledger.forget("session", "s")
    assert ledger.open("session", "s")


@pytest.mark.parametrize(
    ("scope", "key", "amounts"),
    [("day", "d", {}), ("tenant", "t", {}), ("session", "s", {"tokens": -1}), ("session", "s", {"usd": Decimal(-1)})],
)
def test_a_scope_is_opened_with_amounts_and_keys_that_can_be(scope: Any, key: str, amounts: dict[str, Any]) -> None:
    ledger = BudgetLedger()
    with pytest.raises(ValueError, match="expected"):
        ledger.open(scope, key, **amounts)
    assert not ledger.knows(scope, None if scope == "day" else key)
