"""Streamed runs that know their turn, and turns that know their streamed run."""

from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from pydantic_ai.agent import AgentRunEvents
from pydantic_ai.messages import ModelMessage, ModelRequest
from pydantic_ai.result import StreamedRunResult

from mamba_agents.agent.place import reserve_place


class RememberedStream[DepsT, OutputT](AbstractAsyncContextManager[StreamedRunResult[DepsT, OutputT]]):
    """pydantic-ai's `run_stream`, which tells its turn what only the streamed result knows.

    pydantic-ai runs the tool calls beside a final output after the stream, and keeps their answers with the streamed
    result, not with the run (2.62).
    """

    def __init__(self, manager: AbstractAsyncContextManager[StreamedRunResult[DepsT, OutputT]]) -> None:
        self._manager = manager
        self._result: StreamedRunResult[DepsT, OutputT] | None = None

    async def __aenter__(self) -> StreamedRunResult[DepsT, OutputT]:
        _opening.set(self)
        try:
            self._result = await self._manager.__aenter__()
        finally:
            _opening.set(None)
        return self._result

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._manager.__aexit__(exc_type, exc, traceback)

    def answers(self) -> list[ModelMessage]:
        """The answers to the calls of the last response, if there were any."""
        messages = [] if self._result is None else self._result.new_messages()
        return [messages[-1]] if len(messages) > 1 and isinstance(messages[-1], ModelRequest) else []


class ReadEvents[OutputT](AbstractAsyncContextManager[AgentRunEvents[OutputT]]):
    """pydantic-ai's `run_stream_events`, whose reader counts as inside of the run."""

    def __init__(self, manager: AbstractAsyncContextManager[AgentRunEvents[OutputT]]) -> None:
        self._manager = manager

    async def __aenter__(self) -> AgentRunEvents[OutputT]:
        self._place = reserve_place()
        return await self._manager.__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self.leave()
        return await self._manager.__aexit__(exc_type, exc, traceback)

    def leave(self) -> None:
        """Stand outside of the run from now on, and so wait for its end."""
        self._place.is_read = False


def take_opening_stream() -> RememberedStream[Any, Any] | None:
    """The streamed run that is opening its run just now; told once, since tools may run agents of their own."""
    opening = _opening.get()
    if opening is not None:
        _opening.set(None)
    return opening


_opening: ContextVar[RememberedStream[Any, Any] | None] = ContextVar("mamba_agents_opening_stream", default=None)
