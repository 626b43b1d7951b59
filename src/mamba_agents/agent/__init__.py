"""The agent, its configuration, what a run gives back, and the conversion of messages."""

from mamba_agents.agent.config import AgentConfig
from mamba_agents.agent.core import Agent
from mamba_agents.agent.message_utils import dicts_to_model_messages, model_messages_to_dicts
from mamba_agents.agent.result import AgentResult
from mamba_agents.agent.session import AgentSession
from mamba_agents.agent.stops import StopReason
from mamba_agents.agent.stream import TextStream

__all__ = [
    "Agent",
    "AgentConfig",
    "AgentResult",
    "AgentSession",
    "StopReason",
    "TextStream",
    "dicts_to_model_messages",
    "model_messages_to_dicts",
]
