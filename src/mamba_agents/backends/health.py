"""Asks a model's server whether it is there and what it serves."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pydantic_ai.models import Model

from mamba_agents._internal.background_loop import run_sync
from mamba_agents._internal.models import bare_model
from mamba_agents.backends.bodies import error_text, field
from mamba_agents.backends.urls import without_credentials

if TYPE_CHECKING:
    from openai import AsyncOpenAI


@dataclass(frozen=True, kw_only=True)
class HealthStatus:
    """What a model's server said when it was asked for its models."""

    reachable: bool
    """Whether it answered at all, be it with an error."""

    latency_ms: float | None = None
    """How long the answer took; None when none came."""

    models: tuple[str, ...] = ()
    """The names it serves."""

    model_served: bool | None = None
    """Whether the model is among them; None when the server lists none."""

    error: str | None = None
    """Why it is not healthy; None when it is."""


async def health_check(model: Model, *, timeout_seconds: float = 5.0) -> HealthStatus:
    """Ask the model's server for its models, once, with the model's own address, key and headers. Never raises.

    The embedded model's server is started for it.
    """
    try:
        client = await _client(model)
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the answer
        return HealthStatus(reachable=False, error=str(error) or type(error).__name__)
    if client is None:
        return HealthStatus(reachable=False, error=f"{model.model_name} has no server that could be asked.")
    url = without_credentials(str(client.base_url))
    started = time.perf_counter()
    try:
        listing = await _list_models(client, timeout_seconds)
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the answer
        return _failure(error, url, _milliseconds_since(started))
    return _judge(model.model_name, _names(listing), url, _milliseconds_since(started))


def health_check_sync(model: Model, *, timeout_seconds: float = 5.0) -> HealthStatus:
    """Ask as `health_check` does, from code that is not async."""
    return run_sync(lambda: health_check(model, timeout_seconds=timeout_seconds))


async def _client(model: Model) -> "AsyncOpenAI | None":
    # Importing this package must not load the SDK.
    from openai import AsyncOpenAI  # noqa: PLC0415

    from mamba_agents.backends.openai_compatible import ServerModel  # noqa: PLC0415

    model = bare_model(model)
    if isinstance(model, ServerModel):
        await model.connect()
    client = model.provider.client if model.provider else None
    return client if isinstance(client, AsyncOpenAI) else None


async def _list_models(client: "AsyncOpenAI", timeout_seconds: float) -> object:
    from openai import DefaultAsyncHttpxClient  # noqa: PLC0415

    # A connection of its own: the model's may belong to another event loop.
    async with DefaultAsyncHttpxClient() as http:
        asked = client.with_options(http_client=http, max_retries=0, timeout=timeout_seconds)
        return await asked.get("models", cast_to=object)


def _failure(error: Exception, url: str, latency_ms: float) -> HealthStatus:
    from openai import APIStatusError  # noqa: PLC0415

    if isinstance(error, APIStatusError):
        problem = f"{url} answered {error.status_code}: {error_text(error.body) or error.message}"
        return HealthStatus(reachable=True, latency_ms=latency_ms, error=problem)
    reason = error.__cause__ or error
    return HealthStatus(
        reachable=False,
        error=f"{url} cannot be reached: {str(reason) or type(reason).__name__}; is the server started?",
    )


def _judge(wanted: str, names: tuple[str, ...], url: str, latency_ms: float) -> HealthStatus:
    if not names:
        return HealthStatus(reachable=True, latency_ms=latency_ms, error=f"{url} lists no models.")
    served = wanted in names or f"{wanted}:latest" in names  # Ollama's way to write a name without a tag
    missing = None if served else f"{url} does not serve {wanted!r}; it serves {', '.join(names)}."
    return HealthStatus(reachable=True, latency_ms=latency_ms, models=names, model_served=served, error=missing)


def _names(listing: object) -> tuple[str, ...]:
    """Find the names in `{"data": [{"id": …}, …]}`, whatever else came."""
    models = field(listing, "data")
    entries = cast("list[object]", models) if isinstance(models, list) else []
    return tuple(name for entry in entries if isinstance(name := field(entry, "id"), str))


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
