"""One sum of spending: for ever, or over a rolling window."""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from mamba_agents.errors import BudgetScope
from mamba_agents.tokens.budget import Window

_HOUR, _DAY = 3600.0, 86_400.0

# The window and the width of its slots, in seconds. Spent is forgotten a slot at a time, and a slot only when all
# of it has left the window: no window of that length, wherever it begins, ever holds more than the cap.
_WINDOWS: Final[dict[Window, tuple[float, float]]] = {
    "hour": (_HOUR, 60.0),
    "day": (_DAY, 900.0),
    "month": (30 * _DAY, 6 * _HOUR),
}
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What is spent, and what is set aside for requests that are under way."""

    tokens: int
    usd: Decimal
    """Known only where a cap on USD asks for prices."""

    reserved_tokens: int
    reserved_usd: Decimal


_NO_SLOTS: Final[deque[tuple[int, list[int], list[Decimal]]]] = deque(maxlen=0)


class Account:
    """What was spent in one scope. Not safe to share between threads: its ledger is."""

    __slots__ = (
        "_seconds",
        "_slots",
        "_width",
        "key",
        "reserved_tokens",
        "reserved_usd",
        "scope",
        "tokens",
        "usd",
        "window",
    )

    def __init__(self, scope: BudgetScope, key: str | None, window: Window | None) -> None:
        self.scope: BudgetScope = scope
        self.key = key
        self.tokens, self.usd = 0, _NOTHING
        self.reserved_tokens, self.reserved_usd = 0, _NOTHING
        self.window: Window | None = window
        self._seconds, self._width = _WINDOWS[window] if window else (0.0, 0.0)
        self._slots: deque[tuple[int, list[int], list[Decimal]]] = deque() if window else _NO_SLOTS

    def add(self, tokens: int, usd: Decimal, now: float) -> None:
        """Count something as spent."""
        self.tokens += tokens
        self.usd += usd
        if not self._width:
            return
        number = int(now // self._width)
        if not self._slots or self._slots[-1][0] != number:
            self.forget_old(now)
            self._slots.append((number, [0], [_NOTHING]))
        _, slot_tokens, slot_usd = self._slots[-1]
        slot_tokens[0] += tokens
        slot_usd[0] += usd

    def forget_old(self, now: float) -> None:
        """Leave out what has left the window."""
        slots = self._slots
        while slots and (slots[0][0] + 1) * self._width <= now - self._seconds:
            _, tokens, usd = slots.popleft()
            self.tokens -= tokens[0]
            self.usd -= usd[0]

    def clear(self) -> None:
        """Forget what was spent; what is set aside for requests under way stays."""
        self.tokens, self.usd = 0, _NOTHING
        self._slots.clear()

    def spending(self) -> Spent:
        """The figures as they are."""
        return Spent(
            tokens=self.tokens, usd=self.usd, reserved_tokens=self.reserved_tokens, reserved_usd=self.reserved_usd
        )
