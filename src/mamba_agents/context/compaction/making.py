"""A strategy made of its class."""

from inspect import Parameter, signature

from mamba_agents.context.compaction.base import CompactionStrategy
from mamba_agents.errors import ConfigurationError


def made(strategy: type[CompactionStrategy], **offered: object) -> CompactionStrategy:
    """A strategy of the class, given what of the offered its constructor takes by name.

    Raises:
        ConfigurationError: the constructor wants something else too.
    """
    parameters = signature(strategy).parameters.values()
    named = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    taken = {parameter.name for parameter in parameters if parameter.kind in named} & offered.keys()
    wanted = [
        parameter.name
        for parameter in parameters
        if parameter.default is Parameter.empty
        and parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        and parameter.name not in taken
    ]
    if wanted:
        raise ConfigurationError(
            f"found strategy={strategy.__name__}, whose constructor needs {', '.join(wanted)}; expected a class that is"
            " made with no arguments: give an instance instead",
            strategy=strategy.__name__,
        )
    return strategy(**{name: offered[name] for name in taken})
