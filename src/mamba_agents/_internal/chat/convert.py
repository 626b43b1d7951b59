"""Conversations as OpenAI chat messages: a view for export, and a way in.

History itself stays native. What a chat message says and a native message has no field for (a name, the developer
role, text given as a list) is kept in the native message's metadata, so that it comes out again as it went in.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from pydantic import JsonValue
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    RetryPromptPart,  # pyright: ignore[reportDeprecated]
    SystemPromptPart,
    ToolReturnPart,
)

from mamba_agents._internal.chat.check import check_chat_messages, checked_messages
from mamba_agents._internal.chat.export import request_part_messages, response_messages
from mamba_agents._internal.chat.load import request_part, response
from mamba_agents._internal.chat.patch import Patch, difference, patched
from mamba_agents._internal.chat.types import ChatMessage

type _Read = tuple[ModelRequestPart | ModelResponse, Patch | None]

_PATCHES_KEY = "chat_patches"
"""Where a message's metadata holds, for each chat message it was made of, what it has no field for."""


def model_messages_to_dicts(messages: Sequence[ModelMessage]) -> list[ChatMessage]:
    """Show the conversation as chat-completions messages, the latest instructions as the first system message.

    What `dicts_to_model_messages` was given comes out as it was. Left out is what the format cannot say, such as
    usage, timestamps, signatures, cache points, files the model made, and system prompts that held for one request.
    Half of a surrogate pair is escaped inside the JSON of arguments and results, and stays as it is in text.

    Raises `TypeError` for what is no list of messages, and `ValueError` for a tool's arguments or result that are no
    JSON, with the index of the message.
    """
    messages = checked_messages(messages)
    requests = [message for message in messages if isinstance(message, ModelRequest)]
    latest = requests[-1] if requests else None
    dicts = _latest_instructions(requests)
    tool_names: dict[str, str] = {}
    for index, message in enumerate(messages):
        try:
            said = _dicts(message, tool_names, is_latest=message is latest)
        except ValueError as error:
            raise ValueError(f"Message {index}: {error}.") from error
        dicts.extend(said)
        if isinstance(message, ModelResponse):
            tool_names |= _called(said)
    return dicts


def dicts_to_model_messages(dicts: Iterable[Mapping[str, object]]) -> list[ModelMessage]:
    """Give the history that chat-completions messages tell, ready for `message_history`; the dicts stay as they are.

    Raises `TypeError` for what is no list of dicts, and `ValueError` with the index of a message that is not a chat
    message, what was found and what was expected.
    """
    read: list[_Read] = []
    tool_names: dict[str, str] = {}
    for index, message in enumerate(check_chat_messages(dicts)):
        try:
            native, plain = _read(message, tool_names)
        except ValueError as error:
            raise ValueError(f"Chat message {index}: {error}.") from None
        read.append((native, difference(_json(plain), _json(message))))
        tool_names |= _called([message])
    return [_message(group) for group in _grouped(read)]


def _latest_instructions(requests: Sequence[ModelRequest]) -> list[ChatMessage]:
    latest = next((request.instructions for request in reversed(requests) if request.instructions), None)
    return [{"role": "system", "content": latest}] if latest else []


def _dicts(message: ModelMessage, tool_names: Mapping[str, str], *, is_latest: bool) -> list[ChatMessage]:
    if isinstance(message, ModelRequest):
        return _request_dicts(message, tool_names, is_latest=is_latest)
    return _response_dicts(message)


def _request_dicts(request: ModelRequest, tool_names: Mapping[str, str], *, is_latest: bool) -> list[ChatMessage]:
    """Put the tool results first, since they must follow their calls, then the files they hold, then all else."""
    results: list[ChatMessage] = []
    files: list[ChatMessage] = []
    others: list[ChatMessage] = []
    for part, patch in zip(request.parts, _patches(request, len(request.parts)), strict=True):
        said = request_part_messages(part, tool_names)
        if said and patch:
            said[0] = _restored(said[0], patch, tool_names)
        if _answers_call(part):
            results.append(said[0])
            files.extend(said[1:])
        elif is_latest or not _holds_for_one_request(part):
            others.extend(said)
    return [*results, *files, *others]


def _response_dicts(response: ModelResponse) -> list[ChatMessage]:
    said = response_messages(response)
    [patch] = _patches(response, 1)
    return [_restored(said[0], patch, {})] if patch and len(said) == 1 else said


def _answers_call(part: ModelRequestPart) -> bool:
    if isinstance(part, RetryPromptPart):  # pyright: ignore[reportDeprecated]
        return part.tool_name is not None
    return isinstance(part, ToolReturnPart)


def _holds_for_one_request(part: ModelRequestPart) -> bool:
    return isinstance(part, SystemPromptPart) and part.scope == "request"


def _called(messages: Iterable[ChatMessage]) -> dict[str, str]:
    """Find the tool behind each call id."""
    return {
        call["id"]: call["function"]["name"]
        for message in messages
        if message["role"] == "assistant"
        for call in message.get("tool_calls") or []
    }


def _read(message: ChatMessage, tool_names: Mapping[str, str]) -> tuple[ModelRequestPart | ModelResponse, ChatMessage]:
    """Make the message native, and say what that says by itself."""
    if message["role"] == "assistant":
        native = response(message)
        return native, response_messages(native)[0]
    part = request_part(message, tool_names)
    return part, request_part_messages(part, tool_names)[0]


def _restored(plain: ChatMessage, patch: Patch, tool_names: Mapping[str, str]) -> ChatMessage:
    """Give the chat message that was read, or what the native message says now if it was changed since."""
    try:
        [message] = check_chat_messages([cast("Mapping[str, object]", patched(_json(plain), patch))])
        _, again = _read(message, tool_names)
    except ValueError:
        return plain
    return message if again == plain else plain


def _patches(message: ModelMessage, count: int) -> list[Patch | None]:
    """Find the patches of a message, if it still has as many parts as it was made of."""
    patches = (message.metadata or {}).get(_PATCHES_KEY)
    return patches if isinstance(patches, list) and len(patches) == count else [None] * count  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _grouped(read: Iterable[_Read]) -> Iterator[list[_Read]]:
    """Group what makes one message: a response alone, or tool results followed by prompts, as in a request."""
    group: list[_Read] = []
    for entry in read:
        if group and not _goes_on(group[-1][0], entry[0]):
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


def _goes_on(last: ModelRequestPart | ModelResponse, following: ModelRequestPart | ModelResponse) -> bool:
    if isinstance(last, ModelResponse) or isinstance(following, ModelResponse):
        return False
    return isinstance(last, ToolReturnPart) or not isinstance(following, ToolReturnPart)


def _message(group: list[_Read]) -> ModelMessage:
    patches = [patch for _, patch in group]
    metadata = {_PATCHES_KEY: patches} if any(patches) else None
    first = group[0][0]
    if isinstance(first, ModelResponse):
        first.metadata = metadata
        return first
    return ModelRequest([part for part, _ in group if not isinstance(part, ModelResponse)], metadata=metadata)


def _json(message: ChatMessage) -> JsonValue:
    return cast("JsonValue", message)
