"""How a budget that only warns says so."""

import logging
import warnings

from mamba_agents.tokens.budget import BudgetWarning

logger = logging.getLogger("mamba_agents.budget")


def warn(message: str) -> None:
    """Say it once in the log, and as a `BudgetWarning` for whoever filters those."""
    logger.warning(message)
    warnings.warn(message, BudgetWarning, stacklevel=3)
