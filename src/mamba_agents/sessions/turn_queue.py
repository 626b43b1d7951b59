"""A queue for the runs of one session, which may come from any thread and any event loop."""

import asyncio
import threading
from collections import deque


class TurnQueue:
    """Lets one run in at a time, first come, first served.

    `asyncio.Lock` serves one event loop only, and a lock of `threading` would block the loop that waits for it.
    """

    __slots__ = ("_guard", "_held", "_waiting")

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        # Made by the first run that has to wait: a deque alone is larger than a session.
        self._waiting: deque[_Waiter] | None = None

    async def acquire(self) -> None:
        """Wait for the place at the front. A cancelled wait gives up its place."""
        with self._guard:
            if not self._held:
                self._held = True
                return
            waiter = _Waiter()
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(waiter)
        try:
            await waiter.granted
        except asyncio.CancelledError:
            self._give_up(waiter)
            raise

    def release(self) -> None:
        """Let the next run in."""
        with self._guard:
            while self._waiting:
                if self._waiting.popleft().grant():
                    return
            self._held = False

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

    __slots__ = ("_loop", "granted")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.granted: asyncio.Future[None] = self._loop.create_future()

    def grant(self) -> bool:
        """Wake the run; False when its event loop is closed, and the run with it."""
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            return False
        return True

    def _wake(self) -> None:
        if not self.granted.done():
            self.granted.set_result(None)
