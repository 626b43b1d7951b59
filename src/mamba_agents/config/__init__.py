"""Settings from the constructor, variables and files, each with its source."""

from mamba_agents.backends.config import LocalSettings, ModelBackendSettings
from mamba_agents.config.explanation import Explanation, Shadowed
from mamba_agents.config.settings import AgentSettings
from mamba_agents.config.sources import PROJECT_FILES, foreign_variables
from mamba_agents.config.template import settings_template
from mamba_agents.tokens.config import ModelRate, TokenizerConfig
from mamba_agents.tools.config import ToolsSettings

__all__ = [
    "PROJECT_FILES",
    "AgentSettings",
    "Explanation",
    "LocalSettings",
    "ModelBackendSettings",
    "ModelRate",
    "Shadowed",
    "TokenizerConfig",
    "ToolsSettings",
    "foreign_variables",
    "settings_template",
]
