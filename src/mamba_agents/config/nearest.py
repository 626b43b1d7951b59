"""What somebody meant who wrote a key that does not exist."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Final

from pydantic import BaseModel

from mamba_agents.config.keys import KeyPath, dotted, keys_of

CLOSE: Final = 0.6
"""How alike two names must be to be called near; difflib's own measure and threshold."""


def hint(model: type[BaseModel], path: KeyPath) -> str:
    """What to do about an unknown key: the nearest known one, or the names there are."""
    near = nearest(model, path)
    return f"did you mean {near}?" if near else f"known are {', '.join(_names_beside(model, path))}."


def nearest(model: type[BaseModel], path: KeyPath, *, close: float = CLOSE) -> str | None:
    """The known key that a misspelt or misplaced one most likely stands for.

    A key of the right name in another section counts as near; then come misspellings, those in the same section first.
    """
    keys = [key.path for key in keys_of(model)]
    name, wanted = str(path[-1]), dotted(path)
    same_name = [key for key in keys if key[-1] == name.lower().replace("-", "_")]
    beside = [key for key in keys if key[:-1] == path[:-1]]
    return (
        _closest(wanted, map(dotted, same_name), 0)
        or _closest(wanted, map(dotted, beside), close, skip=len(wanted) - len(name))
        or _closest(wanted, map(dotted, keys), close)
    )


def _closest(wanted: str, candidates: Iterable[str], close: float, skip: int = 0) -> str | None:
    """The candidate most like the wanted one, compared without the first `skip` characters, which they share."""
    scored = [(SequenceMatcher(None, wanted[skip:], known[skip:]).ratio(), known) for known in candidates]
    best = max(scored, default=(-1.0, ""), key=lambda pair: pair[0])
    return best[1] if best[0] >= close else None


def _names_beside(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys of the innermost known section that the path leads into."""
    keys = [key.path for key in keys_of(model)]
    for length in range(len(path) - 1, -1, -1):
        names = [key[-1] for key in keys if key[:-1] == path[:length]]
        if names:
            return names
    return []
