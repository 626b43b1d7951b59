"""One event loop for every sync call of the process, on a daemon thread.

A loop of its own is what lets a sync call work inside Jupyter, inside a running loop, in a sync tool and from many
threads, and it keeps pooled HTTP clients and server sessions on one loop between calls.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait


class BackgroundLoop:
    """An event loop on a daemon thread of its own, from construction until the process ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._nested: BackgroundLoop | None = None
        self._thread = threading.Thread(target=self._run_forever, name="mamba-agents-loop", daemon=True)
        self._thread.start()

    def run[T](self, make: Callable[[], Coroutine[object, object, T]]) -> T:
        """The result of the coroutine that `make` gives, run here with the caller's context variables.

        Ctrl-C cancels the coroutine, waits until it has ended, and then raises.
        """
        if threading.current_thread() is self._thread:
            # Blocking this loop until itself has finished would never end: one further loop does the work.
            return self.nested().run(make)
        outcome: Future[T] = Future()
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            task = self._loop.create_task(make())
            task.add_done_callback(lambda ended: _settle(outcome, ended))
            tasks.append(task)

        # Runs `start` in a copy of this thread's context, which the task then inherits.
        self._loop.call_soon_threadsafe(start)
        try:
            return outcome.result()
        except BaseException:
            while not outcome.done():
                # `tasks` is filled by `start`, which the loop runs before this.
                self._loop.call_soon_threadsafe(lambda: tasks[0].cancel())  # noqa: PLW0108
                wait([outcome])
            raise

    def nested(self) -> "BackgroundLoop":
        """The loop for sync calls made on this loop's own thread."""
        if self._nested is None:
            self._nested = BackgroundLoop()
        return self._nested

    def _run_forever(self) -> None:
        asyncio.set_event_loop(self._loop)
        while True:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # asyncio lets these out of the loop besides giving them to whoever awaits the task.
                continue


def run_sync[T](make: Callable[[], Coroutine[object, object, T]]) -> T:
    """The result of the coroutine that `make` gives, run on the process's one background loop."""
    return background_loop().run(make)


def background_loop() -> BackgroundLoop:
    """The process's one background loop, started at the first call and made anew after a fork."""
    global _current  # noqa: PLW0603 - one for the process is the point
    with _lock:
        if _current is None:
            _current = BackgroundLoop()
        return _current


def _settle[T](outcome: Future[T], task: asyncio.Task[T]) -> None:
    if task.cancelled():
        outcome.set_exception(asyncio.CancelledError())
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


def _forget_after_fork() -> None:
    # Threads do not survive a fork, and the lock may have been held by one of them.
    global _current, _lock  # noqa: PLW0603
    _current = None
    _lock = threading.Lock()


_current: BackgroundLoop | None = None
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
