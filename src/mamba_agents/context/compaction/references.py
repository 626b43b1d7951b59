"""The words of messages, and the values in them that a later step must have letter for letter."""

import re
from collections.abc import Iterable, Iterator
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
from mamba_agents.tokens.known import known_of

_NOTE = "references"
_TOKEN = re.compile(r"[A-Za-z0-9](?:[\w./:@+-]*\w)?|[^\W\d_A-Za-z]+")
_WORD = re.compile(r"[a-z]+|\d+|[^\W\d_a-z]+")
_SPECIFIC = re.compile(r"[\d/@_]|\w[.:]\w|[A-Z].*-|-.*[A-Z]")
_LONGEST = 160
_REMARKS = {
    "error": 1.0, "failed": 1.0, "failure": 1.0, "exception": 1.0, "traceback": 1.0,
    "decided": 1.0, "decision": 1.0, "instead": 0.5, "agreed": 1.0,
    "remember": 2.0, "always": 1.0, "never": 1.0, "must": 0.5, "important": 1.0,
}  # fmt: skip
"""Words that stand where something went wrong, was decided or is to be kept in mind."""
_REMARK_WORDS = frozenset(_REMARKS)


class References(NamedTuple):
    """What one message can be found by."""

    words: frozenset[str]
    """In small letters; the words that a value is made of are among them."""

    values: tuple[str, ...]
    """Ids, paths, addresses, numbers and the like, each once, in the order of the text."""

    asked: frozenset[str]
    """The values in the arguments of calls."""


def references_of(message: ModelMessage) -> References:
    """What the message can be found by; worked out once in its life."""
    notes = known_of(message).notes
    found: References | None = notes.get(_NOTE)
    if found is None:
        text = "\n".join(texts_of(message.parts))
        asked = "\n".join(texts_of(part for part in message.parts if isinstance(part, ToolCallPart)))
        notes[_NOTE] = found = References(words_in(text), tuple(values_in(text)), frozenset(values_in(asked)))
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


def remarked(words: frozenset[str]) -> float:
    """How much is said of errors, decisions and things to remember."""
    return sum(_REMARKS[word] for word in sorted(words & _REMARK_WORDS))
