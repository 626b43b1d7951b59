"""The operations layer for pydantic-ai: an agent you can leave running.

Every name is loaded from its room when it is first used, so importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from mamba_agents._version import __version__

if TYPE_CHECKING:
    from mamba_agents.agent import Agent, AgentConfig, AgentResult
    from mamba_agents.config import AgentSettings
    from mamba_agents.context import CompactionConfig, CompactionResult, ContextManager, ContextState
    from mamba_agents.sessions import Session, SessionStore
    from mamba_agents.tokens import CostBreakdown, TokenCounter, TokenUsage, UsageRecord, UsageTracker

__all__ = [
    "Agent",
    "AgentConfig",
    "AgentResult",
    "AgentSettings",
    "CompactionConfig",
    "CompactionResult",
    "ContextManager",
    "ContextState",
    "CostBreakdown",
    "Session",
    "SessionStore",
    "TokenCounter",
    "TokenUsage",
    "UsageRecord",
    "UsageTracker",
    "__version__",
]

_ROOMS = {
    "Agent": "agent",
    "AgentConfig": "agent",
    "AgentResult": "agent",
    "AgentSettings": "config",
    "CompactionConfig": "context",
    "CompactionResult": "context",
    "ContextManager": "context",
    "ContextState": "context",
    "CostBreakdown": "tokens",
    "Session": "sessions",
    "SessionStore": "sessions",
    "TokenCounter": "tokens",
    "TokenUsage": "tokens",
    "UsageRecord": "tokens",
    "UsageTracker": "tokens",
}

# Type checkers take the imports above: a `__getattr__` they could see would make every misspelt name pass.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
        return value


def __dir__() -> list[str]:
    return __all__.copy()
