"""Whose machine answered: a model on one's own costs nothing, whatever hosted model it is named like."""

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:  # so that counting does not load the price table
    from genai_prices.types import Provider

type ServerPrice = Literal["listed", "free", "unknown"]
"""As the price table says; nothing, on one's own machine; or whatever a server that the table does not know may ask."""

_OWN_SERVERS: Final = {"local", "ollama", "vllm", "lmstudio"}
_PROXIES: Final = {"litellm", "gateway"}
"""They stand before hosted models and name them by their providers, wherever they run."""

_THIS_MACHINE: Final = {"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"}

_RESELLERS: Final = re.compile(
    r"""
    gateway (-[a-z0-9-]+)? \.pydantic\. (dev|info)                                        # pydantic-ai 2.62
    | ([^.]+\.)* bedrock-(runtime|mantle) (-fips)? \.[a-z0-9-]+ (\.vpce)? \. (amazonaws\.com (\.cn)? | api\.aws)
    | ([^.]+\.)+ (openai | cognitiveservices) \.azure\. (com|us|cn)
    | ([^.]+\.)+ (services|models|inference) \.ai\.azure\.com
    """,
    re.VERBOSE,
)
"""Hosts with the models of several providers: pydantic-ai's gateway, and those of Bedrock and Azure that the table's
patterns lack (docs.aws.amazon.com/bedrock/latest/userguide/endpoints.html, read 2026-11-25)."""

_OTHER_ADDRESSES: Final = {
    "openai": ("api.openai.com", "chatgpt.com"),  # `eu.api.openai.com`, and where pydantic-ai asks Codex
    "github-copilot": ("githubcopilot.com",),
    "x-ai": ("api.x.ai",),
    "mistral": ("api.mistral.ai",),
    "openrouter": ("openrouter.ai",),
    "together": ("api.together.ai",),
}
"""Hosts of a provider, and those below them such as its regions, that the table's patterns lack; by its id there."""


@lru_cache(maxsize=1024)
def server_price(provider: str | None, url: str | None, model: str | None) -> ServerPrice:
    """How requests to this server are priced, where nobody gave a rate for them.

    The price table holds at the addresses of the providers that it knows, and where no address is known. It is asked,
    and loaded, only for an address beyond this machine, and once for each.
    """
    host = _host(url)
    if provider in _PROXIES:
        return "listed"
    if provider in _OWN_SERVERS:
        return "listed" if provider == "ollama" and _is_ollama_cloud(host, model or "") else "free"
    if host is None:
        return "listed"
    if _is_this_machine(host):
        return "free"
    return "listed" if _RESELLERS.fullmatch(host) or _is_in_table(provider, host, url or "", model or "") else "unknown"


def _host(url: str | None) -> str | None:
    try:
        return (urlsplit(url or "").hostname or "").rstrip(".") or None
    except ValueError:
        return None


def _is_this_machine(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host in _THIS_MACHINE or host.endswith(".localhost")
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # Whoever asks 0.0.0.0 asks this machine.
    return address.is_loopback or address.is_unspecified


def _is_ollama_cloud(host: str | None, model: str) -> bool:
    # A local Ollama hands `…-cloud` models on to the paid cloud (docs.ollama.com/cloud, read 2026-11-20).
    return model.endswith("-cloud") or host == "ollama.com" or (host or "").endswith(".ollama.com")


def _is_in_table(provider: str | None, host: str, url: str, model: str) -> bool:
    """Whether the address is the provider's own, or another's who has the model: pydantic-ai looks there first."""
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot  # noqa: PLC0415 - loads the price table

    providers, path = get_snapshot().providers, urlsplit(url).path
    own = find_provider_by_id(providers, provider) if provider else None
    if own is not None and _is_at(own, host, path):
        return True
    there = (each for each in providers if _is_at(each, host, path))
    return any(each.find_model(model.lower(), all_providers=providers) is not None for each in there)


def _is_at(provider: "Provider", host: str, path: str) -> bool:
    if any(host == other or host.endswith(f".{other}") for other in _OTHER_ADDRESSES.get(provider.id, ())):
        return True
    address = f"https://{host}{path}/"  # the table's scheme: who asks without TLS, or by another port, asks the same
    found = re.match(provider.api_pattern, address)
    if found is None or re.match(provider.api_pattern, f"https://elsewhere.invalid{path}/"):
        return False  # also where a pattern's `.*` finds a provider's name in the path
    # Not `api.openai.com.example.org`; but a pattern that ends with a dot leaves the end of the host open.
    return found[0].endswith(("/", ".")) or address[found.end()] == "/"
