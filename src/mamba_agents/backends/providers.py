"""The names of pydantic-ai's providers, known without loading a single provider's SDK."""

import pkgutil
from difflib import get_close_matches
from functools import cache

from pydantic_ai import providers

# The other names that pydantic-ai gives to two of its providers.
_ALIASES = frozenset({"azure-responses", "openai-chat", "openai-responses"})


def is_provider(name: str) -> bool:
    """Tell whether `name:model` goes to a provider; pydantic-ai's gateway stands before any of them."""
    return name.removeprefix("gateway/") in provider_names()


def nearest_provider(name: str) -> str | None:
    """Give the provider that was probably meant."""
    return next(iter(get_close_matches(name.lower(), sorted(provider_names()), n=1, cutoff=0.75)), None)


@cache
def provider_names() -> frozenset[str]:
    """Give every name that may stand before the colon."""
    modules = (module.name for module in pkgutil.iter_modules(providers.__path__))
    return _ALIASES | {name.replace("_", "-") for name in modules if not name.startswith("_") and name != "gateway"}
