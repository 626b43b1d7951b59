"""Checks of what callers give by hand: found, expected, what to do.

Figures that replies report pass by these: a run is not to end because a server counted wrongly.
"""

from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from operator import index
from typing import Final, SupportsIndex, get_args

from mamba_agents.errors import BudgetScope
from mamba_agents.tokens.budget import Window
from mamba_agents.tokens.usage import RecordKind, TokenUsage, UsageRecord

SCOPES: Final[tuple[str, ...]] = get_args(BudgetScope.__value__)
WINDOWS: Final[tuple[str, ...]] = get_args(Window.__value__)
_KINDS: Final[tuple[str, ...]] = get_args(RecordKind.__value__)
A_USAGE: Final = "a TokenUsage: what pydantic-ai calls input_tokens and output_tokens are prompt and completion tokens"


def whole_number(name: str, value: object) -> int:
    """The number, which counts something.

    Raises:
        TypeError: no whole number. What is one by another type, such as numpy's, passes.
        ValueError: below 0.
    """
    if type(value) is int and value >= 0:  # nearly always, and quickly
        return value
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError(f"found {name}={value!r} ({type(value).__name__}); expected a whole number")
    number = index(value)
    if number < 0:
        raise ValueError(f"found {name}={number}; expected 0 or more")
    return number


def usd(name: str, value: object) -> Decimal:
    """The amount of money. A float is refused, since it is seldom the sum that was written.

    Raises:
        TypeError: no Decimal and no int.
        ValueError: below 0, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise TypeError(f'found {name}={value!r} ({type(value).__name__}); expected a Decimal, such as Decimal("0.25")')
    amount = Decimal(value)
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"found {name}={amount}; expected a finite amount of 0 or more")
    return amount


def require(name: str, value: object, kind: type | tuple[type, ...], *, expected: str) -> None:
    """Refuse what is of another kind. It is not shown, since it may be anything.

    Raises:
        TypeError: it is.
    """
    if not isinstance(value, kind):
        raise TypeError(f"found {type(value).__name__} as {name}; expected {expected}")


def check_usage(usage: object) -> None:
    """Refuse usage whose figures cannot be.

    Raises:
        TypeError: no TokenUsage, or a figure that is no whole number.
        ValueError: a figure below 0.
    """
    require("usage", usage, TokenUsage, expected=A_USAGE)
    for field in fields(TokenUsage):
        whole_number(f"usage.{field.name}", getattr(usage, field.name))


def check_record(record: object) -> None:
    """Refuse what is no record, and one made by hand whose fields cannot be.

    Raises:
        TypeError: no record, or a field that has another type than it says.
        ValueError: an unknown kind, a figure below 0 or not finite, or a time without its zone.
    """
    if not isinstance(record, UsageRecord):
        raise TypeError(f"found {type(record).__name__} among the records; expected UsageRecord alone")
    if record.kind not in _KINDS:
        raise ValueError(f"found kind {record.kind!r}; expected one of {', '.join(_KINDS)}")
    if record.kind != "manual":
        return
    check_usage(record.usage)
    require("timestamp", record.timestamp, datetime, expected="a datetime with its time zone")
    if record.timestamp.tzinfo is None:
        raise ValueError(
            f"found timestamp={record.timestamp} without a time zone; expected one, as datetime.now(UTC) has"
        )
    for name in ("model", "provider", "tool_name", "session_id"):
        if getattr(record, name) is not None:
            require(name, getattr(record, name), str, expected="text or None")
    if record.cost is not None:
        usd("cost", record.cost)


def scope_and_window(scope: object, window: object) -> None:
    """Refuse a scope or a window that is none.

    Raises:
        ValueError: one that is unknown.
    """
    if scope not in SCOPES:
        raise ValueError(f"found scope {scope!r}; expected one of {', '.join(SCOPES)}")
    if window is not None and window not in WINDOWS:
        raise ValueError(f"found window {window!r}; expected one of {', '.join(WINDOWS)}")


def scope_and_key(scope: object, key: object) -> None:
    """Refuse a scope that is none, and a key that no account is ever kept by.

    Raises:
        TypeError: a key that is no text.
        ValueError: an unknown scope, or a key for one that all runs share.
    """
    scope_and_window(scope, None)
    if key is None:
        return
    require("key", key, str, expected="the id of a run or session, or the name of a tenant, as text")
    if scope in WINDOWS:
        raise ValueError(f"found key {key!r} for the scope {scope!r}, which all runs share; expected none")


def key_and_window(scope: BudgetScope, key: str | None, window: object) -> None:
    """Refuse what would be kept in an account that no run ever asks.

    Raises:
        ValueError: a run or session without its key; a window that is missing, unknown or without effect.
    """
    if key is None and scope in {"run", "session"}:
        raise ValueError(f"found no key for the scope {scope!r}; expected the id of the {scope}")
    scope_and_window(scope, window)
    if scope == "tenant" and window is None:
        raise ValueError(f"found no window for a tenant; expected the budget's tenant_window: {', '.join(WINDOWS)}")
    if scope != "tenant" and window is not None and window != scope:
        raise ValueError(f"found window {window!r} for the scope {scope!r}; expected none, since only tenants have one")
