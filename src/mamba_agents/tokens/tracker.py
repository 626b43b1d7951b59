"""The record of what was spent."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from mamba_agents.tokens.config import ModelRate
from mamba_agents.tokens.cost import CostBreakdown, CostEstimator
from mamba_agents.tokens.usage import TokenUsage, UsageRecord


class UsageTracker:
    """Keeps one record for every request and their sum. Safe to use from any thread."""

    def __init__(self, cost_rates: Mapping[str, ModelRate] | None = None) -> None:
        self.estimator = CostEstimator(cost_rates)
        """Prices what was recorded without a cost."""
        self._lock = threading.Lock()
        self._records: list[UsageRecord] = []
        self._total, self._summed = TokenUsage(), 0

    def add(self, records: Sequence[UsageRecord]) -> None:
        """Keep records, all or none."""
        self._records.extend(records)  # one call into C, which no other thread sees half of

    def record_usage(self, usage: TokenUsage, model: str | None = None, tool_name: str | None = None) -> None:
        """Keep what was used, priced when the model has a known price."""
        cost = self.estimator.estimate(usage, model) if model else None
        self.add([UsageRecord(timestamp=datetime.now(UTC), usage=usage, model=model, tool_name=tool_name, cost=cost)])

    def record_raw(
        self,
        prompt_tokens: int,
        completion_tokens: int,
        model: str | None = None,
        tool_name: str | None = None,
    ) -> None:
        """Keep one request by its token counts."""
        usage = TokenUsage(
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            total_tokens=prompt_tokens + completion_tokens,
            request_count=1,
        )
        self.record_usage(usage, model, tool_name)

    def get_total_usage(self) -> TokenUsage:
        """The sum over all records, as it is now."""
        with self._lock:
            for record in self._records[self._summed :]:
                self._total, self._summed = self._total + record.usage, self._summed + 1
            return replace(self._total)

    def get_usage_history(self) -> list[UsageRecord]:
        """The records, oldest first; a new list."""
        return list(self._records)

    def get_cost_estimate(self, model: str | None = None) -> Decimal | None:
        """USD for all records, or for a model's; None when the price of one of them is unknown."""
        costs = [record.cost for record in self.get_usage_history() if model is None or record.model == model]
        known = [cost for cost in costs if cost is not None]
        return sum(known, Decimal(0)) if len(known) == len(costs) else None

    def get_cost_breakdown(self) -> CostBreakdown | None:
        """USD for all records, in and out apart; None when that is not known of one of them.

        `model` is the model they share, or several names with commas between.
        """
        parts = [self._breakdown(record) for record in self.get_usage_history()]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return CostBreakdown(
            prompt_cost=sum((part.prompt_cost for part in known), Decimal(0)),
            completion_cost=sum((part.completion_cost for part in known), Decimal(0)),
            total_cost=sum((part.total_cost for part in known), Decimal(0)),
            model=", ".join(dict.fromkeys(part.model for part in known)),
        )

    def _breakdown(self, record: UsageRecord) -> CostBreakdown | None:
        model = record.model or ""
        if record.cost == 0:
            return CostBreakdown(prompt_cost=Decimal(0), completion_cost=Decimal(0), total_cost=Decimal(0), model=model)
        estimated = self.estimator.breakdown(record.usage, model)
        # A cost that the provider itself reported comes as one figure, which no table can split.
        return estimated if estimated is not None and estimated.total_cost == record.cost else None

    def get_breakdown_by_tool(self) -> dict[str, TokenUsage]:
        """The usage of each tool that records name."""
        usage: dict[str, TokenUsage] = {}
        for record in self.get_usage_history():
            if record.tool_name is not None:
                usage[record.tool_name] = usage.get(record.tool_name, TokenUsage()) + record.usage
        return usage

    def reset(self) -> None:
        """Forget all records."""
        with self._lock:
            self._records = []
            self._total, self._summed = TokenUsage(), 0
