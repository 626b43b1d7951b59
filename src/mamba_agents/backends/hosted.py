"""Models of hosted providers, which sync and async calls can share."""

import inspect
from collections.abc import Callable
from typing import Any, cast

from pydantic_ai.models import Model, infer_model
from pydantic_ai.providers import Provider, infer_provider, infer_provider_class

from mamba_agents.backends.http_client import ClientPerLoop


def hosted_model(name: str) -> Model:
    """Give pydantic-ai's model for a `provider:name`, with connections for each event loop where the provider can."""
    return infer_model(name, _provider)


def _provider(name: str) -> Provider[Any]:
    if name.startswith("gateway/"):
        return infer_provider(name)
    made = infer_provider_class(name)
    parameter = inspect.signature(made).parameters.get("http_client")
    # Some providers' SDKs still want the older httpx, or make connections of their own.
    if parameter is None or not any(kind in str(parameter.annotation) for kind in ("httpx2", "_OpenAIHTTPClient")):
        return infer_provider(name)
    return cast("Callable[..., Provider[Any]]", made)(http_client=ClientPerLoop())
