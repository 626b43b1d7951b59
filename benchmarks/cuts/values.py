"""The ids, paths, numbers and names that a call uses, and where a history has them."""

import re
from collections.abc import Iterator, Sequence

from pydantic_ai.messages import (
    CompactionPart,
    ModelMessage,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

LONGEST = 120
"""Characters of the longest argument that is a value; a longer one is a text that may hold some."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9](?:[\w./:@-]*[A-Za-z0-9])?", re.ASCII)


def text_of(part: ModelRequestPart | ModelResponsePart) -> str:
    """What a model reads of a part."""
    if isinstance(part, ToolReturnPart):
        return part.model_response_str()
    if isinstance(part, ToolCallPart):
        return "\n".join([part.tool_name, *(str(leaf) for leaf in leaves(part.args_as_dict()))])
    if isinstance(part, UserPromptPart) and not isinstance(part.content, str):
        return "\n".join(item for item in part.content if isinstance(item, str))
    if isinstance(part, SystemPromptPart | UserPromptPart | TextPart | CompactionPart):
        return str(part.content or "")
    return ""


def text(messages: Sequence[ModelMessage]) -> str:
    return "\n".join(text_of(part) for message in messages for part in message.parts)


def leaves(value: object) -> Iterator[str | float]:
    """The strings and numbers in nested arguments."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield value


def holds(text: str, value: str | float) -> bool:
    """Whether a text says a value, as a word of its own: 1042 is neither in 21042 nor in A-1042."""
    return any(form in text and _alone(form).search(text) for form in _forms(value))


def _forms(value: str | float) -> set[str]:
    if isinstance(value, float):
        return {str(value), f"{value:.2f}", f"{value:,.2f}"}
    return {str(value), f"{value:,}"} if isinstance(value, int) else {value}


def _alone(form: str) -> re.Pattern[str]:
    before = r"(?<![\w-])" if re.match(r"\w", form, re.ASCII) else ""
    after = r"(?![\w-]|\.\w)" if re.search(r"\w\Z", form, re.ASCII) else ""
    return re.compile(before + re.escape(form) + after, re.ASCII)


def used_values(response: ModelResponse, seen: str) -> list[str | float]:
    """What the calls of a response take from a text: the values that are in it; those that are not were invented.

    A long argument, such as a command, counts by the ids, paths and numbers in it. Plain words and numbers of one or
    two digits do not count: that the history has them says nothing.
    """
    found: dict[str, str | float] = {}
    for part in response.parts:
        for leaf in leaves(part.args_as_dict()) if isinstance(part, ToolCallPart) else ():
            for value in _values(leaf, seen):
                found[str(value)] = value
    return list(found.values())


def _values(leaf: str | float, seen: str) -> list[str | float]:
    if not isinstance(leaf, str):
        return [leaf] if sum(map(str.isdigit, str(leaf))) > 2 and holds(seen, leaf) else []
    if len(leaf) <= LONGEST and holds(seen, leaf):
        return [leaf] if _is_specific(leaf) else []
    return [
        word
        for word in _IDENTIFIER.findall(leaf)
        if _is_specific(word) and re.search(r"\d|[/_]", word) and holds(seen, word)
    ]


def _is_specific(word: str) -> bool:
    if not word.isascii():
        return len(word) > 1
    digits = sum(map(str.isdigit, word))
    if digits == len(word):
        return digits > 2
    return len(word) > 2 and bool(digits or re.search(r"[/_@.:A-Z-]", word))
