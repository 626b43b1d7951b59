"""Every error this library raises, as one tree.

::

    AgentError
    ├── ConfigurationError      a setting, a settings file or a variable is wrong
    ├── ModelBackendError       a model server cannot be started, reached or understood
    ├── ContextOverflowError    a request is longer than the model's window, whatever was tried
    └── BudgetExceededError     a cap on money, tokens, time or repeated calls was reached

Errors of pydantic-ai pass through untouched.
"""

from mamba_agents.errors.tree import (
    AgentError,
    BudgetExceededError,
    BudgetScope,
    BudgetUnit,
    ConfigurationError,
    ContextOverflowError,
    ModelBackendError,
)

__all__ = [
    "AgentError",
    "BudgetExceededError",
    "BudgetScope",
    "BudgetUnit",
    "ConfigurationError",
    "ContextOverflowError",
    "ModelBackendError",
]
