"""An HTTP client that sync and async calls can share."""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any, override

import httpx2
from pydantic_ai.models import create_async_httpx2_client


class ClientPerLoop(httpx2.AsyncClient):
    """Sends each request through a client of the running event loop's own, as `make` makes it.

    Pooled connections belong to the loop that opened them, and one model is used from several: its sync calls run on
    a background loop. A loop's client is closed when the loop ends, or when this one is forgotten.
    """

    def __init__(self, make: Callable[[], httpx2.AsyncClient] = create_async_httpx2_client) -> None:
        template = make()
        # The OpenAI SDK reads the timeout. No request goes through this client's own transport.
        super().__init__(timeout=template.timeout, headers=template.headers, transport=httpx2.AsyncBaseTransport())
        self._make = make
        # Without a lock: only a loop's own thread sets its entry.
        self._per_loop: dict[asyncio.AbstractEventLoop | None, _Open] = {}
        # Held from here too, so that a cycle that is collected does not take the open connections with it.
        weakref.finalize(self, self._per_loop.clear)

    @override
    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        return await (await self._client()).send(request, **options)

    @override
    async def aclose(self) -> None:
        """Close the running loop's client; other loops may be using theirs. A further request opens it anew."""
        if opened := self._per_loop.pop(_running_loop(), None):
            await opened.closer.aclose()

    async def _client(self) -> httpx2.AsyncClient:
        loop = _running_loop()
        opened = self._per_loop.get(loop)
        if opened is None or opened.client.is_closed:
            self._forget_closed_loops()
            opened = self._per_loop[loop] = _Open(self._make())
            await anext(opened.closer)
        return opened.client

    def _forget_closed_loops(self) -> None:
        for loop in list(self._per_loop):
            if loop is not None and loop.is_closed():
                self._per_loop.pop(loop, None)


class _Open:
    """One loop's client, and what closes it: a loop closes the async generators it began before it ends."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.closer = _closing(client)


async def _closing(client: httpx2.AsyncClient) -> AsyncGenerator[None]:
    async with client:
        yield


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Give the loop that runs here, or None under Trio."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
