"""Asks a server for the pages that may tell a model's window."""

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, override
from urllib.parse import urlsplit

import anyio
import httpx2

from mamba_agents.backends.server_windows import readers
from mamba_agents.backends.server_windows.window import Window
from mamba_agents.backends.urls import is_loopback

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_MOST_BYTES: Final = 8_000_000
"""OpenRouter's list is the longest known, with about 1 MB (November 2026)."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where a model is served and how it is asked."""

    client: "AsyncOpenAI"
    """Knows address, key and headers; its connections are not used."""

    kind: str
    """What the model's provider calls itself."""

    model: str
    is_hosted: bool
    """Whether the price table knows the address: it is somebody's service and has one page at most to ask."""


@dataclass(frozen=True, kw_only=True)
class _Page:
    path: str
    read: Callable[[object, str], Window | None]
    is_below_base: bool = False
    """Whether the path follows the base URL, which mostly ends in `/v1`, rather than the server's root."""
    is_posted: bool = False


_LISTING = _Page(path="models", read=readers.listing, is_below_base=True)
_PROPERTIES = _Page(path="props", read=readers.llama_cpp_properties)
_OLLAMA = (
    _Page(path="api/ps", read=readers.ollama_loaded),
    _Page(path="api/show", read=readers.ollama_installed, is_posted=True),
)
_LM_STUDIO = (
    _Page(path="api/v1/models", read=readers.lm_studio_models),
    _Page(path="api/v0/models", read=readers.lm_studio_models_v0),
)
_OTHERS = (_Page(path="info", read=readers.tgi_info), _Page(path="model/info", read=readers.litellm_info))

_FIRST: Final = {"ollama": _OLLAMA, "lmstudio": _LM_STUDIO, "local": (_PROPERTIES,)}
"""By kind: what tells the window in effect. All others are asked for their list of models."""

_ALL: Final = (_LISTING, _PROPERTIES, *_LM_STUDIO, *_OLLAMA, *_OTHERS)


async def ask_window(server: Server, timeout_seconds: float) -> Window | None:
    """The window that the server tells, asked for at most so many seconds; None where it tells none.

    Pages that belong together are asked at once, and an earlier one is believed before a later one.
    """
    from openai import DefaultAsyncHttpxClient  # noqa: PLC0415 - the SDK is loaded by those who use it

    url = str(server.client.base_url)
    with anyio.move_on_after(timeout_seconds):
        # A connection of its own: the model's may belong to another event loop. No proxy stands before loopback.
        async with DefaultAsyncHttpxClient(
            follow_redirects=False,
            trust_env=not is_loopback(url),
            headers={"Accept-Encoding": "identity"},
            event_hooks={"response": [_limit]},
        ) as http:
            client = server.client.with_options(http_client=http, max_retries=0, timeout=timeout_seconds)
            for pages in _stages(server, url):
                if window := await _first_window(client, pages, server.model):
                    return window
    return None


def _stages(server: Server, url: str) -> Sequence[Sequence[_Page]]:
    """The pages to ask, in groups: the next group only where the one before told nothing."""
    if server.is_hosted:
        return [(_LISTING,)]
    first = _FIRST.get(server.kind, (_LISTING,))
    # Pages of other servers only next door: a stranger's log is not to fill with them.
    second = _ALL if _is_near(url) else (_LISTING,)
    return [first, [page for page in second if page not in first]]


async def _first_window(client: "AsyncOpenAI", pages: Sequence[_Page], model: str) -> Window | None:
    found: dict[str, Window | None] = {}
    async with anyio.create_task_group() as tasks:
        for page in pages:
            tasks.start_soon(_ask, client, page, model, partial(found.__setitem__, page.path))
    return next((window for page in pages if (window := found.get(page.path))), None)


async def _ask(client: "AsyncOpenAI", page: _Page, model: str, tell: Callable[[Window | None], None]) -> None:
    url = page.path if page.is_below_base else f"{_root(str(client.base_url))}/{page.path}"
    try:
        if page.is_posted:
            response = await client.post(url, cast_to=httpx2.Response, body={"model": model, "name": model})
        else:
            response = await client.get(url, cast_to=httpx2.Response)
        tell(page.read(json.loads(response.content), model))
    except Exception:  # noqa: BLE001 - no answer, no JSON, another server's page: it tells no window
        return


def _root(base_url: str) -> str:
    return re.sub(r"(?:/api)?/v\d+/?$", "", base_url).rstrip("/")


def _is_near(url: str) -> bool:
    """Whether the address is on this machine or in a private network."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan", ".home.arpa"))


async def _limit(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx2.DecodingError("a packed answer was not asked for")
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Limited(response.stream)


class _Limited(httpx2.AsyncByteStream):
    """A body that is broken off where it gets too long."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > _MOST_BYTES:
                raise httpx2.ReadError("the answer is too long")
            yield piece

    @override
    async def aclose(self) -> None:
        await self._stream.aclose()
