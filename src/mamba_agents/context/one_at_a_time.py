"""What only one may do at a time."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mamba_agents._internal.background_loop import blocked_loops

_LOOK_AFTER_SECONDS = 0.02
"""How often who waits looks whether the one before has ended: what takes longest waits for a model."""


class OneAtATime:
    """Lets in one compaction at a time, from whatever thread and event loop.

    `asyncio.Lock` serves one event loop only, and a lock of `threading` would block the loop that waits for it.
    """

    __slots__ = ("_lock", "_loop")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait for the compaction that is under way, and have those that come later wait.

        Raises:
            RuntimeError: it is on an event loop that stands still until this call has ended.
        """
        while not self._lock.acquire(blocking=False):
            if self._loop in blocked_loops():
                raise RuntimeError(
                    "This sync call would wait for ever: a compaction of the same context is under way on the event "
                    "loop that the call blocks. Await compact() instead."
                )
            await asyncio.sleep(_LOOK_AFTER_SECONDS)
        try:
            self._loop = asyncio.get_running_loop()
            yield
        finally:
            self._loop = None
            self._lock.release()
