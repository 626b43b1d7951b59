"""What a run's tools spend on other accounts than the run's own."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import NamedTuple, Self

from pydantic_ai.usage import RunUsage

from mamba_agents.agent.layers.budget.terms import NOTHING
from mamba_agents.tokens.ledger import BudgetLedger
from mamba_agents.tokens.room import Cap


class _Sum(NamedTuple):
    tokens: int = 0
    usd: Decimal = NOTHING

    @classmethod
    def of(cls, usage: RunUsage) -> Self:
        return cls(usage.input_tokens + usage.output_tokens, usage.cost or NOTHING)

    def plus(self, other: Self) -> "_Sum":
        return _Sum(self.tokens + other.tokens, self.usd + other.usd)

    def minus(self, other: Self) -> "_Sum":
        return _Sum(self.tokens - other.tokens, self.usd - other.usd)


class Elsewhere:
    """Counts against a run's caps what comes on its usage while its tools run, and that its ledger does not know of.

    Agents that a tool runs with `usage=ctx.usage` put it there, be they plain or on a ledger of their own. Only what
    comes meanwhile: what was on a usage before, or what others put there while the run itself asks its model, is not
    the run's.
    """

    __slots__ = ("_caps", "_charged", "_known", "_ledger", "_seen", "_since", "_tools", "_usage")

    def __init__(self, usage: RunUsage, caps: Sequence[Cap], ledger: BudgetLedger) -> None:
        self._usage, self._caps, self._ledger = usage, caps, ledger
        self._tools = 0
        self._since = self._seen = self._known = self._charged = _Sum()

    def know(self, tokens: int, usd: Decimal) -> None:
        """Leave out what is on the run's account already."""
        self._known = self._known.plus(_Sum(tokens, usd))

    @contextmanager
    def watching(self) -> Generator[None]:
        """Count what comes as long as the context lasts, in which a tool runs, maybe beside others."""
        if not self._tools:
            self._since = _Sum.of(self._usage)
        self._tools += 1
        try:
            yield
        finally:
            self._tools -= 1
            seen = self._seen.plus(_Sum.of(self._usage).minus(self._since))
            self._charge(seen.minus(self._known))
            if not self._tools:
                self._seen = seen

    def _charge(self, spent: _Sum) -> None:
        """Count what is new of all that was spent so far; below 0 where a request is known and not on the usage yet."""
        new = spent.minus(self._charged)
        tokens, usd = max(new.tokens, 0), max(new.usd, NOTHING)
        if tokens or usd:
            self._charged = self._charged.plus(_Sum(tokens, usd))
            self._ledger.spend(self._caps, tokens, usd)
