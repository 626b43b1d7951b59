"""A queue for the runs of one session, which may come from any thread and any event loop."""

import asyncio
import os
import threading
from collections import deque

from mamba_agents._internal.background_loop import blocked_loops


class TurnQueue:
    """Lets one run in at a time, first come, first served.

    `asyncio.Lock` serves one event loop only, and a lock of `threading` would block the loop that waits for it.
    """

    __slots__ = ("_guard", "_holder", "_pid", "_waiting")

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._holder: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        # Made by the first run that has to wait: a deque alone is larger than a session.
        self._waiting: deque[_Waiter] | None = None

    async def acquire(self) -> None:
        """Wait for the place at the front. A cancelled wait gives up its place.

        Raises:
            RuntimeError: a run before this one is on an event loop that stands still until this one has ended.
        """
        loop = asyncio.get_running_loop()
        with self._guard:
            if self._holder is None or self._pid != os.getpid():
                # A process that was forked in the middle of a run has only its own: those before it are its parent's.
                self._holder, self._pid, self._waiting = loop, os.getpid(), None
                return
            self._refuse_to_wait_for(blocked_loops())
            waiter = _Waiter(loop)
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(waiter)
        try:
            await waiter.granted
        except asyncio.CancelledError:
            self._give_up(waiter)
            raise

    def _refuse_to_wait_for(self, blocked: frozenset[asyncio.AbstractEventLoop]) -> None:
        before = [self._holder, *(waiter.loop for waiter in self._waiting or ())]
        if any(loop in blocked for loop in before):
            raise RuntimeError(
                "This sync call would wait for ever: a run of the same session is under way on the event loop that the "
                "call blocks. Await the async method instead, or use another session."
            )

    def release(self) -> None:
        """Let the next run in."""
        with self._guard:
            while self._waiting:
                waiter = self._waiting.popleft()
                if waiter.grant():
                    self._holder = waiter.loop
                    return
            self._holder = None

    def _give_up(self, waiter: "_Waiter") -> None:
        with self._guard:
            still_waiting = self._waiting is not None and waiter in self._waiting
            if still_waiting and self._waiting is not None:
                self._waiting.remove(waiter)
        if not still_waiting:
            # The place was granted while the cancellation was on its way.
            self.release()


class _Waiter:
    """A run that waits, and the event loop to wake it on."""

    __slots__ = ("granted", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.granted: asyncio.Future[None] = loop.create_future()

    def grant(self) -> bool:
        """Wake the run; False when its event loop is closed, and the run with it."""
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            return False
        return True

    def _wake(self) -> None:
        if not self.granted.done():
            self.granted.set_result(None)
