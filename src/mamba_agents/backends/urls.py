"""What a model server's address must look like."""

from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

_MASK = "**********"  # as pydantic masks a secret
_EXAMPLE = "for example http://localhost:11434/v1"


def url_problem(url: str) -> str | None:
    """Say what is wrong with a server's address and how to mend it, or give None when nothing is."""
    shown = without_credentials(url)
    if any(character.isspace() or not character.isprintable() for character in url):
        return f"{shown!r} contains a space or control character; give a plain address, {_EXAMPLE}."
    parts = _split(url)
    if parts is None:
        return f"{shown!r} has a broken host or port; give http://host:port/path, {_EXAMPLE}."
    if parts.scheme not in {"http", "https"} or "://" not in url:
        return f"{shown!r} does not start with http:// or https://; give the scheme too, {_EXAMPLE}."
    if not parts.hostname:
        return f"{shown!r} names no host; give http://host:port/path, {_EXAMPLE}."
    return None


def without_credentials(url: str) -> str:
    """Give the address as a message may show it: user, password and query left out."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2]
    return (scheme + separator + host + slash + path).partition("?")[0]


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """Give the address without user and password, and these two where it names any."""
    parts = urlsplit(url)
    authority, separator, host = parts.netloc.rpartition("@")
    if not separator:
        return url, None
    user, _, password = authority.partition(":")
    return parts._replace(netloc=host).geturl(), (unquote(user), unquote(password))


def masked_credentials(url: str) -> str:
    """Give the address with user and password masked, and nothing else changed."""
    parts = _split(url)
    if parts is None:
        return without_credentials(url)
    authority, separator, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{_MASK}@{host}").geturl() if separator and authority else url


def is_loopback(url: str) -> bool:
    """Tell whether the address is this machine's own."""
    host = _host(url).rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified  # whoever asks 0.0.0.0 asks this machine


def is_ollama_cloud(url: str, model: str) -> bool:
    """Tell whether Ollama's paid cloud answers, directly or through a local Ollama that hands on `…-cloud` models."""
    host = _host(url)
    return model.endswith("-cloud") or host == "ollama.com" or host.endswith(".ollama.com")


def _host(url: str) -> str:
    parts = _split(url)
    return (parts.hostname if parts else None) or ""


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return None
    return parts
