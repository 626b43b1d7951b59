"""The text of an answer as it comes."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self, cast

from pydantic_ai import AgentRunResultEvent
from pydantic_ai.agent import AgentRunEvents
from pydantic_ai.messages import AgentStreamEvent, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

from mamba_agents.agent.result import AgentResult
from mamba_agents.agent.run_stream import ReadEvents
from mamba_agents.agent.stops import LIMITS

type _Event = AgentStreamEvent | AgentRunResultEvent[Any]


class TextStream[OutputT](AsyncIterator[str]):
    """Iterate over it for the pieces of text; what the model says around its tool calls is set apart by an empty line.

    Leaving early is safe: the run is cancelled, and what was said by then is remembered. `async with` or `aclose()`
    waits for that; a plain `break` leaves it to the event loop.
    """

    def __init__(self, events: ReadEvents[OutputT]) -> None:
        self._manager = events
        self._events: AgentRunEvents[OutputT] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pieces: list[str] = []  # of the response so far; joined when the next one begins
        self._echo = ""
        self._is_new_response = True
        self._closed = False
        self.result: AgentResult[OutputT] | None = None
        """What the run gave, once the iteration has ended."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if self._closed:
            raise StopAsyncIteration
        if self._events is None:
            self._loop = asyncio.get_running_loop()
            self._events = await self._manager.__aenter__()
        try:
            async for event in self._events:
                if text := self._text(event):
                    return text
        except BaseException:
            await self.aclose()
            raise
        await self.aclose()
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the run, if it still goes on, and wait until it is remembered."""
        if not self._closed:
            self._closed = True
            if self._events is not None:
                await self._manager.__aexit__(None, None, None)

    def __del__(self) -> None:
        if self._closed or self._events is None or self._loop is None or self._loop.is_closed():
            return
        # Left by a `break`: nobody can wait any more, so the run's own event loop ends it.
        manager, loop = self._manager, self._loop
        manager.leave()
        loop.call_soon_threadsafe(lambda: _closing.add(loop.create_task(_close(manager))))

    def _text(self, event: _Event) -> str:
        match event:
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                return self._spoken(text)
            case AgentRunResultEvent(result=result):
                self.result = cast("AgentResult[OutputT]", result)
                # The closing of a run at a limit says again what the model said last.
                return "" if self.result.stop_reason in LIMITS else self._release()
            case PartStartEvent(part=TextPart(content=text), index=0) if text and text == "".join(self._pieces):
                self._echo, self._is_new_response = text, True
                return ""
            case PartStartEvent(part=TextPart(content=text), index=index):
                return self._spoken(text, starts_response=index == 0)
            case PartStartEvent(index=0):
                self._is_new_response = True
                return ""
            case _:
                return ""

    def _spoken(self, text: str, *, starts_response: bool = False) -> str:
        held = self._release()
        self._is_new_response |= starts_response
        if not text:
            return held
        apart = ""
        if self._is_new_response:
            apart = "\n\n" if self._pieces else ""
            self._pieces, self._is_new_response = [], False
        self._pieces.append(text)
        return held + apart + text

    def _release(self) -> str:
        """What was held back as an echo, once it is known to be none."""
        echo, self._echo = self._echo, ""
        return self._spoken(echo) if echo else ""


_closing: set[asyncio.Task[None]] = set()
"""An event loop holds its tasks weakly: these must not be collected before they end."""


async def _close(manager: ReadEvents[Any]) -> None:
    try:
        await manager.__aexit__(None, None, None)
    finally:
        _closing.discard(cast("asyncio.Task[None]", asyncio.current_task()))
