"""What was spent: tokens, requests and USD."""

from mamba_agents.tokens.budget import BudgetConfig, BudgetWarning, TenantBudget
from mamba_agents.tokens.config import ModelRate, TokenizerConfig
from mamba_agents.tokens.cost import CostBreakdown, CostEstimator
from mamba_agents.tokens.counter import TokenCounter
from mamba_agents.tokens.ledger import BudgetLedger
from mamba_agents.tokens.tracker import UsageTracker
from mamba_agents.tokens.usage import RecordKind, Spending, TokenUsage, UsageRecord

__all__ = [
    "BudgetConfig",
    "BudgetLedger",
    "BudgetWarning",
    "CostBreakdown",
    "CostEstimator",
    "ModelRate",
    "RecordKind",
    "Spending",
    "TenantBudget",
    "TokenCounter",
    "TokenUsage",
    "TokenizerConfig",
    "UsageRecord",
    "UsageTracker",
]
