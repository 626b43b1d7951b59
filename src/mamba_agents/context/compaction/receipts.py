"""What stands in for something long that was left out: one line that says what it was and how to get it back."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, cast

import pydantic_core
from pydantic_ai.messages import ModelRequest, ToolCallPart, ToolReturnPart

from mamba_agents.context.compaction.copies import changed

RECEIPT_KEY: Final = "mamba_agents_receipt"
"""In the metadata of a result that stands in for another."""

_LEFT_OUT: Final = "left out to save space"
_SHORTEST = 120
"""Characters below which a result is not worth a receipt."""

_STOPS: Final = (".", "!", "?", "…")

_READING = (
    "read",
    "get",
    "list",
    "search",
    "find",
    "fetch",
    "show",
    "cat",
    "ls",
    "grep",
    "query",
    "view",
    "open",
    "look",
)
"""How tools are called that change nothing, so that a model may be told to call them again."""


def is_receipt(part: ToolReturnPart) -> bool:
    """Whether the result stands in for another already; also after it went through chat dicts, which lose the mark."""
    metadata: object = part.metadata
    if metadata is not None and isinstance(metadata, Mapping) and RECEIPT_KEY in metadata:
        return True
    return isinstance(part.content, str) and part.content.startswith("[") and f"; {_LEFT_OUT}" in part.content


def replaceable(message: ModelRequest) -> Sequence[tuple[int, ToolReturnPart]]:
    """The results in a request that may be shortened, each with its place.

    Left out are those that are short, that failed, that have files or that are receipts already: what went wrong is
    short and worth knowing. A typed part is state that a run reads back from the history.
    """
    found = [
        (index, part)
        for index, part in enumerate(message.parts)
        if type(part) is ToolReturnPart and is_replaceable(part)
    ]
    # An id that comes twice in one response does not tell a typed result from a plain one: then all stay.
    return [] if found and _is_ambiguous(message) else found


def _is_ambiguous(message: ModelRequest) -> bool:
    if len(message.parts) == 1:
        return False
    returned = [part for part in message.parts if isinstance(part, ToolReturnPart)]
    typed = {part.tool_call_id for part in returned if part.tool_kind is not None}
    return any(part.tool_call_id in typed for part in returned if part.tool_kind is None)


def is_replaceable(part: ToolReturnPart) -> bool:
    """Whether a plain result may be shortened, as far as it alone tells."""
    if part.tool_kind is not None or part.outcome != "success":
        return False
    content: object = part.content
    if isinstance(content, str):
        return len(content) >= _SHORTEST and not is_receipt(part)
    return not part.files and len(text_of(part)) >= _SHORTEST


def text_of(part: ToolReturnPart) -> str:
    """The result as a model reads it; as Python shows it where it cannot be written as JSON."""
    content: object = part.content
    if isinstance(content, str):
        return content
    try:
        return part.model_response_str()
    except ValueError:
        return repr(content)


def receipt(tool_name: str, args: str, text: str, tokens: int, *, superseded: bool) -> str:
    """The line for a result: whose it was, its size, how it began, and what to do to see it."""
    lines = _lines(text)
    began = _beginning(text) if lines > 1 else ""
    way_back = " A later call gave it anew." if superseded else _way_back(tool_name)
    stop = "." if began and way_back and not began.endswith(_STOPS) else ""
    return f"[{tool_name}({args}) gave {_size(lines, tokens)}; {_LEFT_OUT}.{began}{stop}{way_back}]"


def _lines(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n"))


def _size(lines: int, tokens: int) -> str:
    return f"{lines:,} lines, {tokens:,} tokens" if lines > 1 else f"{tokens:,} tokens"


def with_receipt(part: ToolReturnPart, line: str) -> ToolReturnPart:
    """The result with the line for its content, and its mark."""
    metadata: object = part.metadata
    if metadata is None or isinstance(metadata, Mapping):
        metadata = {**(cast("Mapping[object, object]", metadata) if metadata else {}), RECEIPT_KEY: True}
    return changed(part, content=line, metadata=metadata)


def shown_args(part: ToolCallPart, longest: int = 80) -> str:
    """The arguments of a call as one writes them, shortened."""
    args = part.args
    if not args:
        return ""
    if isinstance(args, str):
        args = parsed_args(args)
        if args is None:
            return "…"
    shown = ", ".join([f"{name}={_shown(value)}" for name, value in args.items()])
    return shown if len(shown) <= longest else f"{shown[:longest]}…"


def parsed_args(args: str | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The arguments by name; None where they are no JSON object, such as in a call that was cut off."""
    if not isinstance(args, str):
        return dict(args or {})
    try:
        parsed = pydantic_core.from_json(args)
    except ValueError:
        return None
    return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else None


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}…{shown[-1]}"


def _beginning(text: str) -> str:
    start = text.lstrip()
    end = start.find("\n")
    first = (start if end < 0 else start[:end]).strip()
    return f" It began: {first[:60]}" if first else ""


@lru_cache
def _way_back(tool_name: str) -> str:
    """How to see it: of a tool whose name does not tell, a model may know whether calling it does any harm."""
    is_reading = tool_name.lower().startswith(_READING)
    return " Call it again to see them." if is_reading else " Call it again if that changes nothing."


def without_long_arg(part: ToolCallPart, name: str, tokens: int) -> ToolCallPart:
    """The call with one of its arguments replaced by a line that says that it had so many tokens."""
    args = parsed_args(part.args) or {}
    args[name] = f"[{_size(_lines(str(args[name])), tokens)}; {_LEFT_OUT}, the call had them in full]"
    return changed(part, args=json.dumps(args, ensure_ascii=False) if isinstance(part.args, str) else args)
