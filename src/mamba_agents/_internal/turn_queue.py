"""A queue for what only one may do at a time, such as a run of a session, whichever thread and event loop it is on."""

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mamba_agents._internal.background_loop import blocked_loops

_A_RUN = (
    "a run of the same session is under way on the event loop that the call blocks. Await the async method instead, or "
    "use another session."
)

_LOOK_AFTER_SECONDS = 1.0
"""How often a run that waits looks whether the one before it can still end."""


class Ticket:
    """A run's place in the queue, and the event loop it is on."""

    __slots__ = ("granted", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.granted: asyncio.Future[None] | None = None
        """What wakes the run, if it has to wait."""

    def grant(self) -> bool:
        """Wake the run; False when its event loop is closed, and the run with it."""
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            return False
        return True

    def _wake(self) -> None:
        if self.granted is not None and not self.granted.done():
            self.granted.set_result(None)


class TurnQueue:
    """Lets one run in at a time, first come, first served.

    `asyncio.Lock` serves one event loop only, and a lock of `threading` would block the loop that waits for it.
    """

    __slots__ = ("_guard", "_holder", "_pid", "_refusal", "_waiting")

    def __init__(self, refusal: str = _A_RUN) -> None:
        """`refusal` says what a sync call would wait for in vain, and what to do instead."""
        self._refusal = refusal
        # A run that nobody holds any more may be collected, and so give its place back, in the middle of this.
        self._guard = threading.RLock()
        self._holder: Ticket | None = None
        self._pid = 0
        # Made by the first run that has to wait: a deque alone is larger than a session.
        self._waiting: deque[Ticket] | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """The place at the front, for as long as the context lasts."""
        ticket = await self.acquire()
        try:
            yield
        finally:
            self.release(ticket)

    async def acquire(self) -> Ticket:
        """Wait for the place at the front, which the ticket gives back. A cancelled wait gives up its place.

        Raises:
            RuntimeError: a run before this one is on an event loop that stands still until this one has ended.
        """
        ticket = Ticket(asyncio.get_running_loop())
        with self._guard:
            if self._pid != os.getpid():
                # A process that was forked in the middle of a run has only its own: those before it are its parent's.
                self._holder, self._pid, self._waiting = None, os.getpid(), None
            self._let_in_if_free()
            if self._holder is None:
                self._holder = ticket
                return ticket
            self._refuse_to_wait_for(blocked_loops())
            ticket.granted = ticket.loop.create_future()
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(ticket)
        await self._wait(ticket, ticket.granted)
        return ticket

    async def _wait(self, ticket: Ticket, granted: asyncio.Future[None]) -> None:
        try:
            while not granted.done():
                await asyncio.wait([granted], timeout=_LOOK_AFTER_SECONDS)
                with self._guard:
                    self._let_in_if_free()
        except asyncio.CancelledError:
            self._give_up(ticket)
            raise

    def release(self, ticket: Ticket) -> None:
        """Let the next run in; nothing happens when the place is another run's by now."""
        with self._guard:
            if self._holder is ticket:
                self._let_next_in()

    def _refuse_to_wait_for(self, blocked: frozenset[asyncio.AbstractEventLoop]) -> None:
        before = [self._holder, *(self._waiting or ())]
        if any(ticket is not None and ticket.loop in blocked for ticket in before):
            raise RuntimeError(f"This sync call would wait for ever: {self._refusal}")

    def _let_in_if_free(self) -> None:
        """Let the next run in where none is, or one whose event loop was closed: that will never end."""
        if self._holder is None or self._holder.loop.is_closed():
            self._let_next_in()

    def _let_next_in(self) -> None:
        while self._waiting:
            ticket = self._waiting.popleft()
            if ticket.grant():
                self._holder = ticket
                return
        self._holder = None

    def _give_up(self, ticket: Ticket) -> None:
        with self._guard:
            if self._waiting is not None and ticket in self._waiting:
                self._waiting.remove(ticket)
                return
        # The place was granted while the cancellation was on its way.
        self.release(ticket)
