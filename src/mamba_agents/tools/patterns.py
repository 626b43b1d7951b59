"""File name patterns: `*`, `?`, `[…]` within a name, and `**` for any number of folders."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath


class GlobPattern:
    """A relative pattern, split at its slashes."""

    def __init__(self, pattern: str, *, recursive: bool = True) -> None:
        path = PurePosixPath(pattern)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"The pattern {pattern!r} must be relative, without '..': for example '**/*.py'.")
        self._names = [name if recursive or name != "**" else "*" for name in path.parts]

    def matches(self, parts: Sequence[str]) -> bool:
        """Say whether a path matches, given as its names from the folder that the pattern is relative to."""
        return len(self._names) in self._reached(parts)

    def may_hold(self, parts: Sequence[str]) -> bool:
        """Say whether anything below this folder can match."""
        return any(position < len(self._names) for position in self._reached(parts))

    def _reached(self, parts: Sequence[str]) -> set[int]:
        """Find the places in the pattern that these names can lead to, all at once, so that no pattern takes long."""
        reached = self._past_stars({0})
        for part in parts:
            accepted = [position for position in reached if self._accepts(position, part)]
            reached = self._past_stars({position + (self._names[position] != "**") for position in accepted})
        return reached

    def _accepts(self, position: int, part: str) -> bool:
        if position == len(self._names):
            return False
        return self._names[position] == "**" or fnmatchcase(part, self._names[position])

    def _past_stars(self, positions: set[int]) -> set[int]:
        """Add where each `**` leads when it stands for no folder at all."""
        for position in sorted(positions):
            after = position
            while self._names[after : after + 1] == ["**"]:
                after += 1
                positions.add(after)
        return positions
