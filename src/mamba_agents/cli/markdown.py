"""An answer rendered as Markdown while it grows."""

from typing import override

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown

from mamba_agents.cli.terminal import AnswerWriter, printable


class MarkdownWriter(AnswerWriter):
    """Renders the block that grows live, and prints it for good when the next one begins.

    A live display cannot scroll, so no more than one block may be in it.
    """

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._live.start()
        self._block = ""

    @override
    def write(self, text: str) -> None:
        """Show the next piece."""
        self._block += printable(text)
        finished, self._block = _split(self._block)
        if finished:
            self._console.print(Markdown(finished))
        self._live.update(Markdown(self._block), refresh=True)

    @override
    def close(self) -> None:
        """Leave the last block as it stands."""
        self._live.update("")
        self._live.stop()
        if self._block.strip():
            self._console.print(Markdown(self._block))


def _split(text: str) -> tuple[str, str]:
    """Part the blocks that are complete from the one that may still grow; an open code fence is one block."""
    end = text.rfind("\n\n")
    while end > 0 and text[:end].count("```") % 2:
        end = text.rfind("\n\n", 0, end)
    return (text[:end], text[end:].lstrip("\n")) if end > 0 else ("", text)
