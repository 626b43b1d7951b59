"""How a strategy is named, in code and in settings."""

from collections.abc import Sequence

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_ai.messages import ModelMessage

from mamba_agents.context.compaction import (
    STRATEGY_NAMES,
    CompactionResult,
    CompactionStrategy,
    HybridStrategy,
    ImportanceScoringStrategy,
    SelectivePruningStrategy,
    SlidingWindowStrategy,
    StrategyChoice,
    SummarizeOlderStrategy,
    strategy_named,
)
from mamba_agents.errors import ConfigurationError
from mamba_agents.tokens import TokenCounter


class Own(CompactionStrategy):
    name = "own"

    async def compact(
        self, messages: Sequence[ModelMessage], target_tokens: int, preserve_recent: int = 0
    ) -> CompactionResult[ModelMessage]:
        raise NotImplementedError


class Counting(Own):
    def __init__(self, token_counter: TokenCounter) -> None:
        self.token_counter = token_counter


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: StrategyChoice = "hybrid"


def test_each_name_gives_its_strategy_with_the_counter_and_the_prompts_as_told() -> None:
    counter = TokenCounter()
    kinds = {
        "sliding_window": SlidingWindowStrategy,
        "summarize_older": SummarizeOlderStrategy,
        "selective_pruning": SelectivePruningStrategy,
        "importance_scoring": ImportanceScoringStrategy,
        "hybrid": HybridStrategy,
    }
    assert set(kinds) == set(STRATEGY_NAMES)
    for name in STRATEGY_NAMES:
        strategy = strategy_named(name, token_counter=counter, preserve_system_prompt=False)
        assert isinstance(strategy, kinds[name])
        assert strategy.name == name
        assert strategy.token_counter is counter
        assert strategy.preserve_system_prompt is False


def test_an_object_is_taken_as_it_is_and_a_class_is_made() -> None:
    own, counter = Own(), TokenCounter()
    assert strategy_named(own) is own
    assert type(strategy_named(Own)) is Own
    counting = strategy_named(Counting, token_counter=counter)
    assert isinstance(counting, Counting)
    assert counting.token_counter is counter
    assert isinstance(strategy_named(SlidingWindowStrategy), SlidingWindowStrategy)


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ("sliding-window", "'sliding-window'; expected one of .*Did you mean sliding_window"),
        ("HYBRID", "'HYBRID'"),
        ("", "''"),
        (3, "int"),
        (None, "NoneType"),
        (int, "type"),
        (["hybrid"], "list"),
    ],
)
def test_anything_else_is_refused_with_the_field_and_what_it_may_be(wrong: object, found: str) -> None:
    with pytest.raises(ConfigurationError, match=f"found strategy={found}") as error:
        strategy_named(wrong)  # pyright: ignore[reportArgumentType] - what a settings file may say
    assert all(name in str(error.value) for name in STRATEGY_NAMES)
    assert "\n" not in str(error.value)
    with pytest.raises(ValidationError, match=f"found strategy={found}") as invalid:
        Config.model_validate({"strategy": wrong})
    (problem,) = invalid.value.errors()
    assert problem["loc"] == ("strategy",)


def test_a_class_that_needs_more_is_refused() -> None:
    class NeedsMore(Own):
        def __init__(self, limit: int, *rest: int, **named: int) -> None:
            self.limit = limit

    with pytest.raises(ConfigurationError, match=r"strategy=NeedsMore, whose constructor needs limit; .*an instance"):
        strategy_named(NeedsMore)


def test_a_class_that_is_not_complete_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match="found strategy=CompactionStrategy, which leaves methods to subclasses"
    ):
        strategy_named(CompactionStrategy)


def test_settings_take_names_objects_and_classes() -> None:
    own = Own()
    assert Config().strategy == "hybrid"
    assert Config(strategy=own).strategy is own
    assert Config(strategy=Own).strategy is Own
    assert [Config.model_validate({"strategy": name}).strategy for name in STRATEGY_NAMES] == list(STRATEGY_NAMES)


def test_settings_are_written_with_the_name() -> None:
    for given, name in ((Own(), "own"), (Own, "own"), ("sliding_window", "sliding_window")):
        config = Config(strategy=given)
        assert config.model_dump() == {"strategy": name}
        assert config.model_dump_json() == f'{{"strategy":"{name}"}}'


def test_settings_written_as_json_are_read_again_by_name_alone() -> None:
    assert Config.model_validate_json('{"strategy": "sliding_window"}').strategy == "sliding_window"
    with pytest.raises(ValidationError, match="found strategy='own'; expected one of"):
        Config.model_validate_json('{"strategy": "own"}')


def test_the_schema_of_settings_lists_the_names() -> None:
    properties = Config.model_json_schema()["properties"]
    assert properties["strategy"]["enum"] == list(STRATEGY_NAMES)
    assert properties["strategy"]["default"] == "hybrid"
