"""The check that dicts have the shape of chat messages."""

from collections.abc import Iterable, Mapping
from typing import cast

from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from mamba_agents._internal.chat.types import AssistantChatMessage, ChatMessage

_JSON = TypeAdapter(list[dict[str, JsonValue]], config=ConfigDict(defer_build=True, allow_inf_nan=False))
_CHAT = TypeAdapter(list[ChatMessage], config=ConfigDict(defer_build=True))


def check_chat_messages(dicts: Iterable[Mapping[str, object]]) -> list[ChatMessage]:
    """Copy the dicts, which are chat messages, so that the copies share nothing with them.

    Raises `ValueError` with the index of the first message that is wrong, what was found and what was expected.
    """
    given = [_as_dict(message) for message in dicts]
    try:
        messages = _CHAT.validate_python(_JSON.validate_python(given))
    except ValidationError as error:
        raise ValueError(_explain(given, error)) from None
    for index, message in enumerate(messages):
        if message["role"] == "assistant" and not _says_something(message):
            raise ValueError(
                f"Chat message {index}: found an assistant message with only the keys {sorted(message)}, "
                "expected content, tool_calls or refusal."
            )
    return messages


def _as_dict(message: object) -> object:
    return dict(cast("Mapping[str, object]", message)) if isinstance(message, Mapping) else message


def _says_something(message: AssistantChatMessage) -> bool:
    """Only what has another way to speak may leave content out; `audio` and `function_call` are older ways."""
    others = ("tool_calls", "refusal", "audio", "function_call")
    return "content" in message or any(message.get(key) for key in others)


def _explain(given: list[object], error: ValidationError) -> str:
    """Pick the deepest complaint: in a union of shapes that is the one about the shape that was meant."""
    located = [(_locate(given, detail["loc"]), detail) for detail in error.errors(include_url=False)]
    first = located[0][0][0]
    path = max((path for path, _ in located if path[0] == first), key=len)
    details = [detail for found, detail in located if found == path]
    where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path[1:])
    expected = " or ".join(dict.fromkeys(_expected(detail) for detail in details))
    return f"Chat message {first}{where}: found {_found(details[0])}, expected {expected}."


def _locate(given: object, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Keep the keys of the data in an error's location, without the names of the shapes that were tried."""
    path: list[int | str] = []
    for key in location:
        if isinstance(given, list) and isinstance(key, int):
            given = cast("list[object]", given)[key]
        elif isinstance(given, dict) and (key in given or key == location[-1]):
            given = cast("dict[str | int, object]", given).get(key)
        else:
            continue
        path.append(key)
    return tuple(path)


def _found(detail: ErrorDetails) -> str:
    """Name what is there by its type: the value itself may be a secret."""
    match detail["type"], detail.get("ctx"):
        case "missing" | "union_tag_not_found", _:
            return "nothing"
        case "union_tag_invalid", {"discriminator": discriminator, "tag": tag}:
            return f"{discriminator} {tag!r}"
        case _:
            return type(detail["input"]).__name__


def _expected(detail: ErrorDetails) -> str:
    match detail["type"], detail.get("ctx"):
        case "missing", _:
            return "a value"
        case "union_tag_not_found", {"discriminator": discriminator}:
            return f"the key {discriminator}"
        case "union_tag_invalid", {"expected_tags": tags}:
            return f"one of {tags}"
        case _:
            return detail["msg"].removeprefix("Input should be ").removeprefix("input was not ")
