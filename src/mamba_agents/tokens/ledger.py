"""What was spent, what is set aside, and who waits for it."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

from mamba_agents.errors import BudgetExceededError, BudgetScope, ConfigurationError
from mamba_agents.tokens.account import Account, Spent
from mamba_agents.tokens.budget import Window
from mamba_agents.tokens.given import key_and_window, scope_and_key, scope_and_window, whole_number
from mamba_agents.tokens.given import usd as money
from mamba_agents.tokens.room import Ask, Cap, exceeded, fits, longest_answer, passed_by

_NOTHING = Decimal(0)


class Reservation:
    """Room that is set aside for one request until it is settled."""

    __slots__ = ("_accounts", "_ledger", "_open", "output_tokens", "shortened", "tokens", "usd")

    def __init__(
        self,
        ledger: "BudgetLedger",
        accounts: Sequence[Account],
        output_tokens: int,
        tokens: int,
        usd: Decimal,
        shortened: BudgetExceededError | None = None,
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._open = True
        self.output_tokens = output_tokens
        """What is set aside for the answer: at most what was asked for."""
        self.shortened = shortened
        """Why that is less than was asked for; None where it is all of it."""
        self.tokens, self.usd = tokens, usd
        for account in accounts:
            account.reserved_tokens += tokens
            account.reserved_usd += usd

    def settle(self, tokens: int = 0, usd: Decimal = _NOTHING) -> None:
        """Count what was used, and leave the rest to others; only the first time counts."""
        self._ledger.settle(self, tokens, usd)

    def close(self) -> Sequence[Account]:
        """Give the room back, once: the accounts it was set aside in."""
        accounts = self._accounts if self._open else ()
        self._open = False
        for account in accounts:
            account.reserved_tokens -= self.tokens
            account.reserved_usd -= self.usd
        return accounts


class _Waiter:
    """A request that waits for room. Its place in the line is kept in the accounts that are short."""

    __slots__ = ("ask", "caps", "loop", "outcome", "short", "woken")

    def __init__(self, caps: Sequence[Cap], ask: Ask, short: set[Account]) -> None:
        self.caps, self.ask, self.short = caps, ask, short
        self.outcome: Reservation | BudgetExceededError | None = None
        self.loop = asyncio.get_running_loop()
        self.woken = asyncio.Event()

    def wake(self) -> None:
        """Let it see its outcome, in whatever thread it waits."""
        with suppress(RuntimeError):  # its loop is closed, and nobody waits any more
            self.loop.call_soon_threadsafe(self.woken.set)


class BudgetLedger:
    """What was spent against budgets, in memory. Safe to share by agents, event loops and threads of a process.

    Only what has a cap is counted. `clock` gives seconds that never go back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        if not callable(clock):
            raise TypeError(f"found clock={clock!r}; expected a function that gives seconds, such as time.monotonic")
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[tuple[BudgetScope, str | None], Account] = {}
        self._waiters: list[_Waiter] = []

    def spent(self, scope: BudgetScope, key: str | None = None) -> Spent | None:
        """What is spent in a scope as of now; `key` is the run, session or tenant. None where nothing is counted."""
        scope_and_key(scope, key)
        with self._lock:
            account = self._accounts.get((scope, key))
            if account is None:
                return None
            account.forget_old(self._clock())
            return account.spending()

    def charge(
        self,
        scope: BudgetScope,
        key: str | None = None,
        *,
        tokens: int = 0,
        usd: Decimal = _NOTHING,
        window: Window | None = None,
    ) -> None:
        """Count what was spent elsewhere, such as by an earlier process; a tenant needs its `window`.

        Raises:
            TypeError: `tokens` that are no whole number, or `usd` that is no Decimal.
            ValueError: an amount below 0 or not finite, an unknown scope, or a key or window that is not the scope's.
            ConfigurationError: the tenant is counted by another window already.
        """
        scope_and_key(scope, key)
        key_and_window(scope, key, window)
        tokens, usd = whole_number("tokens", tokens), money("usd", usd)
        account = self.account(scope, key, window=window)
        with self._lock:
            account.add(tokens, usd, self._clock())

    def knows(self, scope: BudgetScope, key: str | None = None) -> bool:
        """Whether anything was counted in a scope."""
        if (scope, key) in self._accounts:
            return True
        scope_and_key(scope, key)
        return False

    def open(self, scope: BudgetScope, key: str, *, tokens: int = 0, usd: Decimal = _NOTHING) -> bool:
        """Begin to count in a scope, with what was spent in it before; False where it is counted in already.

        Of those who ask at once, one begins it.

        Raises:
            TypeError: `tokens` that are no whole number, or `usd` that is no Decimal.
            ValueError: an amount below 0 or not finite, an unknown scope, or a tenant, which needs a window.
        """
        scope_and_key(scope, key)
        key_and_window(scope, key, None)
        account = Account(scope, key, None)
        account.add(whole_number("tokens", tokens), money("usd", usd), self._clock())
        return self._accounts.setdefault((scope, key), account) is account

    def forget(self, scope: BudgetScope, key: str | None = None) -> None:
        """Begin a scope anew, such as that of a session that is deleted."""
        with self._lock:
            account = self._accounts.get((scope, key)) if key is None else self._accounts.pop((scope, key), None)
            if account is not None:
                account.clear()
                return
        scope_and_key(scope, key)

    def account(self, scope: BudgetScope, key: str | None = None, *, window: Window | None = None) -> Account:
        """The account of a scope, opened if there is none yet.

        Raises:
            ConfigurationError: agents that share the ledger have different windows for their tenants.
            ValueError: an unknown scope or window.
        """
        if scope == "hour" or scope == "day" or scope == "month":
            window = scope
        account = self._accounts.get((scope, key))
        if account is None:
            scope_and_window(scope, window)
            # One object whichever thread asks first.
            account = self._accounts.setdefault((scope, key), Account(scope, key, window))
        if account.window != window:
            raise ConfigurationError(
                f"found {scope}_window {window!r} for {key!r}, whose spending is counted by {account.window!r} "
                "already; agents that share a ledger need the same one"
            )
        return account

    def passed(self, caps: Sequence[Cap]) -> list[BudgetExceededError]:
        """The caps that more was spent of than they allow."""
        with self._lock:
            now = self._clock()
            for cap in caps:
                cap.account.forget_old(now)
            return [error for cap in caps for error in passed_by(cap)]

    def spend(self, caps: Sequence[Cap], tokens: int, usd: Decimal) -> None:
        """Count what was spent without asking before."""
        with self._lock:
            self._add([cap.account for cap in caps], tokens, usd)

    def try_reserve(self, caps: Sequence[Cap], ask: Ask) -> Reservation | None:
        """Set room aside for the whole of it, if there is that much now."""
        output_tokens = ask.output_tokens
        tokens, usd = ask.tokens(output_tokens), ask.usd(output_tokens)
        with self._lock:
            if (self._waiters and self._line(caps)) or not fits(caps, tokens, usd, self._clock()):
                return None
            return Reservation(self, [cap.account for cap in caps], output_tokens, tokens, usd)

    async def reserve(self, caps: Sequence[Cap], ask: Ask, *, wait_seconds: float) -> Reservation:
        """Set room aside, with a shorter answer where what was spent leaves no more.

        Room that others have set aside is waited for, in the order that requests came.

        Raises:
            BudgetExceededError: not even the shortest answer fits, or nobody left room in time.
        """
        with self._lock:
            outcome = self._decide(caps, ask, self._line(caps))
            if isinstance(outcome, Reservation):
                return outcome
            if isinstance(outcome, BudgetExceededError):
                raise outcome
            waiter = _Waiter(caps, ask, outcome)
            self._waiters.append(waiter)
        try:
            await _wait(waiter.woken, wait_seconds)
        except BaseException:
            outcome = self._leave_line(waiter)
            if isinstance(outcome, Reservation):
                outcome.settle()
            raise
        outcome = self._leave_line(waiter)
        if isinstance(outcome, BudgetExceededError):
            raise outcome
        return outcome

    def settle(self, reservation: Reservation, tokens: int, usd: Decimal) -> None:
        """Count what a request used in place of what was set aside for it."""
        with self._lock:
            if accounts := reservation.close():
                self._add(accounts, tokens, usd)
                if self._waiters:
                    self._serve_line()

    def _add(self, accounts: Sequence[Account], tokens: int, usd: Decimal) -> None:
        now = self._clock()
        for account in accounts:
            if account.window is None:
                account.tokens += tokens
                account.usd += usd
            else:
                account.add(tokens, usd, now)

    def _line(self, caps: Sequence[Cap]) -> set[Account]:
        """Those of the accounts that somebody waits for already."""
        if not self._waiters:
            return set()
        return {cap.account for cap in caps for waiter in self._waiters if cap.account in waiter.short}

    def _decide(
        self, caps: Sequence[Cap], ask: Ask, line: set[Account]
    ) -> "Reservation | BudgetExceededError | set[Account]":
        """The room, or why there is none, or the accounts to wait for."""
        now = self._clock()
        best = min(longest_answer(caps, ask, now, reserved=False), ask.output_tokens)
        if best < ask.least_output_tokens:
            return exceeded(caps, ask, reserved=False)
        if line:
            return line
        short = {cap.account for cap in caps if longest_answer([cap], ask, now) < best}
        return short or self._reservation(caps, ask, best)

    def _reservation(self, caps: Sequence[Cap], ask: Ask, output_tokens: int) -> Reservation:
        shortened = None
        if output_tokens < ask.output_tokens:
            more = replace(ask, least_output_tokens=output_tokens + 1)
            shortened = exceeded(caps, more, reserved=True)
        accounts = [cap.account for cap in caps]
        return Reservation(self, accounts, output_tokens, ask.tokens(output_tokens), ask.usd(output_tokens), shortened)

    def _serve_line(self) -> None:
        ahead: set[Account] = set()
        for waiter in self._waiters:
            if waiter.outcome is None:
                line = ahead.intersection(cap.account for cap in waiter.caps)
                outcome = self._decide(waiter.caps, waiter.ask, line)
                if isinstance(outcome, set):
                    waiter.short = outcome
                    ahead |= outcome
                else:
                    waiter.outcome = outcome
                    waiter.wake()

    def _leave_line(self, waiter: _Waiter) -> Reservation | BudgetExceededError:
        """The outcome of waiting; for one who waited in vain, what there is now."""
        with self._lock:
            self._waiters.remove(waiter)
            if waiter.outcome is not None:
                return waiter.outcome
            best = longest_answer(waiter.caps, waiter.ask, self._clock())
            if best < waiter.ask.least_output_tokens:
                self._serve_line()  # whoever stood behind it may pass now
                return exceeded(waiter.caps, waiter.ask, reserved=True)
            return self._reservation(waiter.caps, waiter.ask, best)


async def _wait(woken: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(woken.wait(), seconds)
