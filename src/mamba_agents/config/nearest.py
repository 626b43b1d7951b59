"""What somebody meant who wrote a key that does not exist."""

import re
from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Final

from pydantic import BaseModel

from mamba_agents.config.keys import KeyPath, dotted, keys_of

CLOSE: Final = 0.6
"""How alike two names must be to be called near; difflib's own measure and threshold."""

VERY_CLOSE: Final = 0.8
"""How alike they must be where little else speaks for it."""


def hint(model: type[BaseModel], path: KeyPath, spelling: Callable[[str], str] = str) -> str:
    """What to do about an unknown key: the nearest known one or all there are, spelt as the reader writes them."""
    near = nearest(model, path)
    known = ", ".join(map(spelling, _known_beside(model, path)))
    return f"did you mean {spelling(near)}?" if near else f"known are {known}."


def nearest(model: type[BaseModel], path: KeyPath, *, close: float = CLOSE) -> str | None:
    """The known key that a misspelt or misplaced one most likely stands for.

    First comes one that differs in its separators only, then one of the same name in another section, then the most
    alike.
    """
    wanted, name = dotted(path), str(path[-1])
    keys = [key.path for key in keys_of(model) if key.path != path[: len(key.path)]]
    for same in (
        [key for key in keys if _plain(dotted(key)) == _plain(wanted)],
        [key for key in keys if _plain(key[-1]) == _plain(name)],
    ):
        if same:
            return dotted(max(same, key=lambda key: _likeness(dotted(key), wanted)))
    scores = {dotted(key): _score(key, path) for key in keys}
    best = max(scores, key=scores.__getitem__, default="")
    return best if scores.get(best, 0) >= close else None


def _score(key: tuple[str, ...], path: KeyPath) -> float:
    """How alike a known key is to a written one.

    In the same section the last name alone counts, since what they share says nothing. Elsewhere it counts when it is
    nearly the same.
    """
    by_name = _likeness(key[-1], str(path[-1]))
    if key[:-1] == path[:-1] or by_name >= VERY_CLOSE:
        return by_name
    return _likeness(dotted(key), dotted(path))


def _plain(name: str) -> str:
    return re.sub(r"[-._\s]+", "_", name.lower())


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()


def _known_beside(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys of the innermost known section that the path leads into."""
    keys = [key.path for key in keys_of(model)]
    inside = (len(key) - 1 for key in keys if key[:-1] == path[: len(key) - 1])
    depth = max(inside, default=0)
    return [dotted(key) for key in keys if key[:-1] == path[:depth]]
