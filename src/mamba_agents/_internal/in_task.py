"""What a layer does in the task that asks, which pydantic-ai does not always say."""

import weakref
from contextvars import ContextVar
from typing import cast


class InTask[ValueT]:
    """A value for each owner, as set last in this task or in the one that started it, for as long as anybody holds it.

    A task may outlive the runs that it makes, and their ends are told to other tasks: it must not keep what they held.
    To be made once for each kind of owner, as nothing ever frees a context variable.
    """

    __slots__ = ("_known",)

    def __init__(self, name: str) -> None:
        self._known: ContextVar[dict[int, weakref.ref[object]]] = ContextVar(name)

    def get(self, owner: object) -> ValueT | None:
        """The value of an owner; None where there is none, or none any more."""
        known = self._known.get(_NOTHING).get(id(owner))
        return None if known is None else cast("ValueT | None", known())

    def set(self, owner: object, value: ValueT) -> None:
        """Have this value from now on."""
        known = self._known.get(_NOTHING)
        number = id(owner)
        if (before := known.get(number)) is None or before() is not value:
            alive = {each: of for each, of in known.items() if of() is not None} if known else {}
            alive[number] = weakref.ref(cast("object", value))
            self._known.set(alive)


_NOTHING: dict[int, weakref.ref[object]] = {}
