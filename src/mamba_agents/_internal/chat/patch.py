"""What one JSON value says beyond another, small enough to be kept beside it."""

from copy import deepcopy

from pydantic import JsonValue

type Patch = dict[str, JsonValue]
"""Has one of the forms that `difference` makes; itself JSON."""


def difference(old: JsonValue, new: JsonValue) -> Patch | None:
    """Give the patch that makes `new` out of `old`, or None where they are the same.

    Holds what `new` adds and never repeats what `old` has, as far as dicts, lists of the same length and text
    that was cut into text parts go.
    """
    match old, new:
        case dict(), dict():
            keys: Patch = {k: change for k, v in new.items() if (change := _change(old, k, v)) is not None}
            gone: list[JsonValue] = [k for k in old if k not in new]
            return {"keys": keys, "gone": gone} if keys or gone else None
        case list(), list() if len(old) == len(new):
            changes: Patch = {
                str(i): change for i, v in enumerate(new) if (change := difference(old[i], v)) is not None
            }
            return {"items": changes} if changes else None
        case str(), list() if (cuts := _cuts(old, new)) is not None:
            return {"cuts": cuts}
        case _:
            return None if old == new and type(old) is type(new) else {"value": new}


def patched(old: JsonValue, patch: JsonValue) -> JsonValue:
    """Give the value that the patch makes of `old`.

    Raises `ValueError` when the patch was made for a value of another shape.
    """
    match patch, old:
        case {"value": value}, _:
            return deepcopy(value)
        case {"keys": dict(keys), "gone": list(gone)}, dict():
            kept = {k: v for k, v in old.items() if k not in gone}
            return kept | {k: patched(old.get(k), change) for k, change in keys.items()}
        case {"items": dict(changes)}, list():
            return [patched(v, changes[str(i)]) if str(i) in changes else v for i, v in enumerate(old)]
        case {"cuts": list(cuts)}, str():
            return _cut(old, cuts)
        case _:
            raise ValueError(f"The patch was made for another value than a {type(old).__name__}.")


def _change(old: dict[str, JsonValue], key: str, value: JsonValue) -> Patch | None:
    return difference(old[key], value) if key in old else {"value": value}


def _cuts(text: str, parts: list[JsonValue]) -> list[JsonValue] | None:
    """Measure each text part and what it has beside its text, if the parts together are the text."""
    cuts: list[JsonValue] = []
    for part in parts:
        match part:
            case {"text": str(piece)} if text.startswith(piece):
                cuts.append([len(piece), difference(_text_part(piece), part)])
                text = text[len(piece) :]
            case _:
                return None
    return None if text else cuts


def _cut(text: str, cuts: list[JsonValue]) -> JsonValue:
    parts: list[JsonValue] = []
    for cut in cuts:
        match cut:
            case [int(length), change] if length <= len(text):
                part = _text_part(text[:length])
                parts.append(part if change is None else patched(part, change))
                text = text[length:]
            case _:
                raise ValueError("The patch was made for a longer text.")
    if text:
        raise ValueError("The patch was made for a shorter text.")
    return parts


def _text_part(text: str) -> JsonValue:
    return {"type": "text", "text": text}
