"""A history without what providers count in their own way."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic_ai.messages import (
    FilePart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    TextContent,
    ThinkingPart,
    ToolReturnPart,
    UserPromptPart,
)


def without_droppable(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """The history without what a provider may leave out or count in its own way: thinking, images and other files."""
    return [
        replace(message, parts=[said for part in message.parts if (said := _said(part)) is not None])
        if isinstance(message, ModelRequest)
        else replace(message, parts=[part for part in message.parts if not isinstance(part, ThinkingPart | FilePart)])
        for message in messages
    ]


def _said(part: ModelRequestPart) -> ModelRequestPart | None:
    """The part with its text only; None where it is no text."""
    if isinstance(part, UserPromptPart) and not isinstance(part.content, str):
        text = [piece for piece in part.content if isinstance(piece, str | TextContent)]
        return replace(part, content=text) if text else None
    if isinstance(part, ToolReturnPart) and part.files:
        return replace(part, content="")
    return part
