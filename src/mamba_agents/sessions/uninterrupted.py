"""Work that a cancellation may delay but not cut."""

import asyncio
from collections.abc import Coroutine

import anyio


async def uninterrupted[T](work: Coroutine[object, object, T]) -> T:
    """The result of the work, which goes on to its end when the caller is cancelled; the caller is cancelled then."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):  # against scopes, which would cancel every wait anew
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()
