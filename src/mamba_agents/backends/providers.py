"""The names of pydantic-ai's providers, known without loading a single provider's SDK."""

import pkgutil
from difflib import get_close_matches
from functools import cache

from pydantic_ai import providers

# The other names that pydantic-ai gives to some of its providers; `google-decisions` since 2.68.
_ALIASES = frozenset({"azure-responses", "google-decisions", "openai-chat", "openai-responses"})

# Modules that go by no name of their own.
_NO_NAMES = frozenset({"gateway", "openai-compatible"})


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
    names = {name.replace("_", "-") for name in modules if not name.startswith("_")}
    return _ALIASES | (names - _NO_NAMES)
