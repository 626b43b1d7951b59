"""The words of messages, and the values in them that a later step must have letter for letter."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, cast

from pydantic_ai.messages import (
    CompactionPart,
    ModelMessage,
    ModelRequestPart,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from mamba_agents.context.compaction.receipts import parsed_args, text_of

_KEY = "_mamba_agents_references"
_TOKEN = re.compile(r"[A-Za-z0-9](?:[\w./:@+-]*\w)?|[^\W\d_A-Za-z]+")
_WORD = re.compile(r"[a-z]+|\d+|[^\W\d_a-z]+")
_SPECIFIC = re.compile(r"[\d/@_]|\w[.:]\w|[A-Z].*-|-.*[A-Z]")
_LONGEST = 160


class References(NamedTuple):
    """What one message can be found by."""

    parts: Sequence[ModelRequestPart | ModelResponsePart]
    words: frozenset[str]
    """In small letters; the words that a value is made of are among them."""

    values: tuple[str, ...]
    """Ids, paths, addresses, numbers and the like, each once, in the order of the text."""


def references_of(message: ModelMessage) -> References:
    """What the message can be found by; worked out once in its life."""
    found: References | None = message.__dict__.get(_KEY)
    if found is None or found.parts is not message.parts:
        text = "\n".join(texts_of(message.parts))
        found = References(message.parts, words_in(text), tuple(values_in(text)))
        message.__dict__[_KEY] = found
    return found


def texts_of(parts: Iterable[ModelRequestPart | ModelResponsePart]) -> Iterator[str]:
    """What a model reads in the parts, without thinking, files and the names of arguments."""
    for part in parts:
        match part:
            case ToolReturnPart():
                yield text_of(part)
            case ToolCallPart():
                yield part.tool_name
                yield from map(str, leaves(parsed_args(part.args) or {}))
            case UserPromptPart():
                yield from [part.content] if isinstance(part.content, str) else _spoken(part.content)
            case TextPart() | CompactionPart():
                yield part.content or ""
            case _:
                pass


def _spoken(content: Iterable[object]) -> Iterator[str]:
    for item in content:
        text = item if isinstance(item, str) else getattr(item, "content", None)
        if isinstance(text, str):
            yield text


def leaves(value: object) -> Iterator[object]:
    """The values in nested dicts and lists."""
    if isinstance(value, dict | list):
        inside = cast("dict[str, object] | list[object]", value)
        for inner in inside.values() if isinstance(inside, dict) else inside:
            yield from leaves(inner)
    elif value is not None and not isinstance(value, bool):
        yield value


def words_in(text: str) -> frozenset[str]:
    """The words of a text in small letters."""
    return frozenset(_WORD.findall(text.lower()))


def values_in(text: str) -> Iterable[str]:
    """The values in a text, each once, in its order; numbers of one or two digits are none."""
    return dict.fromkeys(token for token in _TOKEN.findall(text) if is_value(token))


def is_value(token: str) -> bool:
    """Whether a token is an id, a path, an address, a number of some length or the like."""
    if not 2 < len(token) <= _LONGEST:
        return False
    return _SPECIFIC.search(token) is not None
