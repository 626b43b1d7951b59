"""Whose machine answered: a model on one's own costs nothing, whatever hosted model it is named like."""

from functools import lru_cache
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

type ServerPrice = Literal["listed", "free", "unknown"]
"""As the price table says; nothing, on one's own machine; or whatever a server in a private network may ask."""

_OWN_SERVERS = {"ollama", "vllm", "lmstudio"}
_PROXIES = {"litellm", "gateway"}
"""They stand before hosted models and name them by their providers, wherever they run."""

_PRIVATE_SUFFIXES = (".local", ".lan", ".internal", ".home.arpa")


@lru_cache(maxsize=1024)
def server_price(provider: str | None, url: str | None, model: str | None) -> ServerPrice:
    """How requests to this server are priced, where nobody gave a rate for them."""
    host = _host(url)
    if provider in _PROXIES:
        return "listed"
    if provider in _OWN_SERVERS:
        return "listed" if provider == "ollama" and _is_ollama_cloud(host, model or "") else "free"
    if host is None:
        return "listed"
    if _is_loopback(host):
        return "free"
    return "unknown" if _is_private(host) else "listed"


def _host(url: str | None) -> str | None:
    try:
        return urlsplit(url or "").hostname
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_private(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_SUFFIXES)


def _is_ollama_cloud(host: str | None, model: str) -> bool:
    # A local Ollama hands `…-cloud` models on to the paid cloud (docs.ollama.com/cloud, read 2026-11-20).
    return model.endswith("-cloud") or host == "ollama.com" or (host or "").endswith(".ollama.com")
