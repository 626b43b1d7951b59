"""Counts, prices and the record of both."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from mamba_agents.tokens import (
    CostEstimator,
    ModelRate,
    TokenCounter,
    TokenizerConfig,
    TokenUsage,
    UsageTracker,
)

RATE = ModelRate(input=Decimal(2), output=Decimal(8), cache_read=Decimal(1), cache_write=Decimal(3))
MILLION = 1_000_000


def test_text_is_counted_with_openais_vocabularies() -> None:
    counter = TokenCounter()
    # Counted with OpenAI's tokenizer page, 2026-11: o200k and cl100k agree on plain English.
    assert counter.count("hello world") == 2
    assert counter.count("") == 0
    assert counter.get_encoding_for_model("gpt-4o") == "o200k_base"
    for model in ("gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "openai:gpt-4", "text-embedding-3-small"):
        assert counter.get_encoding_for_model(model) == "cl100k_base"


def test_what_looks_like_a_special_token_is_text() -> None:
    assert TokenCounter().count("<|endoftext|>") > 1


def test_a_lone_surrogate_is_counted_as_what_is_sent_for_it() -> None:
    assert TokenCounter().count("a \ud800 b") == TokenCounter().count("a ? b")


def test_the_encoding_can_be_set_for_all_or_for_a_model() -> None:
    assert TokenCounter(TokenizerConfig(encoding="cl100k_base")).get_encoding_for_model("gpt-4o") == "cl100k_base"
    mapped = TokenCounter(TokenizerConfig(model_mapping={"mine": "cl100k_base"}))
    assert mapped.get_encoding_for_model("mine") == mapped.get_encoding_for_model("any:mine") == "cl100k_base"
    text = "人工智能正在改变世界"
    counts = {TokenCounter(TokenizerConfig(encoding=name)).count(text) for name in ("cl100k_base", "o200k_base")}
    assert len(counts) == 2
    with pytest.raises(ValidationError, match="encoding"):
        TokenizerConfig(encoding="nonsense")  # type: ignore[arg-type]


def test_the_margin_is_on_top_and_decides_what_fits() -> None:
    counter = TokenCounter(TokenizerConfig(safety_margin=0.5))
    assert (counter.count("a b c"), counter.count_with_margin("a b c")) == (3, 5)
    assert counter.fits_context("a b c", 5)
    assert not counter.fits_context("a b c", 4)


def test_a_rate_prices_input_output_and_cache_apart() -> None:
    estimator = CostEstimator({"m": RATE})
    usage = TokenUsage(
        prompt_tokens=4 * MILLION, completion_tokens=MILLION, cached_tokens=MILLION, cache_write_tokens=MILLION
    )
    breakdown = estimator.breakdown(usage, "m")
    assert breakdown is not None
    assert breakdown.prompt_cost == 2 * 2 + 1 + 3
    assert breakdown.completion_cost == 8
    assert estimator.estimate(usage, "m") == breakdown.total_cost == 16
    plain = CostEstimator({"m": ModelRate(input=Decimal(2), output=Decimal(8))})
    assert plain.estimate(usage, "m") == 16


def test_rates_can_be_set_and_read() -> None:
    estimator = CostEstimator()
    assert estimator.get_rate("m") is None
    estimator.set_rate("m", RATE)
    assert estimator.get_rate("m") == RATE
    assert estimator.estimate_tokens(MILLION, "m") == 2
    estimator.get_all_rates().clear()
    assert estimator.get_all_rates() == {"m": RATE}


def test_the_price_table_knows_hosted_models_and_an_unknown_one_has_no_price() -> None:
    estimator = CostEstimator()
    # openai.com/api/pricing, read 2026-11-22: gpt-4o is 2.50 USD in and 10.00 USD out for a million tokens.
    usage = TokenUsage(prompt_tokens=MILLION, completion_tokens=MILLION)
    assert estimator.estimate(usage, "openai:gpt-4o") == Decimal("12.50")
    assert estimator.estimate(usage, "no-such-model") is None
    assert estimator.breakdown(usage, "no-such-model") is None


def test_a_tracker_sums_and_keeps_order() -> None:
    tracker = UsageTracker({"m": RATE})
    tracker.record_raw(MILLION, 0, "m", "search")
    tracker.record_raw(0, MILLION, "m", "search")
    tracker.record_usage(TokenUsage(prompt_tokens=MILLION, total_tokens=MILLION, request_count=1), "m")
    total = tracker.get_total_usage()
    assert (total.prompt_tokens, total.completion_tokens, total.total_tokens) == (2 * MILLION, MILLION, 3 * MILLION)
    assert total.request_count == 3
    assert [record.tool_name for record in tracker.get_usage_history()] == ["search", "search", None]
    assert tracker.get_breakdown_by_tool()["search"].total_tokens == 2 * MILLION
    assert tracker.get_cost_estimate() == tracker.get_cost_estimate("m") == 12
    assert tracker.get_cost_estimate("other") == 0
    breakdown = tracker.get_cost_breakdown()
    assert breakdown is not None
    assert (breakdown.prompt_cost, breakdown.completion_cost, breakdown.model) == (4, 8, "m")
    tracker.reset()
    assert tracker.get_total_usage() == TokenUsage()
    assert total.request_count == 3


def test_one_unknown_price_makes_the_sum_unknown() -> None:
    tracker = UsageTracker({"m": RATE})
    tracker.record_raw(1, 1, "m")
    tracker.record_raw(1, 1, "no-such-model")
    tracker.record_raw(1, 1)
    assert tracker.get_cost_estimate() is None
    assert tracker.get_cost_breakdown() is None
    assert tracker.get_cost_estimate("m") is not None
