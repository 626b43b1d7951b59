"""The cascade: what each source says, where it says it, and what remains when the higher ones have spoken."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Final, cast

from pydantic import BaseModel

from mamba_agents.config.keys import KeyPath, printable

MISSING: Final = object()
"""Stands for a value that is not there, since None is one."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a value was written."""

    name: str = ""
    """The source, where it is neither a file nor a variable."""

    file: str | None = None
    line: int | None = None
    variable: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        if self.variable:
            return printable(f"{place} ({self.variable})" if place else f"environment variable {self.variable}")
        return printable(place or self.name)


DEFAULT: Final = Origin(name="default")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What one source says."""

    source: Origin
    values: Mapping[str, object] = field(repr=False)
    """Nested as the settings are; unchecked."""

    origins: Mapping[KeyPath, Origin] = field(default_factory=dict[KeyPath, Origin], repr=False)
    """Where each value was written, as far as the source can tell."""

    def origin(self, path: KeyPath) -> Origin:
        """Where this layer speaks of a path: of itself, of what holds it, or of the first thing it holds."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        below = (origin for known, origin in self.origins.items() if known[: len(path)] == path)
        return next(below, self.source)


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """The layers in effect, highest first.

    Two are always equal, so that settings compare by their values and not by where they came from.
    """

    layers: tuple[Layer, ...] = field(default=(), repr=False, compare=False)

    def merged(self) -> dict[str, object]:
        """All layers as one, key by key; a higher layer's value wins."""
        return reduce(merge, (layer.values for layer in reversed(self.layers)), dict[str, object]())

    def saying(self, path: KeyPath) -> Iterator[tuple[Origin, object]]:
        """Every layer's word on a path, highest first."""
        for layer in self.layers:
            value = lookup(layer.values, path)
            if value is not MISSING:
                yield layer.origin(path), value

    def origin(self, path: KeyPath) -> Origin:
        """Where the value that counts was written."""
        return next((origin for origin, _ in self.saying(path)), DEFAULT)


def merge(low: Mapping[str, object], high: Mapping[str, object]) -> dict[str, object]:
    """A copy of `low` with `high` laid over it; only mappings merge, everything else replaces."""
    merged = dict(low)
    for key, value in high.items():
        merged[key] = merge(_mapping(merged.get(key)), _mapping(value)) if _is_mapping(value) else value
    return merged


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def nest(path: KeyPath, value: object) -> dict[str, object]:
    """The value in mappings that lead to it."""
    return cast("dict[str, object]", reduce(lambda inner, key: {key: inner}, reversed(path), value))


def lookup(node: object, path: KeyPath) -> object:
    """What is at a path in mappings, lists and models; `MISSING` where the path ends early."""
    for key in path:
        if isinstance(node, BaseModel):
            node = getattr(node, str(key), MISSING)
        elif isinstance(node, Mapping):
            node = cast("Mapping[object, object]", node).get(key, MISSING)
        elif isinstance(node, list) and isinstance(key, int) and key < len(cast("list[object]", node)):
            node = cast("list[object]", node)[key]
        else:
            return MISSING
    return node


def leaves(node: object, above: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:
    """Every value in models and mappings with its path; an empty mapping is a value."""
    inner = {name: getattr(node, name) for name in type(node).model_fields} if isinstance(node, BaseModel) else node
    if not _mapping(inner):
        yield above, node
    for name, value in _mapping(inner).items():
        yield from leaves(value, (*above, name))
