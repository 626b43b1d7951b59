"""Sums that a tracker keeps while records come in, so that reading them costs the same after a million."""

from dataclasses import replace
from datetime import UTC, date
from decimal import Decimal
from typing import NamedTuple, Self

from mamba_agents.tokens.cost import CostBreakdown, CostEstimator, full_name
from mamba_agents.tokens.usage import RecordKind, Spending, TokenUsage, UsageRecord

_NOTHING = Decimal(0)


OLDER_SESSIONS = "(older sessions)"
"""The name under which the sums of sessions are put together that were used the longest ago."""


class Cell(NamedTuple):
    """What records share that are summed together; every breakdown is a sum over cells, except that by session.

    Models, providers and kinds are few and each day is one: there are some hundred cells a year, however many requests.
    """

    day: date
    model: str | None
    provider: str | None
    kind: RecordKind

    @classmethod
    def of(cls, record: UsageRecord) -> Self:
        """The cell that a record belongs to."""
        when = record.timestamp
        day = when.date() if when.tzinfo is UTC else when.astimezone(UTC).date()
        return cls(day, record.model, record.provider, record.kind)


class Total:
    """A sum of usage and cost under way."""

    __slots__ = ("known_cost", "unpriced_requests", "usage")

    def __init__(self) -> None:
        self.usage = TokenUsage()
        self.known_cost = _NOTHING
        self.unpriced_requests = 0

    def include(self, usage: TokenUsage, cost: Decimal | None) -> None:
        """Count a record in."""
        self.usage.include(usage)
        if cost is None:
            self.unpriced_requests += usage.request_count or 1
        else:
            self.known_cost += cost

    def merge(self, other: Self) -> None:
        """Count all of another sum in."""
        self.usage.include(other.usage)
        self.known_cost += other.known_cost
        self.unpriced_requests += other.unpriced_requests

    def spending(self) -> Spending:
        """The sum as it is now."""
        return Spending(usage=replace(self.usage), known_cost=self.known_cost, unpriced_requests=self.unpriced_requests)


class SessionTotals:
    """A sum for each session, and one for all those beyond the newest `most`; None keeps them all apart."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._shared: dict[str | None, Total] = {}
        """What belongs to no session, and what those had that were used the longest ago."""

        self._sessions: dict[str, Total] = {}
        """In the order of their last record."""

    def include(self, record: UsageRecord) -> None:
        """Count a record in."""
        name = record.session_id
        if name is None or name == OLDER_SESSIONS:
            self._shared.setdefault(name, Total()).include(record.usage, record.cost)
            return
        total = self._sessions.pop(name, None) or Total()
        total.include(record.usage, record.cost)
        self._sessions[name] = total
        if self._most is not None and len(self._sessions) > self._most:
            oldest = self._sessions.pop(next(iter(self._sessions)))
            self._shared.setdefault(OLDER_SESSIONS, Total()).merge(oldest)

    def spending(self) -> dict[str | None, Spending]:
        """The sums as they are now."""
        return {name: total.spending() for name, total in (*self._shared.items(), *self._sessions.items())}


class CostSplit:
    """A sum of costs under way, in and out apart."""

    def __init__(self) -> None:
        self._prompt = self._completion = self._total = _NOTHING
        self._models: dict[str, None] = {}
        self._is_known = True

    def include(self, record: UsageRecord, estimator: CostEstimator) -> None:
        """Count a record in."""
        part = _parts(record, estimator)
        if part is None:
            self._is_known = False
            return
        self._prompt += part.prompt_cost
        self._completion += part.completion_cost
        self._total += part.total_cost
        self._models.setdefault(record.model or "")

    def breakdown(self) -> CostBreakdown | None:
        """The sum as it is now; None when one of its parts is not known."""
        if not self._is_known:
            return None
        return CostBreakdown(
            prompt_cost=self._prompt,
            completion_cost=self._completion,
            total_cost=self._total,
            model=", ".join(self._models),
        )


def _parts(record: UsageRecord, estimator: CostEstimator) -> CostBreakdown | None:
    model = record.model or ""
    if record.cost == 0:
        return CostBreakdown(prompt_cost=_NOTHING, completion_cost=_NOTHING, total_cost=_NOTHING, model=model)
    estimated = estimator.breakdown(record.usage, full_name(record.provider, record.model), when=record.timestamp)
    # A cost that the provider itself reported comes as one figure, which no table can split.
    return estimated if estimated is not None and estimated.total_cost == record.cost else None
