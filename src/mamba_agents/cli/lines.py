"""Where the lines of a conversation come from: a person at a terminal, or a pipe."""

import sys
from typing import Protocol

import anyio.to_thread
from platformdirs import user_state_path
from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from mamba_agents.cli.terminal import note


class LineReader(Protocol):
    """Gives one line after another, and None at the end."""

    async def read(self) -> str | None:
        """Wait for the next line."""
        ...


def line_reader() -> LineReader:
    """Give the reader that fits where the conversation takes place."""
    return TerminalLines() if sys.stdin.isatty() and sys.stdout.isatty() else PipedLines()


class TerminalLines:
    """Lines that a person types, with a history that outlives the conversation."""

    def __init__(self) -> None:
        self._session = PromptSession[str](history=_history())

    async def read(self) -> str | None:
        """Wait for the person; Ctrl-C begins the line anew, Ctrl-D ends it all."""
        while True:
            try:
                return await self._session.prompt_async("> ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return None


def _history() -> History:
    """Open the history, for its owner's eyes only; where none can be kept, the conversation goes on without."""
    path = user_state_path("mamba-agents") / "chat-history"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        note(f"what you type is not kept for the next time: {error}")
        return InMemoryHistory()
    return FileHistory(path)


class PipedLines:
    """Lines of standard input, read as they come."""

    async def read(self) -> str | None:
        """Wait for the next line."""
        line = await anyio.to_thread.run_sync(sys.stdin.buffer.readline, abandon_on_cancel=True)
        return line.decode("utf-8", "surrogateescape").rstrip("\r\n") if line else None
