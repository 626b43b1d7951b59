"""A history that may be given natively or as chat messages."""

from collections.abc import Iterable, Mapping
from typing import cast

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse

from mamba_agents._internal.chat.convert import dicts_to_model_messages

_NATIVE = (ModelRequest, ModelResponse)


def native_messages(given: object) -> list[ModelMessage]:
    """The messages, or those that chat dicts tell.

    Raises `TypeError` for what is no list, and for what is neither a message nor a dict, with its index; `ValueError`
    for messages and dicts mixed, and for a dict that is no chat message, with its index and field.
    """
    messages = _listed(given)
    for index, message in enumerate(messages):
        if not isinstance(message, (*_NATIVE, Mapping)):
            raise TypeError(
                f"found {type(message).__name__} as message {index}; expected a ModelRequest or a ModelResponse, or a "
                "chat dict, which has a role"
            )
    are_native = [isinstance(message, _NATIVE) for message in messages]
    if all(are_native):
        return cast("list[ModelMessage]", messages)
    if any(are_native):
        index = are_native.index(not are_native[0])
        raise ValueError(
            f"found messages and chat dicts mixed, a {type(messages[0]).__name__} first and as message {index} a "
            f"{type(messages[index]).__name__}; expected one kind: give them one after the other"
        )
    return dicts_to_model_messages(cast("list[Mapping[str, object]]", messages))


def _listed(given: object) -> list[object]:
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
        return list(cast("Iterable[object]", given))
    hint = ": put it into one" if isinstance(given, (*_NATIVE, Mapping)) else ""
    found = type(cast("object", given)).__name__
    raise TypeError(f"found {found} as messages; expected a list of messages or of chat dicts{hint}")
