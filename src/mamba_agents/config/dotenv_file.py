"""Dotenv files, with the line of every assignment."""

import io
from collections.abc import Iterator
from typing import NamedTuple

from dotenv.main import resolve_variables
from dotenv.parser import Original, parse_stream

from mamba_agents.config.files import fail


class Assignment(NamedTuple):
    """A line that gives a variable a value."""

    variable: str
    value: str | None
    """None where the line has no equals sign."""

    line: int


def parse_dotenv(text: str, shown: str, prefix: str) -> Iterator[Assignment]:
    """The assignments to variables with the prefix, `${NAME}` in them replaced as python-dotenv does.

    All other lines are somebody else's, whatever they say.
    """
    bindings = list(parse_stream(io.StringIO(text)))
    resolved = resolve_variables([(b.key, b.value) for b in bindings if b.key is not None], override=True)
    for binding in bindings:
        line = _line(binding.original)
        if binding.error and prefix in binding.original.string.upper():
            fail(shown, line, "cannot be read as NAME=value; look for a missing quote")
        if binding.key is not None and binding.key.upper().startswith(prefix):
            yield Assignment(binding.key, resolved[binding.key], line)


def _line(original: Original) -> int:
    """The line of the assignment itself; the parser counts from the blank lines before it."""
    text = original.string
    return original.line + text[: len(text) - len(text.lstrip())].count("\n")
