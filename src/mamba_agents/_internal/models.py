"""What every room asks of pydantic-ai's models."""

from collections.abc import Callable

from pydantic_ai.models import Model
from pydantic_ai.models.wrapper import WrapperModel

_MOST_KNOWN = 16
"""Models remembered: an agent has few, and one that has a new model for every run must not hold them all."""


class Wrappers[WrapperT]:
    """What a layer puts around models: the same for the same model. Safe to use from any thread."""

    __slots__ = ("_known", "_wrap")

    def __init__(self, wrap: Callable[[Model], WrapperT]) -> None:
        self._wrap = wrap
        self._known: dict[int, tuple[Model, WrapperT]] = {}

    def around(self, model: Model) -> WrapperT:
        """What goes around a model."""
        known = self._known.get(id(model))
        if known is None or known[0] is not model:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[id(model)] = (model, self._wrap(model))
        return known[1]


def bare_model(model: Model) -> Model:
    """The model that answers, which is the same however it is wrapped."""
    while isinstance(model, WrapperModel):
        model = model.wrapped
    return model


def base_url(model: Model) -> str | None:
    """Where the model is asked; None for one that has no address, or does not tell it."""
    try:
        return model.base_url
    except Exception:  # noqa: BLE001 - models of some providers raise one error or another for it (pydantic-ai 2.62)
        return None
