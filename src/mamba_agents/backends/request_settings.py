"""The part of the settings that travels with every request."""

from base64 import b64encode

from pydantic_ai.settings import ModelSettings

from mamba_agents.backends.config import ModelBackendSettings


def sampling(backend: ModelBackendSettings) -> ModelSettings:
    """Give what the settings say about the answers: temperature and length."""
    settings = ModelSettings()
    if backend.temperature is not None:
        settings["temperature"] = backend.temperature
    if backend.max_tokens is not None:
        settings["max_tokens"] = backend.max_tokens
    return settings


def request_settings(backend: ModelBackendSettings) -> ModelSettings:
    """Give what the settings say about requests to a hosted provider.

    `timeout` and `max_retries` are in it only where they were set: each provider has defaults of its own. Headers and
    keys are not: they were given for another server.
    """
    settings = sampling(backend)
    if "timeout" in backend.model_fields_set:
        settings["timeout"] = backend.timeout
    if "max_retries" in backend.model_fields_set:
        settings["max_retries"] = backend.max_retries
    return settings


def plain_headers(backend: ModelBackendSettings) -> dict[str, str]:
    """Give the headers unmasked, to be sent."""
    return {name: value.get_secret_value() for name, value in backend.headers.items()}


def basic_authorization(user: str, password: str) -> str:
    """Give the header of HTTP's basic authentication."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
