"""Turns what a user calls a model into one."""

import os

from pydantic_ai.models import Model, parse_model_id

from mamba_agents.backends.config import LocalSettings, ModelBackendSettings
from mamba_agents.backends.factory import server_model, with_tools
from mamba_agents.backends.header_problems import key_problem
from mamba_agents.backends.providers import is_provider, nearest_provider
from mamba_agents.backends.request_settings import plain_headers, request_settings
from mamba_agents.errors import ConfigurationError

_NO_MODEL = (
    "No model is set. Name one, for example Agent('openai:gpt-5'), --model or MAMBA_MODEL_BACKEND__MODEL; "
    "'local' runs a small model in this process and needs neither a key nor an account."
)


def resolve_model(model: Model | str | None, backend: ModelBackendSettings, local: LocalSettings) -> Model | str:
    """Give the model that was meant; a string is one that pydantic-ai infers on first use.

    `local` and `local:<path>` run in this process, `provider:name` always goes to that provider, and any other name
    goes to the server in `backend`, or to OpenAI where there is a key and no server. None means `backend.model`.
    """
    if isinstance(model, Model):
        return model
    name = backend.model if model is None else model
    if name is None:
        raise ValueError(_NO_MODEL)
    if not name.strip():
        raise ConfigurationError("The model's name is empty; give one such as 'openai:gpt-5', 'llama3.2' or 'local'.")
    provider, rest = parse_model_id(name)
    if name == "local" or provider == "local":
        return _embedded(rest if provider else None, backend, local)
    if name == "test" or (provider is not None and is_provider(provider)):
        return name
    if backend.base_url is not None:
        return server_model("compatible", name, backend.base_url, backend)
    if provider is not None and provider != "ft":  # OpenAI's fine-tuned models are called ft:…
        raise ConfigurationError(_unknown_provider(name, provider))
    return _on_openai(name, backend)


def _embedded(path: str | None, backend: ModelBackendSettings, local: LocalSettings) -> Model:
    if path == "":
        raise ConfigurationError("'local:' names no file; write 'local:/path/model.gguf', or 'local' for the default.")
    from mamba_agents.backends.local import create_local_backend  # noqa: PLC0415 - the engine is an extra

    # The timeout's default is meant for a server that answers sooner than this one.
    timeout = {"timeout": backend.timeout} if "timeout" in backend.model_fields_set else {}
    return create_local_backend(
        path or local.model_path,
        context_window=local.context_window,
        threads=local.threads,
        parallel=local.parallel,
        temperature=backend.temperature,
        max_tokens=backend.max_tokens,
        constrained_tools=backend.constrained_tools,
        **timeout,
    )


def _on_openai(name: str, backend: ModelBackendSettings) -> Model:
    from_environment = os.environ.get("OPENAI_API_KEY")
    if backend.api_key is None and not from_environment:
        raise ConfigurationError(
            f"The model {name!r} names no provider, and neither a server nor a key is set for it. Set "
            "MAMBA_MODEL_BACKEND__BASE_URL to a server's address, or OPENAI_API_KEY (or MAMBA_MODEL_BACKEND__API_KEY) "
            "for OpenAI, or write 'provider:name'; 'local' needs neither a key nor an account."
        )
    if backend.api_key is None and from_environment and (problem := key_problem(from_environment)):
        raise ConfigurationError(f"OPENAI_API_KEY cannot be sent: {problem}")
    # Load the OpenAI SDK only now that it is needed.
    from pydantic_ai.models.openai import OpenAIResponsesModel  # noqa: PLC0415
    from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415

    from mamba_agents.backends.http_client import ClientPerLoop  # noqa: PLC0415

    key = backend.api_key.get_secret_value() if backend.api_key else None
    settings = request_settings(backend)
    if backend.headers:
        settings["extra_headers"] = plain_headers(backend)
    provider = OpenAIProvider(api_key=key, http_client=ClientPerLoop())
    return with_tools(OpenAIResponsesModel(name, provider=provider, settings=settings), backend)


def _unknown_provider(name: str, provider: str) -> str:
    nearest = nearest_provider(provider)
    meant = f"; did you mean {nearest!r}?" if nearest else "."
    return (
        f"The model {name!r} names the provider {provider!r}, which does not exist{meant} "
        "If it is the name of a model on a server of yours, set MAMBA_MODEL_BACKEND__BASE_URL to that server's address."
    )
