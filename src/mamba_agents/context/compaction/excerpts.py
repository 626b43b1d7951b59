"""Results of tools cut down to what matters of them."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import pydantic_core
from pydantic_ai.messages import ModelRequest, ModelRequestPart, ToolReturnPart, UserPromptPart

from mamba_agents.context.compaction.copies import changed
from mamba_agents.context.compaction.receipts import replaceable, text_of, with_receipt
from mamba_agents.context.compaction.references import remarked, values_in, words_in

_SENTENCE = re.compile(r".+?(?:[.!?]+(?=\s)|[。！？]|\n|$)\s*", re.DOTALL)
_QUESTION = ("?", "？")
_MOST_VALUES = 60
_WORTHWHILE = 0.8
_FEW = 2
_LINES = 400
"""Lines of a result that are looked at one by one."""


def brief(request: ModelRequest, shared: Callable[[str], frozenset[str]]) -> ModelRequest | None:
    """The request with its long results cut down to the lines that matter and the values of the others.

    What a user said is cut down to the sentences that hold values or tell of what is to be kept in mind, and to
    questions. None where there is nothing to gain.
    """
    parts: list[ModelRequestPart] | None = None
    for index, part in enumerate(request.parts):
        if isinstance(part, UserPromptPart) and isinstance(part.content, str):
            short = _gist(part.content, shared)
            if len(short) < _WORTHWHILE * len(part.content):
                parts = parts or list(request.parts)
                parts[index] = changed(part, content=short)
    for index, part in replaceable(request):
        short = _excerpt(segments(part), shared)
        if len(short) < _WORTHWHILE * len(text_of(part)):
            parts = parts or list(request.parts)
            parts[index] = with_receipt(part, short)
    return None if parts is None else changed(request, parts=parts)


def _gist(text: str, shared: Callable[[str], frozenset[str]]) -> str:
    """The sentences to keep; all of it where none stands out."""
    kept = [
        sentence
        for sentence in _SENTENCE.findall(text)
        if sentence.rstrip().endswith(_QUESTION)
        or any(values_in(sentence))
        or remarked(words_in(sentence))
        or shared(sentence)
    ]
    return f"{''.join(kept).strip()} […]" if kept else text


def segments(part: ToolReturnPart) -> list[str]:
    """A result as lines: those of a text, or the rows and fields of what is structured."""
    text = text_of(part)
    if text[:1] in ("[", "{"):
        try:
            return list(_rows(pydantic_core.from_json(text)))
        except ValueError:
            pass
    return text.splitlines()


def _rows(value: object, name: str = "") -> Iterator[str]:
    label = f"{name}: " if name else ""
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        nested: dict[str, object] = {
            key: inner for key, inner in fields.items() if isinstance(inner, dict | list) and inner
        }
        for key, inner in nested.items():
            yield from _rows(inner, key)
        if flat := [f"{key} {_plain(inner)}" for key, inner in fields.items() if key not in nested]:
            yield label + ", ".join(flat)
    elif isinstance(value, list):
        items = cast("list[object]", value)
        if any(isinstance(inner, dict | list) for inner in items):
            for inner in items:
                yield from _rows(inner, name)
        else:
            yield label + ", ".join(map(_plain, items))
    else:
        yield label + _plain(value)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _excerpt(lines: Sequence[str], shared: Callable[[str], frozenset[str]]) -> str:
    unread = len(lines) - len(lines := lines[:_LINES])
    found = [shared(line) for line in lines]
    times = Counter(word for words in found for word in words)
    # A word of most lines, such as the name of a field, tells none of them apart.
    telling = frozenset(word for word, count in times.items() if count <= max(_FEW, len(lines) // 4))
    shown = [line.strip() for line, words in zip(lines, found, strict=True) if words & telling]
    hidden = [line for line, words in zip(lines, found, strict=True) if not words & telling]
    if not hidden and not unread:
        return "\n".join(shown)
    there = "\n".join(shown)
    names = dict.fromkeys(name for line in hidden for name in values_in(line) if name not in there)
    held = f": {', '.join([*names][:_MOST_VALUES])}" if names else ""
    return "\n".join([*shown, f"[{len(hidden) + unread} more left out to save space{held}]"])
