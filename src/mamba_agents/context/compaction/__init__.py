"""The strategies that shorten a history, and the base for strategies of your own."""

from mamba_agents.context.compaction.base import CompactionResult, CompactionStrategy
from mamba_agents.context.compaction.choice import STRATEGY_NAMES, StrategyChoice, StrategyName, strategy_named
from mamba_agents.context.compaction.hybrid import HybridStrategy
from mamba_agents.context.compaction.importance_scoring import ImportanceScoringStrategy
from mamba_agents.context.compaction.plan import CompactionPlan, plan_compaction
from mamba_agents.context.compaction.selective_pruning import SelectivePruningStrategy
from mamba_agents.context.compaction.sliding_window import SlidingWindowStrategy
from mamba_agents.context.compaction.summarize_older import SummarizeOlderStrategy

__all__ = [
    "STRATEGY_NAMES",
    "CompactionPlan",
    "CompactionResult",
    "CompactionStrategy",
    "HybridStrategy",
    "ImportanceScoringStrategy",
    "SelectivePruningStrategy",
    "SlidingWindowStrategy",
    "StrategyChoice",
    "StrategyName",
    "SummarizeOlderStrategy",
    "plan_compaction",
    "strategy_named",
]
