"""The order of the layers, written once."""

from typing import Any

from pydantic_ai.capabilities import AbstractCapability

from mamba_agents.agent.config import AgentConfig
from mamba_agents.agent.layers.graceful import GracefulToolErrors
from mamba_agents.agent.layers.iterations import MaxIterations
from mamba_agents.agent.layers.pricing import CustomRates
from mamba_agents.agent.layers.transcript import KeepTranscripts
from mamba_agents.agent.result import GiveAgentResults
from mamba_agents.config import AgentSettings


def assemble(
    config: AgentConfig, settings: AgentSettings, transcripts: KeepTranscripts
) -> list[AbstractCapability[Any]]:
    """The layers around every model request, outermost first; one that is switched off is absent.

    prompt → Agent → session (`Turn`, around all of these) → layers → model ⇄ tools → result → usage → session
    """
    layers: list[AbstractCapability[Any]] = [GiveAgentResults(), transcripts]
    if config.max_iterations is not None:
        layers.append(MaxIterations(config.max_iterations))
    if config.graceful_tool_errors:
        layers.append(GracefulToolErrors())
    if settings.cost_rates:
        layers.append(CustomRates(settings.cost_rates))
    return layers
