"""The checks that messages are messages, and that dicts have the shape of chat messages."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, cast

from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse
from pydantic_core import ErrorDetails

from mamba_agents._internal.chat.types import AssistantChatMessage, ChatMessage

type Path = tuple[int | str, ...]

_PUT_INTO = "put it into one"
_MESSAGE_HINTS = {
    ModelRequest: _PUT_INTO,
    ModelResponse: _PUT_INTO,
    Mapping: "turn chat dicts into messages with dicts_to_model_messages first",
}
_DICT_HINTS = {Mapping: _PUT_INTO}

_JSON = TypeAdapter(list[dict[str, JsonValue]], config=ConfigDict(defer_build=True, allow_inf_nan=False))
_CHAT = TypeAdapter(list[ChatMessage], config=ConfigDict(defer_build=True))


def checked_messages(messages: object, name: str = "the history") -> list[ModelMessage]:
    """List the messages.

    Raises `TypeError` for what is no list, and for what is no message, with its index.
    """
    listed = _listed(messages, name, "a list of messages", _MESSAGE_HINTS)
    for index, message in enumerate(listed):
        if not isinstance(message, ModelRequest | ModelResponse):
            raise TypeError(
                f"found {type(message).__name__} as message {index}; expected a ModelRequest or a ModelResponse: "
                f"{_MESSAGE_HINTS[Mapping]}"
            )
    return cast("list[ModelMessage]", listed)


def check_chat_messages(dicts: Iterable[Mapping[str, object]]) -> list[ChatMessage]:
    """Copy the dicts, which are chat messages, so that the copies share nothing with them.

    Raises `TypeError` for what is no list, and `ValueError` with the index of the first message that is wrong, what was
    found and what was expected.
    """
    given = [_as_dict(message) for message in _listed(dicts, "chat messages", "a list of dicts", _DICT_HINTS)]
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


def _listed(given: object, name: str, expected: str, hints: Mapping[type, str]) -> list[object]:
    """List what was given; text and dicts are no lists, though one can iterate over them."""
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
        return list(cast("Iterable[object]", given))
    hint = next((f": {hint}" for kind, hint in hints.items() if isinstance(given, kind)), "")
    raise TypeError(f"found {type(cast('object', given)).__name__} as {name}; expected {expected}{hint}")


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
    expected = " or ".join(dict.fromkeys(_expected(detail, given, path) for detail in details))
    return f"Chat message {first}{where}: found {_found(details[0])}, expected {expected}."


def _locate(given: object, location: Path) -> Path:
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
        case "union_tag_invalid", {"discriminator": discriminator}:
            tag: object = detail["input"][discriminator.strip("'")]
            return f"{discriminator} {tag!r}" if isinstance(tag, str) else f"{discriminator} {type(tag).__name__}"
        case _:
            return type(detail["input"]).__name__


def _expected(detail: ErrorDetails, given: list[object], path: Path) -> str:
    match detail["type"], detail.get("ctx"):
        case "missing", _:
            return "a value"
        case "union_tag_not_found", {"discriminator": discriminator}:
            return f"the key {discriminator} with one of {_tags(given, path, discriminator)}"
        case "union_tag_invalid", {"expected_tags": tags}:
            return f"one of {tags}"
        case "dict_type", _ if isinstance(detail["input"], ModelRequest | ModelResponse):
            return "a valid dictionary: this is no chat dict but history already"
        case _:
            return detail["msg"].removeprefix("Input should be ").removeprefix("input was not ")


def _tags(given: list[object], path: Path, discriminator: str) -> str:
    """The values that a missing key may have: those that are named for a wrong one."""
    wrong = deepcopy(given)
    place: Any = wrong
    for step in path:
        place = place[step]
    place[discriminator.strip("'")] = ""
    try:
        _CHAT.validate_python(wrong)
    except ValidationError as error:
        details = [detail for detail in error.errors(include_url=False) if detail["type"] == "union_tag_invalid"]
        named = {_locate(wrong, detail["loc"]): detail.get("ctx", {}) for detail in details}
        return named[path]["expected_tags"]
    raise AssertionError
