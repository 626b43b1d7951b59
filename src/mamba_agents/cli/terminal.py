"""What is written where: answers to standard output, everything about them to standard error."""

import sys
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mamba_agents.agent import AgentResult


_SMALLEST = Decimal("0.000001")
"""The least amount that is written out."""


def write(text: str) -> None:
    """Write a piece of an answer at once; a terminal gets no control characters, which could command it."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


class AnswerWriter:
    """Writes the pieces of an answer as they are, and ends the last line, however the answer ended."""

    def __init__(self) -> None:
        self._last = "\n"

    def write(self, text: str) -> None:
        """Show the next piece."""
        self._last = text or self._last
        write(text)

    def close(self) -> None:
        """Leave all that was written, for what comes after it to begin on a line of its own."""
        write("" if self._last.endswith("\n") else "\n")


def note(line: str) -> None:
    """Write a line about the answer, dimmed on a terminal; names that a server gave may be in it."""
    line = printable(line)
    print(f"\x1b[2m{line}\x1b[22m" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Take out the control characters other than newline and tab."""
    if text.isprintable():
        return text
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")


def status_line(result: "AgentResult[object]", seconds: float) -> str:
    """Model, tokens, cost and time, and why it stopped when that was not the end of the answer."""
    usage = result.usage
    parts = [
        result.response.model_name or "unknown model",
        f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out",
        in_dollars(result.cost),
        f"{seconds:.1f} s",
    ]
    if result.stop_reason != "completed":
        parts.append(f"stopped by {result.stop_reason}")
    return " · ".join(parts)


def in_dollars(cost: Decimal | None) -> str:
    """Write an amount as people do, to a millionth of a dollar."""
    if cost is None:
        return "cost unknown"
    if 0 < cost < _SMALLEST:
        return f"under ${_SMALLEST}"
    exact = f"{cost:,.6f}".rstrip("0").rstrip(".")
    return f"${cost:,.2f}" if len(exact.partition(".")[2]) == 1 else f"${exact}"
