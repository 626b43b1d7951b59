"""What every settings file has in common: it is read once, and each of its keys has a line."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mamba_agents.config.keys import KeyPath
from mamba_agents.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Document:
    """The content of a settings file."""

    values: Mapping[str, object]
    lines: Mapping[KeyPath, int]
    """Where each key stands, counted from 1; keys that only exist as a part of another may be left out."""


def read_text(path: Path, shown: str) -> str | None:
    """The text of a file, or None when there is none."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError as error:
        raise ConfigurationError(f"{shown}: found a directory, expected a file.", file=shown) from error
    except OSError as error:
        raise ConfigurationError(f"{shown}: cannot be read: {error.strerror or error}.", file=shown) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fail(shown, data.count(b"\n", 0, error.start) + 1, "found a byte that is not UTF-8; save the file as UTF-8")


def fail(shown: str, line: int | None, problem: str) -> NoReturn:
    """Ends the reading of a file. What caused it stays behind: parsers quote the text, and so may quote a secret."""
    place = f"{shown}:{line}" if line else shown
    raise ConfigurationError(f"{place}: {problem}.", file=shown, line=line) from None
