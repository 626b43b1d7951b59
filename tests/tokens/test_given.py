"""What is given by hand to the ledger, the tracker and the estimator, and cannot be, is refused and leaves no trace."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from pydantic_ai import RunUsage
from pydantic_ai.models.test import TestModel

from mamba_agents import Agent, AgentSettings
from mamba_agents.errors import BudgetExceededError, ConfigurationError
from mamba_agents.tokens import (
    BudgetConfig,
    BudgetLedger,
    CostEstimator,
    ModelRate,
    TokenUsage,
    UsageRecord,
    UsageTracker,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RATE = {"input": 1, "output": "2.5"}


class Count:
    """A whole number of another type, as numpy has them."""

    def __index__(self) -> int:
        return 7


@pytest.mark.parametrize(
    ("amounts", "error", "message"),
    [
        ({"tokens": -1}, ValueError, "found tokens=-1; expected 0 or more"),
        ({"tokens": 1.5}, TypeError, r"found tokens=1.5 \(float\); expected a whole number"),
        ({"tokens": True}, TypeError, r"found tokens=True \(bool\)"),
        ({"tokens": "5"}, TypeError, r"found tokens='5' \(str\)"),
        ({"usd": Decimal(-1)}, ValueError, "found usd=-1; expected a finite amount of 0 or more"),
        ({"usd": Decimal("NaN")}, ValueError, "found usd=NaN; expected a finite amount"),
        ({"usd": Decimal("sNaN")}, ValueError, "found usd=sNaN; expected a finite amount"),
        ({"usd": Decimal("Infinity")}, ValueError, "found usd=Infinity; expected a finite amount"),
        ({"usd": 0.1}, TypeError, r"found usd=0.1 \(float\); expected a Decimal, such as Decimal"),
        ({"usd": "1"}, TypeError, r"found usd='1' \(str\); expected a Decimal"),
        ({"usd": True}, TypeError, r"found usd=True \(bool\)"),
    ],
)
def test_a_ledger_takes_no_amount_that_cannot_be(amounts: dict[str, Any], error: type[Exception], message: str) -> None:
    ledger = BudgetLedger()
    with pytest.raises(error, match=message):
        ledger.charge("day", **amounts)
    assert ledger.spent("day") is None


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        ({"scope": "week"}, ValueError, "found scope 'week'; expected one of run, session, tenant, hour, day, month"),
        ({"scope": ["day"]}, ValueError, "found scope .'day'.; expected one of"),
        ({"scope": "session"}, ValueError, "found no key for the scope 'session'; expected the id of the session"),
        ({"scope": "run"}, ValueError, "found no key for the scope 'run'"),
        ({"scope": "session", "key": 5}, TypeError, "found int as key; expected the id of a run or session"),
        ({"scope": "day", "key": "ann"}, ValueError, "found key 'ann' for the scope 'day', which all runs share"),
        ({"scope": "tenant", "key": "acme"}, ValueError, "found no window for a tenant; expected .*: hour, day, month"),
        ({"scope": "tenant", "key": "acme", "window": "week"}, ValueError, "found window 'week'; expected one of"),
        ({"scope": "session", "key": "ann", "window": "day"}, ValueError, "found window 'day' for the scope 'session'"),
        ({"scope": "day", "window": "month"}, ValueError, "found window 'month' for the scope 'day'; expected none"),
    ],
)
def test_a_ledger_counts_nothing_where_no_run_looks(
    where: dict[str, Any], error: type[Exception], message: str
) -> None:
    ledger = BudgetLedger()
    with pytest.raises(error, match=message):
        ledger.charge(**where, tokens=1)
    assert ledger._accounts == {}


def test_a_scope_that_is_none_is_no_question_either() -> None:
    ledger: Any = BudgetLedger()
    for ask in (ledger.spent, ledger.knows, ledger.forget, ledger.account):
        with pytest.raises(ValueError, match="found scope 'week'; expected one of run"):
            ask("week")
    with pytest.raises(ValueError, match="found window 'week'; expected one of hour"):
        ledger.account("tenant", "acme", window="week")
    with pytest.raises(TypeError, match="found clock=5; expected a function that gives seconds"):
        BudgetLedger(clock=5)  # type: ignore[arg-type]


def test_what_is_sound_is_charged_whatever_its_type() -> None:
    ledger: Any = BudgetLedger()
    ledger.charge("day", tokens=Count(), usd=2)
    ledger.charge("hour", window="hour", tokens=1)
    ledger.charge("tenant", None, tokens=1, window="day")
    spent = ledger.spent("day")
    assert (spent.tokens, spent.usd, type(spent.usd)) == (7, Decimal(2), Decimal)
    assert ledger.spent("hour").tokens == ledger.spent("tenant").tokens == 1


def test_a_refused_charge_leaves_a_cap_as_it_was() -> None:
    settings = AgentSettings(
        budget=BudgetConfig(day_tokens=1_000, on_exceeded="raise"), _env_file=None, _config_file=None
    )
    ledger: Any = BudgetLedger()
    agent = Agent(TestModel(), settings=settings, budget_ledger=ledger)
    ledger.charge("day", tokens=1_000)
    with pytest.raises(ValueError, match="found tokens=-900"):
        ledger.charge("day", tokens=-900)
    with pytest.raises(BudgetExceededError, match="found 1000 tokens spent"):
        agent.run_sync("Hi")


def test_settings_refuse_caps_that_contradict_each_other_with_names_and_values() -> None:
    expected = r"budget: found run_usd=2 above session_usd=1, .*: lower the one or raise the other"
    with pytest.raises(ConfigurationError, match=expected):
        AgentSettings(budget={"run_usd": 2, "session_usd": 1}, _env_file=None, _config_file=None)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((-1, 0), ValueError, "found prompt_tokens=-1; expected 0 or more"),
        ((0, -1), ValueError, "found completion_tokens=-1; expected 0 or more"),
        ((1.5, 0), TypeError, r"found prompt_tokens=1.5 \(float\); expected a whole number"),
        (("1", "2"), TypeError, r"found prompt_tokens='1' \(str\)"),
        ((1, None), TypeError, r"found completion_tokens=None \(NoneType\)"),
        ((1, 1, 5), TypeError, "found int as a model; expected a model's name"),
        ((1, 1, None, 5), TypeError, "found int as tool_name; expected text or None"),
    ],
)
def test_a_tracker_takes_no_counts_that_cannot_be(given: tuple[Any, ...], error: type[Exception], message: str) -> None:
    tracker = Agent(TestModel()).usage_tracker
    with pytest.raises(error, match=message):
        tracker.record_raw(*given)
    assert tracker.get_usage_history() == []


@pytest.mark.parametrize(
    ("usage", "error", "message"),
    [
        (TokenUsage(cached_tokens=-1), ValueError, r"found usage.cached_tokens=-1; expected 0 or more"),
        (TokenUsage(prompt_tokens=Fraction(1, 2)), TypeError, r"found usage.prompt_tokens=Fraction"),  # type: ignore[arg-type]
        ({"prompt_tokens": 1}, TypeError, "found dict as usage; expected a TokenUsage"),
        (RunUsage(input_tokens=1), TypeError, "found RunUsage as usage; .* input_tokens and output_tokens are prompt"),
    ],
)
def test_a_tracker_takes_no_usage_that_cannot_be(usage: Any, error: type[Exception], message: str) -> None:
    tracker = UsageTracker()
    with pytest.raises(error, match=message):
        tracker.record_usage(usage)
    assert tracker.get_total_usage() == TokenUsage()


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"timestamp": "today"}, TypeError, "found str as timestamp; expected a datetime with its time zone"),
        ({"timestamp": datetime(2026, 1, 1)}, ValueError, "without a time zone; expected one"),  # noqa: DTZ001
        ({"cost": 0.5}, TypeError, r"found cost=0.5 \(float\); expected a Decimal"),
        ({"cost": Decimal(-1)}, ValueError, "found cost=-1; expected a finite amount"),
        ({"usage": None}, TypeError, "found NoneType as usage"),
        ({"session_id": 5}, TypeError, "found int as session_id; expected text or None"),
        ({"kind": "guess"}, ValueError, "found kind 'guess'; expected one of response, compaction, rejected, manual"),
    ],
)
def test_of_records_all_are_kept_or_none(fields: dict[str, Any], error: type[Exception], message: str) -> None:
    tracker = UsageTracker()
    sound = UsageRecord(timestamp=NOW, usage=TokenUsage(prompt_tokens=1, total_tokens=1), cost=Decimal(1))
    bad = UsageRecord(**{"timestamp": NOW, "usage": TokenUsage(), **fields})
    with pytest.raises(error, match=message):
        tracker.add([sound, bad])
    assert tracker.get_usage_history() == []
    tracker.add([sound])
    assert tracker.get_breakdown_by_day()[NOW.date()].cost == 1


def test_what_is_no_record_is_named() -> None:
    tracker: Any = UsageTracker()
    with pytest.raises(TypeError, match="found dict among the records; expected UsageRecord"):
        tracker.add([{}])
    with pytest.raises(TypeError, match="found UsageRecord as the records; expected a list"):
        tracker.add(UsageRecord(timestamp=NOW, usage=TokenUsage()))
    with pytest.raises(TypeError, match="found int as a model; expected its name"):
        tracker.get_cost_estimate(5)
    with pytest.raises(TypeError, match=r"found max_records='5' \(str\)"):
        UsageTracker(max_records="5")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"unsupported operand type.*'TokenUsage' and 'int'"):
        TokenUsage() + 1  # type: ignore[operator]


def test_rates_may_be_the_mappings_that_settings_have() -> None:
    tracker = UsageTracker({"m": RATE})
    tracker.record_raw(1_000_000, 1_000_000, "m")
    assert tracker.get_cost_estimate() == Decimal("3.5")
    estimator = CostEstimator({"m": RATE, "n*": ModelRate(input=Decimal(3), output=Decimal(3))})
    estimator.set_rate("o", {"input": 0.1, "output": 0})
    assert estimator.get_all_rates() == {
        "m": ModelRate(input=Decimal(1), output=Decimal("2.5")),
        "n*": ModelRate(input=Decimal(3), output=Decimal(3)),
        "o": ModelRate(input=Decimal("0.1"), output=Decimal(0)),
    }
    assert estimator.estimate_tokens(1_000_000, "o") == Decimal("0.1")


@pytest.mark.parametrize(
    ("rate", "error", "message"),
    [
        ({"input": -1, "output": 1}, ValueError, r"rate of 'm' with input=-1 \(input should be greater than or equal"),
        (
            {"input": "nan", "output": 1},
            ValueError,
            r"with input='nan' \(input should be a finite number\); expected USD",
        ),
        ({"output": 1}, ValueError, "found a rate of 'm' without input; expected USD for a million tokens"),
        ({"input": 1, "outptu": 1}, ValueError, "without output, with outptu, which is no field of it"),
        (ModelRate(input=Decimal(1), output=Decimal(1)).model_copy(update={"output": Decimal(-5)}), ValueError, "-5"),
        (5, TypeError, "found int as the rate of 'm'; expected USD for a million tokens, as in ModelRate"),
        (None, TypeError, "found NoneType as the rate of 'm'"),
    ],
)
def test_a_rate_that_cannot_be_is_refused_by_its_models_name(rate: Any, error: type[Exception], message: str) -> None:
    estimator = Agent(TestModel()).cost_estimator
    for refused in (
        lambda: UsageTracker({"m": rate}),
        lambda: CostEstimator({"m": rate}),
        lambda: estimator.set_rate("m", rate),
    ):
        with pytest.raises(error, match=message):
            refused()
    assert estimator.get_all_rates() == {}


def test_an_estimator_says_what_it_was_asked_wrongly() -> None:
    estimator: Any = CostEstimator()
    with pytest.raises(TypeError, match="found list as rates; expected a mapping of model names"):
        CostEstimator([RATE])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="found int as the model of a rate; expected a model's name"):
        estimator.set_rate(5, RATE)
    with pytest.raises(TypeError, match="found NoneType as a model"):
        estimator.get_rate(None)
    with pytest.raises(TypeError, match="found dict as usage; expected a TokenUsage"):
        estimator.estimate({}, "gpt-4o")
    with pytest.raises(TypeError, match="found str as when; expected a datetime"):
        estimator.breakdown(TokenUsage(), "gpt-4o", when="today")
    with pytest.raises(ValueError, match="found n=-5; expected 0 or more"):
        estimator.estimate_tokens(-5, "gpt-4o")
    with pytest.raises(TypeError, match=r"found n='5' \(str\); expected a whole number"):
        estimator.estimate_tokens("5", "gpt-4o")
