"""What a strategy that asks a model is planned with."""

from typing import Protocol, runtime_checkable

from mamba_agents.context.compaction.base import CompactionStrategy


@runtime_checkable
class HasStandIn(Protocol):
    """A strategy that can say, without a model, what it would leave in the worst case."""

    def without_model(self) -> CompactionStrategy:
        """A strategy that asks no model and leaves at least as much, with a reply in `responses` for each it spares."""
        ...


def stand_in_for(strategy: CompactionStrategy) -> CompactionStrategy | None:
    """The strategy itself if it asks no model, else what stands in for it; None where nothing does."""
    if not strategy.calls_model:
        return strategy
    return strategy.without_model() if isinstance(strategy, HasStandIn) else None
