"""What every room asks of pydantic-ai's models."""

from pydantic_ai.models import Model
from pydantic_ai.models.wrapper import WrapperModel


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
