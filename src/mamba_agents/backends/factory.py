"""Makes the models of self-hosted servers."""

from collections.abc import Mapping
from typing import TypedDict, Unpack

from pydantic import SecretStr, ValidationError
from pydantic_ai.models import Model

from mamba_agents.backends.config import ModelBackendSettings, ServerKind
from mamba_agents.backends.profiles import get_profile
from mamba_agents.errors import ConfigurationError


class RequestOptions(TypedDict, total=False):
    """How a server is asked; what is left out is as in `ModelBackendSettings`, which also says what each means."""

    timeout: float
    max_retries: int
    temperature: float | None
    max_tokens: int | None
    headers: Mapping[str, str]
    constrained_tools: bool | None


def create_ollama_backend(
    model: str, *, base_url: str = "http://localhost:11434/v1", **options: Unpack[RequestOptions]
) -> Model:
    """Give a model that Ollama serves, by the name `ollama list` shows; it costs 0 unless Ollama's cloud runs it."""
    return server_model("ollama", model, base_url, _settings(model, base_url, None, options))


def create_vllm_backend(
    model: str,
    *,
    base_url: str = "http://localhost:8000/v1",
    api_key: str | SecretStr | None = None,
    **options: Unpack[RequestOptions],
) -> Model:
    """Give a model that vLLM serves, by the name it was started with; it costs 0."""
    return server_model("vllm", model, base_url, _settings(model, base_url, api_key, options))


def create_lmstudio_backend(
    model: str = "local-model", *, base_url: str = "http://localhost:1234/v1", **options: Unpack[RequestOptions]
) -> Model:
    """Give a model that LM Studio serves; it costs 0. With one model loaded, LM Studio takes any name for it."""
    return server_model("lmstudio", model, base_url, _settings(model, base_url, None, options))


def create_openai_compatible_backend(
    model: str,
    *,
    base_url: str,
    api_key: str | SecretStr | None = None,
    **options: Unpack[RequestOptions],
) -> Model:
    """Give a model of any server that speaks OpenAI's chat protocol.

    It costs 0 on this machine. Elsewhere the price table is asked by address, and an address it lacks costs None.
    """
    return server_model("compatible", model, base_url, _settings(model, base_url, api_key, options))


def server_model(kind: ServerKind, model: str, base_url: str, settings: ModelBackendSettings) -> Model:
    """Give this model of this server, asked as the settings say."""
    # Loads the OpenAI SDK, which importing this package must not.
    from mamba_agents.backends.openai_compatible import build_server_model  # noqa: PLC0415

    return with_tools(build_server_model(kind, model, base_url, settings), settings)


def with_tools(model: Model, settings: ModelBackendSettings) -> Model:
    """Make the tool calls for a model that writes none, where the settings or else its profile say so."""
    wanted = settings.constrained_tools
    if wanted is None:
        wanted = get_profile(model.model_name).constrained_tools
    if not wanted:
        return model
    from mamba_agents.backends.constrained import ConstrainedToolsModel  # noqa: PLC0415

    return ConstrainedToolsModel(model)


def _settings(
    model: str, base_url: str, api_key: str | SecretStr | None, options: RequestOptions
) -> ModelBackendSettings:
    given = {"model": model, "base_url": base_url, "api_key": api_key, **options}
    try:
        return ModelBackendSettings.model_validate(given)
    except ValidationError as error:
        found = "; ".join(f"{detail['loc'][0]}: {detail['msg']}" for detail in error.errors())
        raise ConfigurationError(f"The model server's options are wrong: {found}") from None
