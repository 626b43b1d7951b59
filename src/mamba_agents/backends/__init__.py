"""Where models come from: servers that speak OpenAI's protocol, hosted providers, and one inside this process."""

from mamba_agents.backends.config import LocalSettings, ModelBackendSettings

__all__ = ["LocalSettings", "ModelBackendSettings"]
