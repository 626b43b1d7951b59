"""A history as the pieces that can be taken out whole: a tool call never parts from its result.

Call ids are reused by real providers in later turns, so a result belongs to the nearest open call before it and never
to an id anywhere in the history.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryPromptPart,  # pyright: ignore[reportDeprecated]
    SpeechPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Neighbouring messages that stay or go together: a prompt, a reply, or a reply with calls and their results."""

    start: int
    """Index of the first message."""

    stop: int
    """Index after the last message."""

    turn: int
    """Number of the turn, counted from 0; what comes before the first prompt belongs to turn 0."""

    is_prompt: bool
    """Whether it begins a turn: a request with a user prompt."""

    is_open: bool
    """Whether a call in it is still unanswered."""


def answered_call_id(part: ModelRequestPart | ModelResponsePart) -> str | None:
    """The id of the call that a part answers; None for a part that answers none, and for providers' own tools."""
    if isinstance(part, ToolReturnPart):
        return part.tool_call_id
    if isinstance(part, RetryPromptPart) and part.tool_name is not None:  # pyright: ignore[reportDeprecated]
        return part.tool_call_id
    return None


def starts_turn(message: ModelMessage) -> bool:
    """Whether a user speaks in the message, which begins a turn."""
    return isinstance(message, ModelRequest) and any(
        isinstance(part, UserPromptPart | SpeechPart) for part in message.parts
    )


def units_of(messages: Sequence[ModelMessage]) -> list[Unit]:
    """The units of a history, oldest first; together they are the whole of it."""
    units: list[Unit] = []
    open_ids: list[str] = []
    native_ends = _native_ends(messages)
    start, turn, has_prompt, native_end = 0, -1, False, 0
    for index, message in enumerate(messages):
        if not open_ids and index > max(start, native_end):
            units.append(_unit(start, index, turn, is_prompt=has_prompt, is_open=False))
            start, has_prompt = index, False
        if starts_turn(message):
            turn, has_prompt = turn + 1, True
        if isinstance(message, ModelResponse):
            native_end = max(native_end, native_ends.get(index, 0))
            open_ids.extend(part.tool_call_id for part in message.parts if isinstance(part, ToolCallPart))
        else:
            for part in message.parts:
                call_id = answered_call_id(part)
                if call_id in open_ids:
                    open_ids.remove(call_id)
    if messages:
        units.append(_unit(start, len(messages), turn, is_prompt=has_prompt, is_open=bool(open_ids)))
    return units


def _native_ends(messages: Sequence[ModelMessage]) -> dict[int, int]:
    """The message with the result of a provider's own tool, by the earlier message that calls it."""
    called: dict[str, int] = {}
    ends: dict[int, int] = {}
    for index, message in enumerate(messages):
        for part in message.parts:
            if isinstance(part, NativeToolCallPart):
                called[part.tool_call_id] = index
            elif isinstance(part, NativeToolReturnPart) and called.get(part.tool_call_id, index) < index:
                ends[called[part.tool_call_id]] = index
    return ends


def _unit(start: int, stop: int, turn: int, *, is_prompt: bool, is_open: bool) -> Unit:
    return Unit(start=start, stop=stop, turn=max(turn, 0), is_prompt=is_prompt, is_open=is_open)
