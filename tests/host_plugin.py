"""A pytest plugin that puts our agent in the place of pydantic-ai's, for pydantic-ai's own tests.

With `-p host_plugin`, every `Agent` that a test imports from pydantic-ai is ours with memory, graceful tool errors and
the limit of iterations off: what is then left must be the stock agent. `scripts/host-tests.sh` runs it.

Different on purpose: a bare model name is looked up in the settings, and one that leads nowhere is a
`ConfigurationError`; the sync methods work inside a running loop and in sync tools, where theirs refuse; an agent run
by `iter` alone takes the name of its variable too; results are `AgentResult`s.
"""

from typing import Any

import pydantic_ai
import pydantic_ai.agent
import pytest
from pydantic_ai.output import OutputDataT
from pydantic_ai.tools import AgentDepsT

import mamba_agents

AS_STOCK = mamba_agents.AgentConfig(track_context=False, graceful_tool_errors=False, max_iterations=None)
"""Everything off that can be switched off."""


class Agent(mamba_agents.Agent[AgentDepsT, OutputDataT]):
    """Our agent as pydantic-ai's tests make theirs."""

    def __init__(self, model: Any = None, **options: Any) -> None:
        options.setdefault("config", AS_STOCK)
        if model is None:
            # Theirs may be left without a model until it runs; of ours, one has to say so.
            options["defer_model_check"] = True
        super().__init__(model, **options)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Take pydantic-ai's place before a conftest or a test module imports the name."""
    pydantic_ai.Agent = pydantic_ai.agent.Agent = Agent
