"""Finding files by name and lines by content, under one root."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

import regex as re  # the standard library's has no timeout, and a model writes patterns that never end

from mamba_agents.tools.filesystem import is_binary, read_bytes, validate_folder
from mamba_agents.tools.patterns import GlobPattern
from mamba_agents.tools.security import FilesystemSecurity
from mamba_agents.tools.signature import model_facing
from mamba_agents.tools.walking import walk

TIMEOUT_SECONDS = 30.0
"""How long one `grep_search` may take."""

# The time limit holds while a pattern is matched, not while it is compiled, so what unrolls without end is refused:
# `(?R)` and `((a{1000}){1000}){1000}` use up the memory (regex 2026.11, measured 2026-11-22).
_MAX_PATTERN_CHARACTERS = 1_000
_MAX_REPEATS = 100_000
_REPEAT = re.compile(r"\{(\d*),?(\d*)\}")
_RECURSION = re.compile(r"\(\?(?:R|[0-9&]|P>)")


@dataclass(frozen=True, slots=True)
class GrepMatch:
    """One line that matched."""

    file: str
    """Relative to the root folder."""
    line_number: int
    """Counted from 1."""
    line: str
    context_before: tuple[str, ...] = ()
    context_after: tuple[str, ...] = ()


@model_facing
def glob_search(
    pattern: str,
    root_dir: str = ".",
    recursive: bool = True,
    max_results: int = 1000,
    *,
    security: FilesystemSecurity | None = None,
) -> list[str]:
    """Find files by name, sorted. Hidden files are found too; what is inside .git and behind symbolic links is not.

    Args:
        pattern: Such as `*.md` in the folder itself or `**/*.py` at any depth, relative to root_dir.
        root_dir: The folder to look in, relative to the root folder.
        recursive: Whether `**` stands for any number of folders; otherwise it means the same as `*`.
        max_results: The most files to give.
    """
    _require_at_least(1, max_results=max_results)
    security = security or FilesystemSecurity()
    glob = GlobPattern(pattern, recursive=recursive)
    folder = validate_folder(root_dir, security)
    found = (
        entry.shown(security)
        for entry in walk(folder, enter=lambda entry: glob.may_hold(entry.parts))
        if not entry.is_folder and glob.matches(entry.parts)
    )
    return list(islice(found, max_results))


@model_facing
def grep_search(
    pattern: str,
    path: str = ".",
    recursive: bool = True,
    file_pattern: str = "*",
    context_lines: int = 0,
    ignore_case: bool = False,
    regex: bool = True,
    max_results: int = 100,
    *,
    security: FilesystemSecurity | None = None,
) -> list[GrepMatch]:
    """Find lines in a file, or in all files of a folder, in the order of their paths.

    In a folder, these are passed over: what is inside .git, symbolic links, binary files and files too large to read.

    Args:
        pattern: A regular expression, or plain text when regex is false.
        path: The file or folder to search, relative to the root folder.
        recursive: Whether to search the folders inside a folder as well.
        file_pattern: Which files of a folder to search, by name, such as `*.py`.
        context_lines: How many lines to give before and after each match.
        ignore_case: Whether upper and lower case are the same.
        regex: Whether pattern is a regular expression.
        max_results: The most lines to give.
    """
    _require_at_least(1, max_results=max_results)
    _require_at_least(0, context_lines=context_lines)
    security = security or FilesystemSecurity()
    search = _Search(_compile(pattern, regex=regex, ignore_case=ignore_case), context_lines, security)
    target = security.validate_path(path)
    if security.status(target, path) and target.is_dir():
        matches = search.in_folder(target, file_pattern, recursive=recursive)
    else:
        matches = search.in_file(security.validate_read(path))
    try:
        return list(islice(matches, max_results))
    except TimeoutError as error:
        raise TimeoutError(
            f"Searching for {pattern!r} took over {TIMEOUT_SECONDS:.0f} seconds and was stopped:"
            " use a simpler pattern or a smaller folder."
        ) from error


class _Search:
    """One pattern, looked for until its time is up."""

    def __init__(self, pattern: "re.Pattern[str]", context_lines: int, security: FilesystemSecurity) -> None:
        self.pattern = pattern
        self.context_lines = context_lines
        self.security = security
        self.deadline = time.monotonic() + TIMEOUT_SECONDS

    def in_folder(self, folder: Path, file_pattern: str, *, recursive: bool) -> Iterator[GrepMatch]:
        for entry in walk(folder, enter=lambda _: recursive):
            if not entry.is_folder and not entry.is_link and fnmatchcase(entry.path.name, file_pattern):
                yield from self._in_found(entry.path)

    def in_file(self, target: Path) -> Iterator[GrepMatch]:
        data = read_bytes(target, self.security)
        shown = self.security.relative(target)
        if is_binary(data):
            raise ValueError(f"{shown!r} is a binary file of {len(data):,} bytes, not text.")
        lines = data.decode("utf-8", "replace").split("\n")
        for i, line in enumerate(lines):
            if self.pattern.search(line, timeout=max(self.deadline - time.monotonic(), 0.001)):
                yield self._match(shown, lines, i)

    def _in_found(self, path: Path) -> Iterator[GrepMatch]:
        try:
            yield from self.in_file(self.security.validate_read(path))
        except TimeoutError:
            raise
        except (OSError, ValueError):
            return  # not a regular file, not allowed, too large or binary: as the docstring says

    def _match(self, shown: str, lines: list[str], i: int) -> GrepMatch:
        before, after = lines[max(i - self.context_lines, 0) : i], lines[i + 1 : i + 1 + self.context_lines]
        return GrepMatch(shown, i + 1, lines[i].rstrip("\r"), tuple(before), tuple(after))


def _compile(pattern: str, *, regex: bool, ignore_case: bool) -> "re.Pattern[str]":
    pattern = pattern if regex else re.escape(pattern)
    if len(pattern) > _MAX_PATTERN_CHARACTERS or _RECURSION.search(pattern) or _repeats(pattern) > _MAX_REPEATS:
        raise ValueError(f"The pattern is too long, too often repeated or recursive: {pattern[:100]!r}.")
    try:
        return re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except (re.error, RecursionError) as error:
        raise ValueError(
            f"{pattern!r} is not a regular expression ({error}): use regex=false for plain text."
        ) from error


def _repeats(pattern: str) -> int:
    """Multiply out every `{n,m}`: nested, they are unrolled."""
    return math.prod(max(int(number or 1) for number in counts) or 1 for counts in _REPEAT.findall(pattern))


def _require_at_least(minimum: int, **numbers: int) -> None:
    for name, number in numbers.items():
        if number < minimum:
            raise ValueError(f"{name} must be at least {minimum}, not {number}.")
