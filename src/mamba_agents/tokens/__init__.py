"""What was spent: tokens, requests and USD."""

from mamba_agents.tokens.config import ModelRate, TokenizerConfig
from mamba_agents.tokens.cost import CostBreakdown, CostEstimator
from mamba_agents.tokens.counter import TokenCounter
from mamba_agents.tokens.tracker import UsageTracker
from mamba_agents.tokens.usage import TokenUsage, UsageRecord

__all__ = [
    "CostBreakdown",
    "CostEstimator",
    "ModelRate",
    "TokenCounter",
    "TokenUsage",
    "TokenizerConfig",
    "UsageRecord",
    "UsageTracker",
]
