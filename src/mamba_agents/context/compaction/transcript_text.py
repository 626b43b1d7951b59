"""A history as text that a summariser reads, cut to the room it has."""

import re
from collections.abc import Sequence
from typing import cast

from pydantic_ai.messages import (
    BaseToolCallPart,
    BaseToolReturnPart,
    BinaryContent,
    CachePoint,
    CompactionPart,
    FilePart,
    FileUrl,
    InstructionBaselinePart,
    InstructionDeltaPart,
    ModelRequestPart,
    ModelResponsePart,
    ModelSettingsDeltaPart,
    RetryFeedbackPart,
    RetryPromptPart,  # pyright: ignore[reportDeprecated]
    SpeechPart,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolAvailabilityDeltaPart,
    UploadedFile,
    UserContent,
    UserPromptPart,
)

from mamba_agents.tokens import TokenCounter
from mamba_agents.tokens.parts import json_text

_HEAD_SHARE = 0.7
"""How much of a shortened text is its beginning; results tend to say first what they are."""


def part_text(part: ModelRequestPart | ModelResponsePart) -> str:
    """Who said or did it and what; empty for what a summary must not repeat: system prompts, summaries, thinking."""
    return _sendable(_part_text(part))


def prompt_text(content: str | Sequence[UserContent]) -> str:
    """A user's prompt in words, its files by name."""
    if isinstance(content, str):
        return _sendable(content)
    return _sendable("\n".join(text for item in content if (text := _item(item))))


def _sendable(text: str) -> str:
    """Half of a character pair cannot be sent; a question mark goes in its place, as everywhere."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _part_text(part: ModelRequestPart | ModelResponsePart) -> str:
    match part:
        case UserPromptPart():
            return f"User: {prompt_text(part.content)}"
        case TextPart():
            return f"Assistant: {part.content}" if part.content else ""
        case BaseToolCallPart():
            return f"Assistant called {part.tool_name} with {_as_text(part.args)}"
        case BaseToolReturnPart():
            return f"{part.tool_name} returned ({part.outcome}): {_returned(part.content)}"
        case RetryPromptPart() | RetryFeedbackPart():  # pyright: ignore[reportDeprecated]
            return f"The assistant was told to try again: {_as_text(part.content)}"
        case SpeechPart():
            return f"{part.speaker.capitalize()}, spoken: {part.transcript or '[not written down]'}"
        case FilePart():
            return f"Assistant made a file: {_file(part.content)}"
        case _:
            return _other(part)


def _other(part: ModelRequestPart | ModelResponsePart) -> str:
    """What a later pydantic-ai may say, as far as it is text; what holds of itself after a summary is not said."""
    content: object = getattr(part, "content", None)
    if isinstance(part, _UNSAID) or not isinstance(content, str):
        return ""
    return f"{part.part_kind}: {content}"


_UNSAID = (
    SystemPromptPart,
    CompactionPart,
    ThinkingPart,
    InstructionBaselinePart,
    InstructionDeltaPart,
    ModelSettingsDeltaPart,
    ToolAvailabilityDeltaPart,
)


def clipped(text: str, max_tokens: int, counter: TokenCounter, model: str | None = None) -> str:
    """The text in at most `max_tokens`: its beginning and its end, and between them how much was left out.

    Empty where not even the note about what was left out fits.
    """
    if len(text.encode("utf-8", "replace")) <= max_tokens or (tokens := counter.count(text, model)) <= max_tokens:
        return text
    kept = len(text) * max_tokens // tokens
    while kept > 0:
        short = _shortened(text, kept)
        if counter.count(short, model) <= max_tokens:
            return short
        kept = kept * 4 // 5 - 1
    return ""


def largest_cap(sizes: Sequence[int], room: int) -> int:
    """The most that each may be so that all together are at most `room`; 0 where there is no room at all."""
    left = room
    for index, size in enumerate(ordered := sorted(sizes)):
        share = left // (len(ordered) - index)
        if size > share:
            return max(share, 0)
        left -= size
    return max(sizes, default=0)


def fenced(tag: str, text: str) -> str:
    """The text between tags that nothing inside can close."""
    safe = re.sub(rf"<(\s*/?\s*{re.escape(tag)})", r"‹\1", text, flags=re.IGNORECASE)
    return f"<{tag}>\n{safe}\n</{tag}>"


def _shortened(text: str, kept: int) -> str:
    head = int(kept * _HEAD_SHARE)
    tail = kept - head
    return f"{text[:head]} [… {len(text) - kept:,} characters left out …] {text[len(text) - tail :]}"


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json_text(value)


def _returned(content: object) -> str:
    """What a tool returned, its files by name."""
    if isinstance(content, FileUrl | BinaryContent | UploadedFile):
        return f"[{_file(content)}]"
    if isinstance(content, list):
        items = cast("list[object]", content)
        if any(isinstance(item, FileUrl | BinaryContent | UploadedFile) for item in items):
            return "\n".join(map(_returned, items))
        return json_text(items)
    return _as_text(content)


def _item(item: UserContent) -> str:
    match item:
        case str():
            return item
        case TextContent():
            return item.content
        case CachePoint():
            return ""
        case _:
            return f"[{_file(item)}]"


def _file(item: object) -> str:
    if isinstance(item, FileUrl):
        return f"{type(item).__name__} {item.url}"
    if isinstance(item, BinaryContent):
        return f"{item.media_type}, {len(item.data):,} bytes"
    return f"file {getattr(item, 'file_id', type(item).__name__)}"
