"""The error classes; the package's docstring draws how they hang together."""

from decimal import Decimal
from typing import Literal

type BudgetScope = Literal["run", "session", "tenant", "hour", "day", "month"]
type BudgetUnit = Literal["USD", "tokens", "seconds", "calls"]

_SETTINGS = {"seconds": "run_seconds", "calls": "max_repeated_calls"}


class AgentError(Exception):
    """What every error of this library is: a message for a person and fields for a program.

    The message says what was found, what was expected and what to do.
    """

    def __init__(self, message: str, *, cause: BaseException | None = None, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        """The facts the message was composed from, by name."""
        if cause is not None:
            self.__cause__ = cause

    def __reduce__(self) -> tuple[object, ...]:
        # The default would call the constructor with `args` alone and lose the keyword fields.
        return _rebuild, (type(self), self.args, self.__dict__, self.__cause__)


class ConfigurationError(AgentError):
    """A setting, a settings file or an environment variable is wrong."""


class ModelBackendError(AgentError):
    """A model server cannot be started, reached or understood."""


class ContextOverflowError(AgentError):
    """A request is longer than its model's window, and is not or cannot be made short enough."""

    def __init__(
        self,
        current_tokens: int,
        max_tokens: int,
        compaction_attempted: bool,  # noqa: FBT001 - the parameters are part of the public contract
        *,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(
            f"found a request of {current_tokens} tokens; expected at most {max_tokens}"
            + (", which compaction could not reach; " if compaction_attempted else "; compaction was not tried: ")
            + ("" if compaction_attempted else "set context.overflow_retries to 1 or more, ")
            + "shorten the newest message or the tool results in it, or use a model with a larger window",
            cause=cause,
            current_tokens=current_tokens,
            max_tokens=max_tokens,
            compaction_attempted=compaction_attempted,
        )
        self.current_tokens = current_tokens
        """The size of the request, as its provider told it or as it was counted."""
        self.max_tokens = max_tokens
        """The model's window."""
        self.compaction_attempted = compaction_attempted
        """Whether the request was as short as compaction makes it; False where the settings allow none."""


class BudgetExceededError(AgentError):
    """A run came to the end of a budget, and its settings say to raise, or it has no output to end with."""

    def __init__(
        self,
        scope: BudgetScope,
        unit: BudgetUnit,
        *,
        limit: Decimal | float,
        spent: Decimal | float,
        requested: Decimal | float | None = None,
        key: str | None = None,
        message: str | None = None,
        cause: BaseException | None = None,
    ) -> None:
        """Compose the message, unless one is given."""
        super().__init__(
            message or _exceeded(scope, unit, limit, spent, requested, key),
            cause=cause,
            scope=scope,
            unit=unit,
            limit=limit,
            spent=spent,
            requested=requested,
            key=key,
        )
        self.scope = scope
        """Which budget it is."""
        self.unit = unit
        """What is counted."""
        self.limit = limit
        """The cap, in `unit`."""
        self.spent = spent
        """What was spent of it before, in `unit`."""
        self.requested = requested
        """The least that the refused request could have taken, in `unit`; None where nothing was asked for."""
        self.key = key
        """The run, session or tenant; None for a budget that all share."""


def _exceeded(
    scope: BudgetScope,
    unit: BudgetUnit,
    limit: Decimal | float,
    spent: Decimal | float,
    requested: Decimal | float | None,
    key: str | None,
) -> str:
    if unit == "calls":
        found = f"found the same tool call with the same arguments {spent} times in a row; expected fewer than {limit}"
        return f"{found}; mend what the tool answers, or raise budget.max_repeated_calls"
    setting = _SETTINGS.get(unit, f"{scope}_{unit.lower()}")
    whose = f" of {scope} {key!r}" if key else ""
    more = "" if requested is None else f", and a request that may take {_figure(requested)} more"
    found = f"found {_figure(spent)} {unit} spent{whose}{more}; expected at most {_figure(limit)} {unit}"
    wait = ", or wait until older spending has left the window" if scope in {"hour", "day", "month"} else ""
    return f"{found}; raise budget.{setting}{wait}"


def _figure(value: Decimal | float) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else f"{value:g}" if isinstance(value, float) else str(value)


def _rebuild[E: AgentError](
    cls: type[E], args: tuple[object, ...], state: dict[str, object], cause: BaseException | None
) -> E:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    error.__cause__ = cause
    return error
