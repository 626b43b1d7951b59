"""The tools as an agent is given them: bound to a root, bounded in what they say, and never ending a run."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import cast

from pydantic_ai import Tool, ToolFailed

from mamba_agents.tools.filesystem import list_directory, read_file
from mamba_agents.tools.search import GrepMatch, glob_search, grep_search
from mamba_agents.tools.security import FilesystemSecurity

MAX_OUTPUT_CHARACTERS = 50_000
"""The most one call says; about 12,000 tokens of English."""

_MAX_LINE_CHARACTERS = 500


def sandboxed_tools(root: FilesystemSecurity | Path | str = ".") -> list[Tool[object]]:
    """`read_file`, `list_directory`, `glob_search` and `grep_search` for an agent, read-only under `root`.

    A refusal or a missing file reaches the model as a failed tool call that it can act on: it neither ends the run
    nor uses up its retries. A long output is cut, and its last line says how much was left out.

    Raises `NotADirectoryError` when `root` is not an existing folder.
    """
    security = root if isinstance(root, FilesystemSecurity) else FilesystemSecurity(base_directory=Path(root))
    if not security.root.is_dir():
        raise NotADirectoryError(
            f"The root folder of the tools does not exist or is not a folder: {security.base_directory}"
        )
    return [
        _bind(read_file, security, str),
        _bind(list_directory, security, _lines),
        _bind(glob_search, security, _lines),
        _bind(grep_search, security, _matches),
    ]


def _bind[Result](
    function: Callable[..., Result], security: FilesystemSecurity, render: Callable[[Result], str]
) -> Tool[object]:
    @wraps(function)
    def bound(**arguments: object) -> str:
        try:
            result = function(**arguments, security=security)
            return _bounded(render(result) + _stopped(result, arguments.get("max_results")))
        except (OSError, ValueError) as error:
            # Not ModelRetry: by default the second one in a row ends the run.
            raise ToolFailed(_encodable(str(error))) from error

    bound.__annotations__["return"] = str
    return Tool[object](bound)


def _stopped(result: object, limit: object) -> str:
    """Say that a search gave as much as it was asked for: there may be more."""
    full = isinstance(result, list) and len(cast("list[object]", result)) == limit
    return f"\n[stopped at max_results={limit}: there may be more]" * full


def _lines(paths: Sequence[str]) -> str:
    return "\n".join(paths) or "(nothing found)"


def _matches(matches: Sequence[GrepMatch]) -> str:
    return "\n".join(map(_match, matches)) or "(nothing found)"


def _match(match: GrepMatch) -> str:
    """As grep prints it: `file:12:line`, and context as `file-11-line`."""
    first = match.line_number - len(match.context_before)
    lines = [*match.context_before, match.line, *match.context_after]
    return "\n".join(
        f"{match.file}{mark}{number}{mark}{_shortened(line)}"
        for number, line in enumerate(lines, first)
        for mark in (":" if number == match.line_number else "-",)
    )


def _shortened(line: str) -> str:
    left_out = len(line) - _MAX_LINE_CHARACTERS
    return line if left_out <= 0 else f"{line[:_MAX_LINE_CHARACTERS]}[… {left_out:,} characters left out]"


def _bounded(text: str) -> str:
    left_out = len(text) - MAX_OUTPUT_CHARACTERS
    cut = text if left_out <= 0 else f"{text[:MAX_OUTPUT_CHARACTERS]}\n[… {left_out:,} characters left out]"
    return _encodable(cut)


def _encodable(text: str) -> str:
    """File names that are not UTF-8 hold lone surrogates, which no request can carry."""
    return text.encode("utf-8", "backslashreplace").decode()
