"""What tests of agents need: histories as nasty as real ones.

Drawing them takes Hypothesis, which the extra `testing` brings; importing this package does not load it.
"""

from mamba_agents.testing.broken import BrokenHistory, broken_histories
from mamba_agents.testing.histories import histories
from mamba_agents.testing.unknown import AnnotatedToolReturnPart, UnknownPart

__all__ = ["AnnotatedToolReturnPart", "BrokenHistory", "UnknownPart", "broken_histories", "histories"]
