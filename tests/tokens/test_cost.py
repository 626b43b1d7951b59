"""What tokens cost."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError
from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RequestUsage

from mamba_agents.tokens import CostEstimator, ModelRate, TokenUsage
from mamba_agents.tokens.cost import FREE_KEY, response_cost

RATE = ModelRate(input=Decimal(2), output=Decimal(8), cache_read=Decimal(1), cache_write=Decimal(3))
PLAIN = ModelRate(input=Decimal(2), output=Decimal(8))
MILLION = 1_000_000


def rate(price: int) -> ModelRate:
    return ModelRate(input=Decimal(price), output=Decimal(0))


def millions(**tokens: int) -> TokenUsage:
    return TokenUsage(**{name: count * MILLION for name, count in tokens.items()})


def test_a_rate_prices_input_output_and_cache_apart() -> None:
    estimator = CostEstimator({"m": RATE})
    usage = millions(prompt_tokens=4, completion_tokens=1, cached_tokens=1, cache_write_tokens=1)
    breakdown = estimator.breakdown(usage, "m")
    assert breakdown is not None
    assert breakdown.prompt_cost == 2 * 2 + 1 + 3
    assert breakdown.completion_cost == 8
    assert estimator.estimate(usage, "m") == breakdown.total_cost == 16
    assert CostEstimator({"m": PLAIN}).estimate(usage, "m") == 16


AUDIO = millions(
    prompt_tokens=10,
    completion_tokens=3,
    cached_tokens=3,
    cached_audio_tokens=1,
    cache_write_tokens=2,
    cache_write_1h_tokens=1,
    input_audio_tokens=3,
    output_audio_tokens=2,
)
"""Of what is sent 3 are plain, 2 cached text, 1 cached audio, 1 written, 1 written for an hour, 2 plain audio."""


@pytest.mark.parametrize(
    ("more", "prompt", "completion"),
    [
        ({}, 3 * 2 + 2 * 1 + 1 + 3 + 3 + 2 * 2, 3 * 8),
        ({"cache_write_1h": 5}, 3 * 2 + 2 * 1 + 1 + 3 + 5 + 2 * 2, 3 * 8),
        ({"input_audio": 20}, 3 * 2 + 2 * 1 + 1 + 3 + 3 + 2 * 20, 3 * 8),
        ({"cache_audio_read": 7}, 3 * 2 + 2 * 1 + 7 + 3 + 3 + 2 * 2, 3 * 8),
        ({"output_audio": 30}, 3 * 2 + 2 * 1 + 1 + 3 + 3 + 2 * 2, 8 + 2 * 30),
    ],
)
def test_audio_and_hour_long_writes_have_rates_of_their_own_where_they_are_given(
    more: dict[str, int], prompt: int, completion: int
) -> None:
    given = ModelRate.model_validate({**RATE.model_dump(), **more})
    breakdown = CostEstimator({"m": given}).breakdown(AUDIO, "m")
    assert breakdown is not None
    assert (breakdown.prompt_cost, breakdown.completion_cost) == (prompt, completion)


def test_cached_audio_without_a_rate_for_the_cache_costs_what_audio_costs() -> None:
    given = ModelRate(input=Decimal(2), output=Decimal(0), input_audio=Decimal(9))
    usage = millions(prompt_tokens=1, cached_tokens=1, cached_audio_tokens=1, input_audio_tokens=1)
    assert CostEstimator({"m": given}).estimate(usage, "m") == 9


@pytest.mark.parametrize(
    "impossible",
    [
        millions(prompt_tokens=1, cached_tokens=2),
        millions(prompt_tokens=3, cached_tokens=1, cached_audio_tokens=2, input_audio_tokens=2),
        millions(completion_tokens=1, output_audio_tokens=2),
    ],
)
def test_figures_that_cannot_be_have_no_price(impossible: TokenUsage) -> None:
    assert CostEstimator({"m": RATE}).estimate(impossible, "m") is None


def test_the_price_table_does_not_price_them_either() -> None:
    assert CostEstimator().estimate(millions(prompt_tokens=1, cached_tokens=2), "openai:gpt-4o") is None


@pytest.mark.parametrize("field", ["input", "output", "cache_read", "input_audio", "output_audio", "cache_write_1h"])
def test_a_rate_is_not_negative(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        ModelRate.model_validate({"input": 1, "output": 1, field: -1})


def test_rates_can_be_set_and_read() -> None:
    estimator = CostEstimator()
    assert estimator.get_rate("m") is None
    estimator.set_rate("m", RATE)
    assert estimator.get_rate("m") == RATE
    assert estimator.estimate_tokens(MILLION, "m") == 2
    estimator.get_all_rates().clear()
    assert estimator.get_all_rates() == {"m": RATE}
    estimator.set_rate("n*", PLAIN)
    assert estimator.get_rate("nano") == PLAIN


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("openai:gpt-4o", 1),
        ("azure:gpt-4o", 2),
        ("gpt-4o", 2),
        ("gpt-4o-mini", 3),
        ("openai:gpt-4o-mini", 3),
        ("gpt-4.1", 4),
        ("openai:o3", 5),
        ("ollama:qwen3:4b", 6),
        ("claude-opus-5", 7),
    ],
)
def test_an_exact_name_wins_over_patterns_and_a_longer_pattern_over_a_shorter(model: str, price: int) -> None:
    rates = {"*": 7, "openai:*": 5, "openai:gpt-4o-*": 3, "gpt-4o-*": 3, "gpt-4.*": 4, "ollama:*": 6}
    rates |= {"gpt-4o": 2, "openai:gpt-4o": 1}
    estimator = CostEstimator({name: rate(price) for name, price in rates.items()})
    assert estimator.estimate_tokens(MILLION, model) == price


def test_the_order_in_which_patterns_are_given_does_not_matter() -> None:
    one = CostEstimator({"gpt-*": rate(1), "gpt-4o*": rate(2)})
    other = CostEstimator({"gpt-4o*": rate(2), "gpt-*": rate(1)})
    assert one.estimate_tokens(MILLION, "gpt-4o-mini") == other.estimate_tokens(MILLION, "gpt-4o-mini") == 2


def test_the_price_table_knows_hosted_models_and_an_unknown_one_has_no_price() -> None:
    estimator = CostEstimator()
    # openai.com/api/pricing, read 2026-11-22: gpt-4o is 2.50 USD in and 10.00 USD out for a million tokens.
    usage = millions(prompt_tokens=1, completion_tokens=1)
    assert estimator.estimate(usage, "openai:gpt-4o") == Decimal("12.50")
    assert estimator.estimate(usage, "gpt-4o") == Decimal("12.50")
    for unknown in ("no-such-model", "nobody:gpt-4o", "openai:no-such-model", "function:model-x"):
        assert estimator.estimate(usage, unknown) is None
        assert estimator.breakdown(usage, unknown) is None


def test_the_price_table_prices_cache_and_audio_apart() -> None:
    estimator = CostEstimator()
    plain = estimator.estimate(millions(prompt_tokens=1), "anthropic:claude-sonnet-4-5")
    for used in (
        {"cached_tokens": 1},
        {"cache_write_tokens": 1},
        {"cache_write_tokens": 1, "cache_write_1h_tokens": 1},
    ):
        assert estimator.estimate(millions(prompt_tokens=1, **used), "anthropic:claude-sonnet-4-5") not in (plain, None)
    audio = "openai:gpt-realtime"
    text = estimator.estimate(millions(prompt_tokens=1, completion_tokens=1), audio)
    for used in ({"input_audio_tokens": 1}, {"output_audio_tokens": 1}):
        heard = estimator.estimate(millions(prompt_tokens=1, completion_tokens=1, **used), audio)
        assert heard is not None
        assert text is not None
        assert heard > text


def test_the_estimate_is_pydantic_ais_own_price() -> None:
    usage = RequestUsage(input_tokens=1000, output_tokens=100, cache_read_tokens=500)
    response = ModelResponse(parts=[], usage=usage, model_name="gpt-4o", provider_name="openai")
    counted = TokenUsage(prompt_tokens=1000, completion_tokens=100, total_tokens=1100, cached_tokens=500)
    assert CostEstimator().estimate(counted, "openai:gpt-4o") == response.cost().total_price


def test_a_price_that_changes_with_the_hour_is_that_of_the_time() -> None:
    estimator, usage = CostEstimator(), millions(prompt_tokens=1)
    # api-docs.deepseek.com/quick_start/pricing-details-usd, read 2026-11-20: half price at night until September 2025.
    day = estimator.breakdown(usage, "deepseek:deepseek-chat", when=datetime(2025, 6, 1, 12, tzinfo=UTC))
    night = estimator.breakdown(usage, "deepseek:deepseek-chat", when=datetime(2025, 6, 1, 20, tzinfo=UTC))
    assert day is not None
    assert night is not None
    assert night.total_cost < day.total_cost


@pytest.mark.parametrize("model", ["ollama:gpt-4o", "vllm:gpt-4o", "lmstudio:gpt-4o", "ollama:qwen3:4b"])
def test_a_server_of_ones_own_costs_nothing_unless_a_rate_says_otherwise(model: str) -> None:
    usage = millions(prompt_tokens=1)
    assert CostEstimator().estimate(usage, model) == 0
    assert CostEstimator({"gpt-4o": RATE, "qwen3:4b": RATE}).estimate(usage, model) == 2
    assert CostEstimator().estimate(usage, "ollama:gpt-oss:120b-cloud") is None


OPENAI = "https://api.openai.com/v1"


def answered(*, state: str = "complete", url: str = OPENAI, **usage: object) -> ModelResponse:
    reported = RequestUsage(**usage)  # type: ignore[arg-type]
    return ModelResponse(
        parts=[], usage=reported, model_name="gpt-4o", provider_name="openai", provider_url=url, state=state
    )  # type: ignore[arg-type]


def test_a_reply_that_was_cut_before_its_usage_came_has_an_unknown_price() -> None:
    zero = Decimal(0)
    assert response_cost(answered(state="interrupted", cost=zero)) is None
    assert response_cost(answered(cost=zero, unmeasured_requests=1)) is None
    assert response_cost(answered(cost=zero)) == 0
    assert response_cost(answered(state="interrupted", cost=zero, url="http://localhost:1/v1")) == 0
    assert response_cost(answered(state="interrupted", input_tokens=5, cost=Decimal("0.1"))) == Decimal("0.1")


def test_a_cut_reply_that_says_it_is_free_costs_nothing() -> None:
    cut = answered(state="interrupted", cost=Decimal(0))
    cut.metadata = {FREE_KEY: True}
    assert response_cost(cut) == 0
