"""Why runs end."""

from typing import Final, Literal

type StopReason = Literal[
    "completed", "max_iterations", "budget", "loop", "timeout", "deferred", "length", "content_filter"
]
"""Why a run ended: with an answer, at the limit of model requests, at a budget, because the model repeated a tool call,
because its time was over, to wait for a person or another system, or because the provider cut the answer short."""

LIMITS: Final[frozenset[StopReason]] = frozenset({"max_iterations", "budget", "loop", "timeout"})
"""The reasons of runs that were ended from outside."""

STOP_REASON_KEY = "mamba_agents.stop_reason"
"""Where a layer that ends a run writes its reason: the metadata of the response it ends it with."""
