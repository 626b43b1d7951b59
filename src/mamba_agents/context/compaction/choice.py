"""A strategy chosen by name, by class or as an object."""

from collections.abc import Mapping
from difflib import get_close_matches
from inspect import isclass
from typing import Annotated, Final, Literal, get_args

from pydantic import GetCoreSchemaHandler, GetPydanticSchema
from pydantic_core import CoreSchema, core_schema

from mamba_agents.context.compaction.base import CompactionStrategy
from mamba_agents.context.compaction.hybrid import HybridStrategy
from mamba_agents.context.compaction.importance_scoring import ImportanceScoringStrategy
from mamba_agents.context.compaction.making import made
from mamba_agents.context.compaction.selective_pruning import SelectivePruningStrategy
from mamba_agents.context.compaction.sliding_window import SlidingWindowStrategy
from mamba_agents.context.compaction.summarize_older import SummarizeOlderStrategy
from mamba_agents.errors import ConfigurationError
from mamba_agents.tokens import TokenCounter

type StrategyName = Literal["sliding_window", "summarize_older", "selective_pruning", "importance_scoring", "hybrid"]
"""The strategies that have a name in settings."""

STRATEGY_NAMES: Final[tuple[StrategyName, ...]] = get_args(StrategyName.__value__)

_CLASSES: Mapping[StrategyName, type[CompactionStrategy]] = {
    "sliding_window": SlidingWindowStrategy,
    "summarize_older": SummarizeOlderStrategy,
    "selective_pruning": SelectivePruningStrategy,
    "importance_scoring": ImportanceScoringStrategy,
    "hybrid": HybridStrategy,
}


def strategy_named(
    choice: "StrategyName | CompactionStrategy | type[CompactionStrategy]",
    *,
    token_counter: TokenCounter | None = None,
    preserve_system_prompt: bool = True,
) -> CompactionStrategy:
    """The strategy that is meant; an object as it is, a class made with what of the rest its constructor takes.

    Raises:
        ConfigurationError: a name that does not exist, or a class that cannot be made with this.
    """
    chosen = _checked(choice)
    if isinstance(chosen, CompactionStrategy):
        return chosen
    return made(
        _CLASSES[chosen] if isinstance(chosen, str) else chosen,
        token_counter=TokenCounter() if token_counter is None else token_counter,
        preserve_system_prompt=preserve_system_prompt,
    )


def _checked(value: object) -> "StrategyName | CompactionStrategy | type[CompactionStrategy]":
    """The value if it is a choice, or else a `ConfigurationError` that says what is one."""
    if isinstance(value, CompactionStrategy):
        return value
    for name in STRATEGY_NAMES:
        if name == value:
            return name
    if isclass(value) and issubclass(value, CompactionStrategy):
        return value
    near = get_close_matches(value, STRATEGY_NAMES, n=1) if isinstance(value, str) else []
    hint = f" Did you mean {near[0]}?" if near else ""
    found = repr(value) if isinstance(value, str) else type(value).__name__
    raise ConfigurationError(
        f"found strategy={found}; expected one of {', '.join(STRATEGY_NAMES)}, or in code a CompactionStrategy.{hint}",
        field="strategy",
    )


def _validated(value: object) -> "StrategyName | CompactionStrategy | type[CompactionStrategy]":
    try:
        return _checked(value)
    except ConfigurationError as error:
        raise ValueError(error.message) from None


def _name_of(choice: "StrategyName | CompactionStrategy | type[CompactionStrategy]") -> str:
    return choice if isinstance(choice, str) else choice.name


def _schema(_source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
    """Names alone are for files and the environment; the rest is for code, and serialises to its name."""
    return core_schema.json_or_python_schema(
        json_schema=core_schema.no_info_before_validator_function(
            _validated, core_schema.literal_schema(list(STRATEGY_NAMES))
        ),
        python_schema=core_schema.no_info_plain_validator_function(_validated),
        serialization=core_schema.plain_serializer_function_ser_schema(
            _name_of, return_schema=core_schema.str_schema()
        ),
    )


# Not a `type`: its schema belongs into the field, without a definition beside it.
StrategyChoice = Annotated[StrategyName | CompactionStrategy | type[CompactionStrategy], GetPydanticSchema(_schema)]
"""A strategy in settings: its name, or in code a strategy of your own, as an object or a class."""
