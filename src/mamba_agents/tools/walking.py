"""Walking a folder without ever leaving it."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mamba_agents.tools.security import FilesystemSecurity

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing in a folder; a symbolic link is itself, not what it leads to."""

    path: Path
    parts: tuple[str, ...]
    """The names from the folder the walk began in."""
    is_folder: bool
    is_link: bool

    def shown(self, security: FilesystemSecurity) -> str:
        """Show the path relative to the root; a folder ends with a slash."""
        return security.relative(self.path) + "/" * self.is_folder


def walk(folder: Path, *, enter: Callable[[Entry], bool]) -> Iterator[Entry]:
    """Yield everything below `folder`, depth first and by name, so that the order is the same every time.

    `enter` says which folders to go into; `.git` is named but never entered, because its contents drown every search.

    Never enters a symbolic link. A folder that may not be listed is passed over, and the log says so.
    """
    pending = _scan(folder, ())
    while pending:
        entry = pending.pop()
        yield entry
        if entry.is_folder and entry.path.name != ".git" and enter(entry):
            pending += _scan(entry.path, entry.parts)


def _scan(folder: Path, parts: tuple[str, ...]) -> list[Entry]:
    """List one folder, last name first: the walk pops from the end."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name, reverse=True)
    except OSError as error:
        logger.info("not listed: %s (%s)", folder, error.strerror)
        return []
    return [
        Entry(
            path=Path(entry.path),
            parts=(*parts, entry.name),
            is_folder=entry.is_dir(follow_symlinks=False),
            is_link=entry.is_symlink(),
        )
        for entry in entries
    ]
