"""Caps on what is spent: the layer that keeps them, what it knows of a run, and what it holds for each request."""

from mamba_agents.agent.layers.budget.layer import Budget

__all__ = ["Budget"]
