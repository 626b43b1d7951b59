"""What a part says as JSON, also where UTF-8 has no place for it.

Half of a surrogate pair comes from file names that are not UTF-8 and from text that was cut. pydantic writes JSON as
UTF-8 and gives up; as JSON's own escape of a code point it is plain ASCII, and is read back as it was.
"""

import re
from collections.abc import Callable, Mapping
from typing import cast

from pydantic_ai.messages import (
    BaseToolCallPart,
    BaseToolReturnPart,
    RetryFeedbackPart,
    RetryPromptPart,  # pyright: ignore[reportDeprecated]
    is_multi_modal_content,
    tool_return_ta,
)
from pydantic_core import PydanticSerializationError

type JsonPart = BaseToolCallPart | BaseToolReturnPart | RetryPromptPart | RetryFeedbackPart  # pyright: ignore[reportDeprecated]

_HALF = re.compile("[\ud800-\udfff]")
# Two code points that are no characters, and so in no text.
_MARK = "\ufdd0\ufdd1"
_MARKED = re.compile(_MARK + "([0-9a-f]{4})")


def json_text[PartT: JsonPart](part: PartT, say: Callable[[PartT], str]) -> str:
    """What `say` makes of the part, with halves of surrogate pairs escaped where they stand inside JSON.

    Raises `ValueError` for what is no JSON at all.
    """
    try:
        return say(part)
    except PydanticSerializationError:
        stand_in = marked(part)
    try:
        said = say(stand_in)
    except PydanticSerializationError as error:
        raise ValueError(
            f"found what is no JSON in a {type(part).__name__} ({error}), expected text, numbers, lists, dicts, "
            "dataclasses or pydantic models"
        ) from error
    is_plain = isinstance(stand_in, BaseToolReturnPart) and said == stand_in.content
    return _MARKED.sub(lambda mark: chr(int(mark[1], 16)) if is_plain else f"\\u{mark[1]}", said)


def marked[PartT: JsonPart](part: PartT) -> PartT:
    """The same part with marks in place of halves of surrogate pairs."""
    stand_in = object.__new__(type(part))  # without its constructor, which warns for a part that is out of use
    vars(stand_in).update(vars(part))
    if isinstance(stand_in, BaseToolCallPart):
        stand_in.args = cast("dict[str, object]", _marked(stand_in.args))
    else:
        stand_in.content = cast("str", _marked(stand_in.content))
    return stand_in


def _marked(value: object) -> object:
    if isinstance(value, str):
        return _HALF.sub(lambda half: f"{_MARK}{ord(half[0]):04x}", value)
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return {_marked(key) if isinstance(key, str) else key: _marked(item) for key, item in items}
    if isinstance(value, list):
        return [_marked(item) for item in cast("list[object]", value)]
    if isinstance(value, tuple):
        return tuple(_marked(item) for item in cast("tuple[object, ...]", value))
    if value is None or isinstance(value, bool | int | float | bytes) or is_multi_modal_content(value):
        return value
    return _plain(value)


def _plain(value: object) -> object:
    """An object as the JSON that it is written as; itself where there is none."""
    try:
        return _marked(tool_return_ta.dump_python(value, mode="json", by_alias=True))
    except PydanticSerializationError:
        return value
