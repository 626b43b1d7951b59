"""Where a history may be cut: a tool call never parts from its result.

Call ids are reused by real providers in later turns, so a result belongs to the nearest open call before it and never
to an id anywhere in the history.
"""

from collections.abc import Sequence

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryPromptPart,  # pyright: ignore[reportDeprecated]
    ToolCallPart,
    ToolReturnPart,
)


def answered_call_id(part: ModelRequestPart | ModelResponsePart) -> str | None:
    """The id of the call that a part answers; None for a part that answers none, and for providers' own tools."""
    if isinstance(part, ToolReturnPart):
        return part.tool_call_id
    if isinstance(part, RetryPromptPart) and part.tool_name is not None:  # pyright: ignore[reportDeprecated]
        return part.tool_call_id
    return None


def unit_starts(messages: Sequence[ModelMessage]) -> list[int]:
    """Where the units of a history begin: a prompt, a reply, or a reply with calls and their results.

    Those of tools that a provider runs itself are in `within_native_pairs`.
    """
    starts: list[int] = []
    open_ids: list[str] = []
    for index, message in enumerate(messages):
        if not open_ids:
            starts.append(index)
        if isinstance(message, ModelResponse):
            open_ids.extend(part.tool_call_id for part in message.parts if isinstance(part, ToolCallPart))
        else:
            for part in message.parts:
                call_id = answered_call_id(part)
                if call_id in open_ids:
                    open_ids.remove(call_id)
    return starts


def within_native_pairs(messages: Sequence[ModelMessage]) -> set[int]:
    """The indices at which a provider's own call would be parted from a result that came in a later response."""
    called: dict[str, int] = {}
    within: set[int] = set()
    for index, message in enumerate(messages):
        for part in message.parts:
            if isinstance(part, NativeToolCallPart):
                called[part.tool_call_id] = index
            elif isinstance(part, NativeToolReturnPart) and part.tool_call_id in called:
                within.update(range(called[part.tool_call_id] + 1, index + 1))
    return within
