"""The record of what was spent."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Final

from mamba_agents.tokens.cost import CostBreakdown, CostEstimator, Rate
from mamba_agents.tokens.given import check_record, check_usage, require, whole_number
from mamba_agents.tokens.totals import OLDER_SESSIONS, Cell, CostSplit, SessionTotals, Total
from mamba_agents.tokens.usage import RecordKey, RecordKind, Spending, TokenUsage, UsageRecord


class UsageTracker:
    """Keeps one record for every request, and totals. Safe to use from any thread."""

    OLDER_SESSIONS: Final = OLDER_SESSIONS
    """The key in the breakdown by session for those beyond the newest `max_sessions`."""

    def __init__(
        self,
        cost_rates: Mapping[str, Rate] | None = None,
        *,
        max_records: int | None = 10_000,
        max_sessions: int | None = 10_000,
    ) -> None:
        """Make an empty tracker, which a long life does not fill the memory of.

        Beyond `max_records` the oldest records are dropped; totals and breakdowns still have them. Beyond
        `max_sessions` those that were used the longest ago are one entry of the breakdown by session together,
        `OLDER_SESSIONS`, so that it still adds up. None keeps all.

        Raises:
            TypeError: a bound that is no whole number, or no mapping of names to rates.
            ValueError: a bound below 0, or a rate that is below 0, not finite, or lacks `input` or `output`.
        """
        self.estimator = CostEstimator(cost_rates)
        """Prices what was recorded without a cost."""
        self.max_records = None if max_records is None else whole_number("max_records", max_records)
        self.max_sessions = None if max_sessions is None else whole_number("max_sessions", max_sessions)
        self._lock = threading.Lock()
        self._clear()

    def add(self, records: Sequence[UsageRecord]) -> None:
        """Keep records, all or none, except those of a run that is replayed and that were kept the first time.

        Raises:
            TypeError: something that is no record, or a field of one that has another type than it says.
            ValueError: a record made by hand (`kind` is `manual`) with a figure below 0 or not finite.
        """
        require("the records", records, Iterable, expected="a list of them, also for a single one")
        records = list(records)
        for record in records:
            check_record(record)
        with self._lock:
            for record in records:
                key = record.key
                if key is not None:
                    if key in self._keys:
                        continue
                    self._keys.add(key)
                self._records.append(record)
                self._unsummed.append(record)
                self._unsplit.append(record)
            if self.max_records is not None and len(self._records) > self.max_records:
                self._drop_oldest(self.max_records)

    def record_usage(self, usage: TokenUsage, model: str | None = None, tool_name: str | None = None) -> None:
        """Keep what was used, priced when the model has a known price.

        Raises:
            TypeError: no TokenUsage, or figures and names of another type than theirs.
            ValueError: a figure below 0.
        """
        check_usage(usage)
        cost = self.estimator.estimate(usage, model) if model else None
        self.add([UsageRecord(timestamp=datetime.now(UTC), usage=usage, model=model, tool_name=tool_name, cost=cost)])

    def record_raw(
        self,
        prompt_tokens: int,
        completion_tokens: int,
        model: str | None = None,
        tool_name: str | None = None,
    ) -> None:
        """Keep one request by its token counts.

        Raises:
            TypeError: counts that are no whole numbers, or names that are no text.
            ValueError: a count below 0.
        """
        sent = whole_number("prompt_tokens", prompt_tokens)
        received = whole_number("completion_tokens", completion_tokens)
        usage = TokenUsage(
            prompt_tokens=sent, completion_tokens=received, total_tokens=sent + received, request_count=1
        )
        self.record_usage(usage, model, tool_name)

    def get_total_usage(self) -> TokenUsage:
        """The sum over all records, as it is now."""
        return self.get_total().usage

    def get_total(self) -> Spending:
        """What all records used and cost, as it is now."""
        with self._lock:
            self._sum_all_but(0)
            return self._total.spending()

    def get_usage_history(self) -> list[UsageRecord]:
        """The records, oldest first; a new list."""
        with self._lock:
            return list(self._records)

    @property
    def unpriced_requests(self) -> int:
        """Requests whose price is unknown."""
        return self.get_total().unpriced_requests

    def get_cost_estimate(self, model: str | None = None) -> Decimal | None:
        """USD for all records, or for those of a model; None when the price of one is unknown, or there are none of it.

        A model is named as its replies name it, which may be with a date: `get_breakdown_by_model` has the names.
        """
        if model is None:
            return self.get_total().cost
        require("a model", model, str, expected="its name as text, or None for all")
        spending = self.get_breakdown_by_model().get(model)
        return None if spending is None else spending.cost

    def get_cost_breakdown(self) -> CostBreakdown | None:
        """USD for all records, in and out apart; None when that is not known of one of them.

        `model` is the model they share, or several names with commas between.
        """
        with self._lock:
            self._split_all_but(0)
            return self._split.breakdown()

    def get_breakdown_by_tool(self) -> dict[str, TokenUsage]:
        """The usage of each tool: of the records that name it, and of the replies that called it.

        A reply is the calls it makes, so each call has an equal share of its tokens, prompt and answer. It counts as
        a request of every tool that it called.
        """
        return {tool: spending.usage for tool, spending in self.get_spending_by_tool().items()}

    def get_spending_by_tool(self) -> dict[str, Spending]:
        """The same with its cost, shared like the tokens."""
        with self._lock:
            self._sum_all_but(0)
            return {tool: total.spending() for tool, total in self._by_tool.items()}

    def get_breakdown_by_model(self) -> dict[str | None, Spending]:
        """What each model used and cost, by the names that replies carry; None is for those that carry none."""
        return self._grouped(lambda cell: cell.model)

    def get_breakdown_by_provider(self) -> dict[str | None, Spending]:
        """What the models of each provider used and cost; None is for those whose provider is unknown."""
        return self._grouped(lambda cell: cell.provider)

    def get_breakdown_by_session(self) -> dict[str | None, Spending]:
        """What each session used and cost; None is for what belongs to none.

        `OLDER_SESSIONS` is for those that were used longer ago than the newest `max_sessions`. One that is used again
        counts anew from then on; what all of it cost, its own log tells.
        """
        with self._lock:
            self._sum_all_but(0)
            return self._sessions.spending()

    def get_breakdown_by_day(self) -> dict[date, Spending]:
        """What was used and what it cost on each day, by the clock of UTC."""
        return self._grouped(lambda cell: cell.day)

    def get_breakdown_by_kind(self) -> dict[RecordKind, Spending]:
        """What each kind of request used and cost."""
        return self._grouped(lambda cell: cell.kind)

    def reset(self) -> None:
        """Forget all records."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self._records: deque[UsageRecord] = deque()
        self._keys: set[RecordKey] = set()
        self._total = Total()
        self._cells: dict[Cell, Total] = {}
        self._sessions = SessionTotals(self.max_sessions)
        self._by_tool: dict[str, Total] = {}
        self._unsummed: deque[UsageRecord] = deque()
        self._unsplit: deque[UsageRecord] = deque()
        self._split = CostSplit()

    def _sum_all_but(self, newest: int) -> None:
        """Add records up: only when somebody asks, or drops them, so that the run that leaves one does not wait."""
        while len(self._unsummed) > newest:
            self._sum(self._unsummed.popleft())

    def _sum(self, record: UsageRecord) -> None:
        self._total.include(record.usage, record.cost)
        cell = Cell.of(record)
        total = self._cells.get(cell)
        if total is None:
            total = self._cells[cell] = Total()
        total.include(record.usage, record.cost)
        self._sessions.include(record)
        for tool, usage, cost in _shares(record):
            self._by_tool.setdefault(tool, Total()).include(usage, cost)

    def _drop_oldest(self, kept: int) -> None:
        while len(self._records) > kept:
            key = self._records.popleft().key
            if key is not None:
                self._keys.discard(key)
        self._sum_all_but(kept)
        self._split_all_but(kept)

    def _split_all_but(self, newest: int) -> None:
        """Price in and out apart, which takes longer than to record, so it is done late and once."""
        while len(self._unsplit) > newest:
            self._split.include(self._unsplit.popleft(), self.estimator)

    def _grouped[KeyT](self, key: Callable[[Cell], KeyT]) -> dict[KeyT, Spending]:
        groups: dict[KeyT, Total] = {}
        with self._lock:
            self._sum_all_but(0)
            for cell, total in self._cells.items():
                groups.setdefault(key(cell), Total()).merge(total)
        return {name: total.spending() for name, total in groups.items()}


def _shares(record: UsageRecord) -> Iterator[tuple[str, TokenUsage, Decimal | None]]:
    """What of a record belongs to which tool."""
    if record.tool_name is not None:
        yield record.tool_name, record.usage, record.cost
        return
    calls, start = sorted(record.tool_calls), 0
    for tool, named in groupby(calls):
        stop = start + len(list(named))
        usage = record.usage if stop - start == len(calls) else record.usage.share(start, stop, len(calls))
        yield tool, usage, _share_of_cost(record.cost, start, stop, len(calls))
        start = stop


def _share_of_cost(cost: Decimal | None, start: int, stop: int, count: int) -> Decimal | None:
    # As the difference of two parts of the whole, the shares add up to it.
    return None if cost is None else cost * stop / count - cost * start / count
