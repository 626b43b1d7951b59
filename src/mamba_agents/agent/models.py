"""What an agent makes of the model it is given."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic_ai import AgentCapability, AgentModelSettings, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.models import Model, infer_model
from pydantic_ai.settings import ModelSettings, merge_model_settings

from mamba_agents.agent.specs import spec_model
from mamba_agents.backends import hosted_model, request_settings, resolve_model
from mamba_agents.config import AgentSettings


def settings_for(model: Model | str | None, settings: AgentSettings | None) -> AgentSettings:
    """The settings an agent is given; else those found, and for a ready model the defaults, with nothing read."""
    if settings is not None:
        return settings
    return _defaults() if isinstance(model, Model) else AgentSettings()


def named_model(model: Model | str | None, settings: AgentSettings) -> Model | str:
    """The model that is meant; a string is one that pydantic-ai infers.

    Raises:
        ValueError: neither the argument nor the settings name a model.
        ConfigurationError: the name leads nowhere.
    """
    return resolve_model(model, settings.model_backend, settings.local)


def ready_model(
    model: Model | str | None, capabilities: Sequence[AgentCapability[Any]], *, deferred: bool = False
) -> Model | str | None:
    """The model behind a `provider:name`, unless it is made later, or a capability looks names up."""
    looked_up = (isinstance(one, AbstractCapability) and one.has_resolve_model_id for one in capabilities)
    return hosted_model(model) if isinstance(model, str) and not deferred and not any(looked_up) else model


def with_settings[DepsT](
    own: AgentModelSettings[DepsT] | None, model: Model | str | None, settings: AgentSettings
) -> AgentModelSettings[DepsT] | None:
    """The agent's model settings on top of what the settings say about requests.

    A model that was made from the settings carries them, and a ready one is used as it is: this is for `provider:name`.
    """
    if not isinstance(model, str):
        return own
    base = request_settings(settings.model_backend)
    if not base:
        return own
    if not callable(own):
        return merge_model_settings(base, own)

    def merged(ctx: RunContext[DepsT]) -> ModelSettings:
        return merge_model_settings(base, own(ctx)) or base

    return merged


def with_model(options: dict[str, Any], settings: AgentSettings) -> dict[str, Any]:
    """The options of a run with the model that is meant by a name in them, or in their spec."""
    model = options.get("model")
    if model is None and options.get("spec") is not None:
        model = spec_model(options["spec"])
    if not isinstance(model, str):
        return options
    named = named_model(model, settings)
    own = with_settings(options.get("model_settings"), named, settings)
    return {**options, "model": named, **({} if own is None else {"model_settings": own})}


def made_model(model: Model | str | None) -> Model | None:
    """The model behind a `provider:name`."""
    return infer_model(model) if isinstance(model, str) else model


@cache
def _defaults() -> AgentSettings:
    return AgentSettings.model_construct()
