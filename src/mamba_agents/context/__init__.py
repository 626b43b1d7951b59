"""What a model sees of a conversation: how large it is, when it is shortened, and by what strategy."""

from mamba_agents.context.compaction import (
    CompactionPlan,
    CompactionResult,
    CompactionStrategy,
    HybridStrategy,
    ImportanceScoringStrategy,
    SelectivePruningStrategy,
    SlidingWindowStrategy,
    SummarizeOlderStrategy,
)
from mamba_agents.context.config import CompactionConfig
from mamba_agents.context.laws import check_history
from mamba_agents.context.layer import CompactContext
from mamba_agents.context.manager import ContextManager
from mamba_agents.context.records import ContextState
from mamba_agents.context.truncation import SilentTruncationWarning
from mamba_agents.context.violations import HistoryViolation, Law

__all__ = [
    "CompactContext",
    "CompactionConfig",
    "CompactionPlan",
    "CompactionResult",
    "CompactionStrategy",
    "ContextManager",
    "ContextState",
    "HistoryViolation",
    "HybridStrategy",
    "ImportanceScoringStrategy",
    "Law",
    "SelectivePruningStrategy",
    "SilentTruncationWarning",
    "SlidingWindowStrategy",
    "SummarizeOlderStrategy",
    "check_history",
]
