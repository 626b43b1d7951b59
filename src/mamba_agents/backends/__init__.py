"""Where models come from: servers that speak OpenAI's protocol, hosted providers, and one inside this process."""

from mamba_agents.backends.config import LocalSettings, ModelBackendSettings
from mamba_agents.backends.constrained import ConstrainedToolsModel
from mamba_agents.backends.factory import (
    RequestOptions,
    create_lmstudio_backend,
    create_ollama_backend,
    create_openai_compatible_backend,
    create_vllm_backend,
)
from mamba_agents.backends.health import HealthStatus, health_check, health_check_sync
from mamba_agents.backends.hosted import hosted_model
from mamba_agents.backends.http_client import ClientPerLoop
from mamba_agents.backends.local import create_local_backend
from mamba_agents.backends.profiles import ModelProfile, get_profile, list_profiles, register_profile
from mamba_agents.backends.request_settings import request_settings
from mamba_agents.backends.resolve import resolve_model
from mamba_agents.backends.server_windows import Window
from mamba_agents.backends.windows import context_window, discover_window, find_window, forget_windows

__all__ = [
    "ClientPerLoop",
    "ConstrainedToolsModel",
    "HealthStatus",
    "LocalSettings",
    "ModelBackendSettings",
    "ModelProfile",
    "RequestOptions",
    "Window",
    "context_window",
    "create_lmstudio_backend",
    "create_local_backend",
    "create_ollama_backend",
    "create_openai_compatible_backend",
    "create_vllm_backend",
    "discover_window",
    "find_window",
    "forget_windows",
    "get_profile",
    "health_check",
    "health_check_sync",
    "hosted_model",
    "list_profiles",
    "register_profile",
    "request_settings",
    "resolve_model",
]
