"""Settings of budgets."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations, product
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
        for name, caps in self.tenants.items():
            if caps.usd is None and caps.tokens is None:
                raise ValueError(f"found tenants.{name} without a cap; expected `usd`, `tokens` or both")
        for unit in _UNITS:
            caps = self._caps(unit)
            for inner, outer in self._nested(unit):
                low, high = caps[inner], caps[outer]
                if low is not None and high is not None and low > high:
                    raise ValueError(
                        f"found {inner}={low} above {outer}={high}, which the same requests reach first; expected "
                        f"{inner} to be at most {outer}: lower the one or raise the other"
                    )
        return self

    def _nested(self, unit: str) -> Iterator[tuple[str, str]]:
        """Pairs of caps of which the first counts no request that the second does not count too.

        Not a run and a window: a run may outlast it, and spend as much again in the next hour.
        """
        yield f"run_{unit}", f"session_{unit}"
        for shorter, longer in combinations(_WINDOWS, 2):
            yield f"{shorter}_{unit}", f"{longer}_{unit}"
        # A single tenant's cap may be higher where it lifts the one that all tenants have.
        lifts = self.tenant_usd is not None or self.tenant_tokens is not None
        tenants = [f"tenant_{unit}", *(() if lifts else (f"tenants.{name}.{unit}" for name in self.tenants))]
        for tenant, window in product(tenants, _WINDOWS[_WINDOWS.index(self.tenant_window) :]):
            yield tenant, f"{window}_{unit}"

    def _caps(self, unit: str) -> dict[str, Decimal | int | None]:
        """Every cap in USD or in tokens, by its name in the settings."""
        names = [f"{scope}_{unit}" for scope in ("run", "session", "tenant", *_WINDOWS)]
        own = {f"tenants.{name}.{unit}": getattr(caps, unit) for name, caps in self.tenants.items()}
        return {name: getattr(self, name) for name in names} | own

    @property
    def caps_spending(self) -> bool:
        """Whether there is a cap on USD or tokens."""
        if not self.model_fields_set:  # as of most agents, where looking at each takes a tenth of making one
            return False
        return any(cap is not None for unit in _UNITS for cap in self._caps(unit).values())
