"""A strategy made of its class."""

from functools import lru_cache
from inspect import Parameter, isabstract, signature

from mamba_agents.context.compaction.base import CompactionStrategy
from mamba_agents.errors import ConfigurationError


def made(strategy: type[CompactionStrategy], **offered: object) -> CompactionStrategy:
    """A strategy of the class, given what of the offered its constructor takes by name.

    Raises:
        ConfigurationError: the constructor wants something else too, or the class is not complete.
    """
    named, required = _parameters(strategy)
    taken = named & offered.keys()
    if wanted := [name for name in required if name not in taken]:
        raise ConfigurationError(
            f"found strategy={strategy.__name__}, whose constructor needs {', '.join(wanted)}; expected a class that is"
            " made with no arguments: give an instance instead",
            strategy=strategy.__name__,
        )
    if isabstract(strategy):
        raise ConfigurationError(
            f"found strategy={strategy.__name__}, which leaves methods to subclasses; expected one that has them all",
            strategy=strategy.__name__,
        )
    return strategy(**{name: offered[name] for name in taken})


@lru_cache(maxsize=64)
def _parameters(strategy: type[CompactionStrategy]) -> tuple[frozenset[str], tuple[str, ...]]:
    """What the constructor takes by name, and what it must be given; to find out takes longer than all else."""
    parameters = signature(strategy).parameters.values()
    by_name = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    any_number = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    named = frozenset(parameter.name for parameter in parameters if parameter.kind in by_name)
    required = (each for each in parameters if each.default is Parameter.empty and each.kind not in any_number)
    return named, tuple(parameter.name for parameter in required)
