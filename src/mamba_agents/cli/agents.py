"""The agent that a command talks to."""

import click
from pydantic_ai import Tool
from pydantic_ai.models import Model, infer_model

from mamba_agents.agent import Agent, AgentConfig
from mamba_agents.backends import resolve_model
from mamba_agents.cli.options import AgentOptions
from mamba_agents.config import AgentSettings
from mamba_agents.tools import sandboxed_tools

_NO_MODEL = (
    "no model is set: pass --model NAME or set MAMBA_MODEL_BACKEND__MODEL, and the key of its provider, such as"
    " OPENAI_API_KEY. '--model local' runs a small model in this process and needs neither."
)


def make_agent(options: AgentOptions) -> Agent[object, str]:
    """Make the agent that the options and the settings describe."""
    settings = AgentSettings()
    if options.model is None and settings.model_backend.model is None:
        raise click.UsageError(_NO_MODEL)
    return Agent(
        options.model,
        settings=settings,
        system_prompt=options.system,
        tools=_tools(options, settings),
        config=AgentConfig(track_context=options.memory),
    )


def model_named(name: str, settings: AgentSettings) -> Model:
    """Give the model of this name, ready to be asked."""
    model = resolve_model(name, settings.model_backend, settings.local)
    return model if isinstance(model, Model) else infer_model(model)


def model_of(agent: Agent[object, str]) -> Model:
    """Give the model the agent talks to."""
    model = agent.model
    if model is None:
        raise click.UsageError(_NO_MODEL)
    return model if isinstance(model, Model) else infer_model(model)


def _tools(options: AgentOptions, settings: AgentSettings) -> list[Tool[object]]:
    if not options.tools:
        if options.root is not None:
            raise click.UsageError("--root says what --tools may see: give both, or neither.")
        return []
    try:
        return sandboxed_tools(options.root or settings.tools.root)
    except NotADirectoryError as error:
        raise click.UsageError(str(error)) from error
