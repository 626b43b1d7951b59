"""What is known of objects that cannot be keys, as pydantic-ai's models cannot: they compare by value."""

import weakref
from typing import cast


class ByIdentity[KeyT, ValueT]:
    """Values for objects, each as long as its object lives. Safe to use from any thread."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[object], ValueT]] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def __contains__(self, key: KeyT) -> bool:
        return id(key) in self._known

    def __getitem__(self, key: KeyT) -> ValueT:
        return self._known[id(key)][1]

    def get(self, key: KeyT) -> ValueT | None:
        """The value of an object; None where there is none."""
        known = self._known.get(id(key))
        return None if known is None else known[1]

    def __setitem__(self, key: KeyT, value: ValueT) -> None:
        number, known = id(key), self._known
        # The closure must not hold this object: it would hold the callback, and the callback it.
        known[number] = (weakref.ref(cast("object", key), lambda _: known.pop(number, None)), value)

    def pop(self, key: KeyT) -> ValueT:
        """The value of an object, which is forgotten."""
        return self._known.pop(id(key))[1]
