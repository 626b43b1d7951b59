"""How much room caps leave for a request."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mamba_agents.errors import BudgetExceededError
from mamba_agents.tokens.account import Account

_NOTHING = Decimal(0)


@dataclass(slots=True)
class Cap:
    """A limit on one account. A value, though not frozen: some are made for every run."""

    account: Account
    usd: Decimal | None
    tokens: int | None


@dataclass(slots=True)
class Ask:
    """The most that a request can take. A value, though not frozen: one is made for every request."""

    input_tokens: int
    output_tokens: int
    least_output_tokens: int
    """A shorter answer is not worth asking for."""

    input_usd: Decimal = _NOTHING
    output_usd: Decimal = _NOTHING
    """USD for one token of the answer."""

    answers: int = 1
    """How many answers it may take until one is accepted; each is billed."""

    @property
    def is_priced(self) -> bool:
        """Whether it takes money at all."""
        return bool(self.input_usd or self.output_usd)

    def tokens(self, output_tokens: int) -> int:
        """Tokens with answers of this length."""
        return self.answers * (self.input_tokens + output_tokens)

    def usd(self, output_tokens: int) -> Decimal:
        """USD with answers of this length."""
        return self.answers * (self.input_usd + output_tokens * self.output_usd)


def fits(caps: Sequence[Cap], tokens: int, usd: Decimal, now: float) -> bool:
    """Whether there is room for so much."""
    for cap in caps:
        account = cap.account
        if account.window is not None:
            account.forget_old(now)
        if cap.tokens is not None and account.tokens + account.reserved_tokens + tokens > cap.tokens:
            return False
        if cap.usd is not None and usd and account.usd + account.reserved_usd + usd > cap.usd:
            return False
    return True


def longest_answer(caps: Sequence[Cap], ask: Ask, now: float, *, reserved: bool = True) -> int:
    """How long the answer may be; below 0 where not even what is sent fits."""
    room = ask.output_tokens
    for cap in caps:
        account = cap.account
        account.forget_old(now)
        if cap.tokens is not None:
            left = cap.tokens - account.tokens - (account.reserved_tokens if reserved else 0)
            if left < ask.tokens(room):
                room = left // ask.answers - ask.input_tokens
        if cap.usd is not None and ask.is_priced:
            usd = cap.usd - account.usd - (account.reserved_usd if reserved else _NOTHING)
            if usd < ask.usd(0):
                return -1
            if usd < ask.usd(room):
                room = int((usd / ask.answers - ask.input_usd) // ask.output_usd)
    return room


def passed_by(cap: Cap) -> Iterator[BudgetExceededError]:
    """The errors for what more was spent of than a cap allows."""
    account = cap.account
    if cap.tokens is not None and account.tokens > cap.tokens:
        yield BudgetExceededError(account.scope, "tokens", limit=cap.tokens, spent=account.tokens, key=account.key)
    if cap.usd is not None and account.usd > cap.usd:
        yield BudgetExceededError(account.scope, "USD", limit=cap.usd, spent=account.usd, key=account.key)


def exceeded(caps: Sequence[Cap], ask: Ask, *, reserved: bool) -> BudgetExceededError:
    """The error for the first cap that leaves no room, or, after waiting, for one that would have."""
    least_tokens, least_usd = ask.tokens(ask.least_output_tokens), ask.usd(ask.least_output_tokens)
    for cap in caps:
        account = cap.account
        tokens = account.tokens + (account.reserved_tokens if reserved else 0)
        usd = account.usd + (account.reserved_usd if reserved else _NOTHING)
        if cap.tokens is not None and tokens + least_tokens > cap.tokens:
            return BudgetExceededError(
                account.scope, "tokens", limit=cap.tokens, spent=tokens, requested=least_tokens, key=account.key
            )
        if cap.usd is not None and ask.is_priced and usd + least_usd > cap.usd:
            return BudgetExceededError(
                account.scope, "USD", limit=cap.usd, spent=usd, requested=least_usd, key=account.key
            )
    raise AssertionError
