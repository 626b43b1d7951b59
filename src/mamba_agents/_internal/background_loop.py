"""One event loop for every sync call of the process, on a daemon thread.

A loop of its own is what lets a sync call work inside Jupyter, inside a running loop, in a sync tool and from many
threads, and it keeps pooled HTTP clients and server sessions on one loop between calls.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextvars import ContextVar


class BackgroundLoop:
    """An event loop on a daemon thread of its own, from construction until the process ends."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self._run_forever, name="mamba-agents-loop", daemon=True).start()

    def run[T](
        self, make: Callable[[], Coroutine[object, object, T]], blocked: frozenset[asyncio.AbstractEventLoop]
    ) -> T:
        """The result of the coroutine that `make` gives, run here with the caller's context variables.

        Ctrl-C cancels the coroutine, waits until it has ended, and then raises.
        """
        outcome: Future[T] = Future()
        tasks: list[asyncio.Task[T]] = []

        async def go() -> T:
            return await make()

        def start() -> None:
            _blocked.set(blocked)
            tasks.append(self.loop.create_task(go()))
            tasks[0].add_done_callback(lambda ended: _settle(outcome, ended))

        # Runs `start` in a copy of this thread's context, which the task then inherits.
        self.loop.call_soon_threadsafe(start)
        try:
            return outcome.result()
        except BaseException:
            while not outcome.done():
                # `tasks` is filled by `start`, which the loop runs before this.
                self.loop.call_soon_threadsafe(lambda: tasks[0].cancel())  # noqa: PLW0108
                wait([outcome])
            raise

    def _run_forever(self) -> None:
        asyncio.set_event_loop(self.loop)
        while True:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # asyncio lets these out of the loop besides giving them to whoever awaits the task.
                continue


def run_sync[T](make: Callable[[], Coroutine[object, object, T]]) -> T:
    """The result of the coroutine that `make` gives, run on the process's one background loop.

    A call made on that loop itself, as an async tool makes it, has it stand still: a further loop does the work then.
    """
    blocked = blocked_loops() | _running_loop()
    return _free_loop(blocked).run(make, blocked)


def blocked_loops() -> frozenset[asyncio.AbstractEventLoop]:
    """The event loops that stand still until the code that asks has ended, since a sync call on them waits for it."""
    return _blocked.get()


def _running_loop() -> frozenset[asyncio.AbstractEventLoop]:
    try:
        return frozenset((asyncio.get_running_loop(),))
    except RuntimeError:
        return frozenset()


def _free_loop(blocked: frozenset[asyncio.AbstractEventLoop]) -> BackgroundLoop:
    with _lock:
        for loop in _loops:
            if loop.loop not in blocked:
                return loop
        _loops.append(BackgroundLoop())
        return _loops[-1]


def _settle[T](outcome: Future[T], task: asyncio.Task[T]) -> None:
    if task.cancelled():
        outcome.set_exception(asyncio.CancelledError())
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


def _forget_after_fork() -> None:
    # Threads do not survive a fork, and the lock may have been held by one of them.
    global _lock  # noqa: PLW0603
    _loops.clear()
    _lock = threading.Lock()


_loops: list[BackgroundLoop] = []
"""The one loop of the process, and those for sync calls made on it, on those made on these, and so on."""

_lock = threading.Lock()

_blocked: ContextVar[frozenset[asyncio.AbstractEventLoop]] = ContextVar("mamba_agents_blocked", default=frozenset())

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
