"""Wrong settings are refused where they are read, in words that help."""

import math

import pytest
from pydantic import TypeAdapter, ValidationError

from mamba_agents import AgentSettings, CompactionConfig
from mamba_agents.context.compaction import CompactionStrategy, SlidingWindowStrategy
from mamba_agents.context.compaction.choice import StrategyChoice
from mamba_agents.context.limits import limits_for
from mamba_agents.errors import ConfigurationError


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ({"target_tokens": 200}, {"trigger_threshold_tokens": 100}),
        ({"target_fraction": 0.9}, {"trigger_fraction": 0.5}),
    ],
)
def test_a_target_above_its_trigger_fails_at_load_and_names_both_fields(
    low: dict[str, float], high: dict[str, float]
) -> None:
    with pytest.raises(ValidationError) as caught:
        CompactionConfig(**low, **high)
    for name, value in {**low, **high}.items():
        assert f"{name}={value}" in str(caught.value)


def test_a_strategy_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(ValidationError) as caught:
        CompactionConfig(strategy="sliding_windw")
    for word in ("strategy", "sliding_windw", "sliding_window", "summarize_older", "selective_pruning", "hybrid"):
        assert word in str(caught.value)


def test_a_wrong_strategy_in_the_environment_is_told_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMBA_CONTEXT__STRATEGY", "forget")
    with pytest.raises(ConfigurationError, match="MAMBA_CONTEXT__STRATEGY") as caught:
        AgentSettings(_env_file=None)
    assert "importance_scoring" in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"target_tokens": 0},
        {"trigger_threshold_tokens": -1},
        {"preserve_recent_turns": -1},
        {"trigger_threshold_tokens": math.inf},
        {"target_tokens": math.nan},
        {"trigger_fraction": 1.5},
        {"trigger_fraction": math.nan},
        {"target_fraction": math.inf},
        {"window_tokens": 0},
        {"overflow_retries": -1},
        {"summarization_model": ""},
        {"targt_tokens": 5},
    ],
    ids=str,
)
def test_a_figure_out_of_range_and_an_unknown_field_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        CompactionConfig(**wrong)


def test_a_strategy_may_be_an_instance_or_a_class() -> None:
    strategy = SlidingWindowStrategy()
    assert CompactionConfig(strategy=strategy).strategy is strategy
    assert CompactionConfig(strategy=SlidingWindowStrategy).model_dump(mode="json")["strategy"] == "sliding_window"
    assert issubclass(SlidingWindowStrategy, CompactionStrategy)


def test_the_schema_lists_the_names() -> None:
    schema = TypeAdapter(StrategyChoice).json_schema()
    assert {"sliding_window", "hybrid"} <= set(schema["enum"])
    assert CompactionConfig().strategy == "hybrid"


def test_in_a_small_window_the_same_share_of_it_is_left_free() -> None:
    config = CompactionConfig()
    large, small = limits_for(config, 1_000_000), limits_for(config, 8_192)
    assert (large.trigger, large.target) == (100_000, 80_000)
    assert small.trigger == 8_192 - 1_024
    assert small.target == int(small.trigger * 0.8)


def test_room_is_left_for_the_longest_answer_that_is_asked_for() -> None:
    assert limits_for(CompactionConfig(), 10_000, answer_tokens=3_000).trigger == 7_000
    assert limits_for(CompactionConfig(), 10_000, answer_tokens=90_000).trigger == 5_000


def test_where_nobody_knows_the_window_the_stated_default_counts() -> None:
    limits = limits_for(CompactionConfig(default_window_tokens=16_000), None)
    assert (limits.window, limits.is_known) == (16_000, False)
