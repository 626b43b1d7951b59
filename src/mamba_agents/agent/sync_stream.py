"""A streamed run for code that is not async, on the process's background loop."""

import asyncio
import inspect
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, cast

import anyio
from pydantic_ai.output import OutputDataT
from pydantic_ai.result import StreamedRunResult, StreamedRunResultSync
from pydantic_ai.tools import AgentDepsT

from mamba_agents._internal.background_loop import run_sync

type _ExitInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class BackgroundStreamedResult(StreamedRunResultSync[AgentDepsT, OutputDataT]):
    """pydantic-ai's sync streamed result, which also works inside a running event loop and on any thread."""

    def __init__(self, run_stream: AbstractAsyncContextManager[StreamedRunResult[AgentDepsT, OutputDataT]]) -> None:
        # In place of the base's bridge, which drives the caller's own event loop and so needs that to stand still.
        self._bridge: Any = _BackgroundBridge(run_stream)
        self._streamed_run_result = self._bridge.stream


class _BackgroundBridge[StreamT]:
    """What pydantic-ai's sync result asks of a bridge; one task enters and leaves the stream, as cancel scopes ask."""

    def __init__(self, manager: AbstractAsyncContextManager[StreamT]) -> None:
        self._manager = manager
        self.stream: StreamT = run_sync(self._enter)

    async def _enter(self) -> StreamT:
        loop = asyncio.get_running_loop()
        entered: asyncio.Future[StreamT] = loop.create_future()
        self._exit_asked: asyncio.Future[_ExitInfo] = loop.create_future()
        self._owner = loop.create_task(_hold(self._manager, entered, self._exit_asked))
        # For a result that is dropped without having been closed.
        weakref.finalize(self, _ask_to_exit, loop, self._exit_asked)
        try:
            return await entered
        except BaseException:
            self._owner.cancel()
            await asyncio.wait([self._owner])
            raise

    def shutdown(self, exit_info: _ExitInfo = (None, None, None)) -> None:
        """Leave the stream, once."""
        run_sync(lambda: self._exit(exit_info))

    async def _exit(self, exit_info: _ExitInfo) -> None:
        if not self._exit_asked.done():
            self._exit_asked.set_result(exit_info)
        await self._owner

    def call[T](self, func: Callable[..., Awaitable[T] | T], *args: Any) -> T:
        """Call a function of the stream on its event loop."""

        async def run() -> T:
            result = func(*args)
            return await cast("Awaitable[T]", result) if inspect.isawaitable(result) else cast("T", result)

        return run_sync(run)

    def stream_sync[T](self, make: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """Iterate over what the stream gives, one item ahead of nobody."""
        send, receive = anyio.create_memory_object_stream[T](0)

        async def pump() -> None:
            async with send, _closing(make()) as items:
                try:
                    async for item in items:
                        await send.send(item)
                except anyio.BrokenResourceError:
                    return  # the caller left the iteration

        async def start() -> asyncio.Task[None]:
            return asyncio.create_task(pump())

        async def stop() -> None:
            receive.close()
            await asyncio.wait([task])

        task = run_sync(start)
        try:
            while True:
                try:
                    yield run_sync(receive.receive)
                except anyio.EndOfStream:
                    break
        finally:
            run_sync(stop)
        task.result()


async def _hold[StreamT](
    manager: AbstractAsyncContextManager[StreamT],
    entered: asyncio.Future[StreamT],
    exit_asked: asyncio.Future[_ExitInfo],
) -> None:
    try:
        stream = await manager.__aenter__()
    except BaseException as error:
        if not entered.done():
            entered.set_exception(error)
            return
        raise
    entered.set_result(stream)
    await manager.__aexit__(*await exit_asked)


def _ask_to_exit(loop: asyncio.AbstractEventLoop, exit_asked: asyncio.Future[_ExitInfo]) -> None:
    def ask() -> None:
        if not exit_asked.done():
            exit_asked.set_result((None, None, None))

    loop.call_soon_threadsafe(ask)


@asynccontextmanager
async def _closing[T](items: AsyncIterator[T]) -> AsyncGenerator[AsyncIterator[T]]:
    """Close what is an async generator, as the stream's iterators are, in the task that ran it."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
