"""Settings of budgets."""

from decimal import Decimal
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

type OnExceeded = Literal["stop", "raise", "warn"]
type OnUnpriced = Literal["allow", "warn", "block"]
type Window = Literal["hour", "day", "month"]

type Usd = Annotated[Decimal, Field(gt=0)]
type Tokens = Annotated[int, Field(gt=0)]

_WINDOWS: tuple[Window, ...] = ("hour", "day", "month")  # the shorter first
_UNITS = ("usd", "tokens")


class BudgetWarning(UserWarning):
    """A budget is passed, or cannot be kept, and the settings say to go on."""


class TenantBudget(BaseModel):
    """The caps of one tenant, in the window that `BudgetConfig.tenant_window` names."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    usd: Usd | None = None
    """USD; None is no cap."""

    tokens: Tokens | None = None
    """Tokens sent and received; None is no cap."""


class BudgetConfig(BaseModel):
    """How much may be spent, and what happens at the cap. Everything is off until it is set.

    Tokens are those sent and those received together. Windows roll: an hour is the last 3,600 seconds, a day the
    last 24 hours, a month the last 30 days.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run_usd: Usd | None = None
    """USD that one run may spend, agents that its tools run included where they share its ledger."""

    run_tokens: Tokens | None = None
    """Tokens that one run may use."""

    session_usd: Usd | None = None
    """USD that one session may spend over all its runs, those of earlier processes included."""

    session_tokens: Tokens | None = None
    """Tokens that one session may use over all its runs."""

    hour_usd: Usd | None = None
    """USD that all runs together may spend in an hour."""

    hour_tokens: Tokens | None = None
    """Tokens that all runs together may use in an hour."""

    day_usd: Usd | None = None
    """USD that all runs together may spend in a day."""

    day_tokens: Tokens | None = None
    """Tokens that all runs together may use in a day."""

    month_usd: Usd | None = None
    """USD that all runs together may spend in a month."""

    month_tokens: Tokens | None = None
    """Tokens that all runs together may use in a month."""

    tenant_usd: Usd | None = None
    """USD that each tenant may spend in `tenant_window`. Runs that name no tenant are one tenant together."""

    tenant_tokens: Tokens | None = None
    """Tokens that each tenant may use in `tenant_window`."""

    tenants: dict[str, TenantBudget] = Field(default_factory=dict)
    """Caps of single tenants by name, in place of `tenant_usd` and `tenant_tokens`."""

    tenant_window: Window = "month"
    """The rolling window of tenants' caps: `hour`, `day` or `month`."""

    tenant_key: str = Field(default="tenant", min_length=1)
    """The key of a run's `metadata` that names its tenant, as in `run(…, metadata={"tenant": "acme"})`."""

    on_exceeded: OnExceeded = "stop"
    """At a cap, `stop` ends the run with the text there is, `raise` raises `BudgetExceededError`, and `warn` logs,
    warns with `BudgetWarning` and goes on. A run whose output is not text cannot stop with text: it raises."""

    on_unpriced: OnUnpriced = "warn"
    """A model of unknown price counts as 0 USD with `allow` and with `warn`, which says so once a run; with `block`
    no request is sent to it, and `BudgetExceededError` is raised. Only USD caps ask for prices."""

    max_output_tokens: int = Field(default=16_384, ge=1)
    """The most one answer may take where the model settings name no `max_tokens`: it is set aside before a request
    and sent as the request's `max_tokens`, or less where the budget allows no more. `warn` never sends it."""

    wait_seconds: float = Field(default=60.0, ge=0, allow_inf_nan=False)
    """How long a request waits for room that other requests have set aside and may leave; then the cap counts as
    reached. 0 never waits."""

    max_repeated_calls: int | None = Field(default=None, ge=2)
    """The same tool call with the same arguments so many times in a row ends the run as `on_exceeded` says."""

    run_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Seconds that one run may take, waiting and tools included; then it ends as `on_exceeded` says."""

    @model_validator(mode="after")
    def _refuse_caps_that_cannot_bind(self) -> Self:
        for unit in _UNITS:
            for shorter, longer in combinations(_WINDOWS, 2):
                low, high = getattr(self, f"{shorter}_{unit}"), getattr(self, f"{longer}_{unit}")
                if low is not None and high is not None and low > high:
                    raise ValueError(
                        f"found {shorter}_{unit}={low} above {longer}_{unit}={high}, so that it can never be reached; "
                        f"expected {shorter}_{unit} to be at most {longer}_{unit}"
                    )
        for name, caps in self.tenants.items():
            if caps.usd is None and caps.tokens is None:
                raise ValueError(f"found tenants.{name} without a cap; expected `usd`, `tokens` or both")
        return self

    @property
    def caps_spending(self) -> bool:
        """Whether there is a cap on USD or tokens."""
        scopes = ("run", "session", "tenant", *_WINDOWS)
        return bool(self.tenants) or any(
            getattr(self, f"{scope}_{unit}") is not None for scope in scopes for unit in _UNITS
        )
