"""The errors of budgets and of overflow compose their message from typed fields."""

import pickle
from decimal import Decimal

import pytest

from mamba_agents.errors import AgentError, BudgetExceededError, ContextOverflowError


@pytest.mark.parametrize("attempted", [True, False])
def test_an_overflow_tells_its_figures_and_what_was_tried(attempted: bool) -> None:
    error = ContextOverflowError(9_000, 8_192, attempted)
    assert (error.current_tokens, error.max_tokens, error.compaction_attempted) == (9_000, 8_192, attempted)
    assert isinstance(error, AgentError)
    assert "9000" in error.message
    assert "8192" in error.message
    assert ("could not reach" in error.message) is attempted
    assert ("was not tried" in error.message) is not attempted


def test_a_spent_budget_tells_its_figures_and_the_setting_to_raise() -> None:
    error = BudgetExceededError("day", "USD", limit=Decimal("2.5"), spent=Decimal("2.4"), requested=Decimal("0.2"))
    assert str(error) == (
        "found 2.4 USD spent, and a request that may take 0.2 more; expected at most 2.5 USD; "
        "raise budget.day_usd, or wait until older spending has left the window"
    )
    assert (error.scope, error.unit, error.key) == ("day", "USD", None)


def test_whose_budget_it_is_stands_in_the_message() -> None:
    error = BudgetExceededError("session", "tokens", limit=10, spent=9, requested=5, key="ann")
    assert str(error) == (
        "found 9 tokens spent of session 'ann', and a request that may take 5 more; expected at most 10 tokens; "
        "raise budget.session_tokens"
    )


def test_time_and_repeated_calls_name_their_own_settings() -> None:
    assert "raise budget.run_seconds" in str(BudgetExceededError("run", "seconds", limit=1.5, spent=1.6))
    assert "raise budget.max_repeated_calls" in str(BudgetExceededError("run", "calls", limit=3, spent=3))


@pytest.mark.parametrize(
    "error",
    [
        ContextOverflowError(9, 8, True, cause=ValueError("why")),
        BudgetExceededError("tenant", "USD", limit=Decimal(1), spent=Decimal(2), key="acme", cause=ValueError("why")),
    ],
)
def test_they_survive_pickling_with_fields_and_cause(error: AgentError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)
    assert repr(back.__cause__) == "ValueError('why')"
