"""What tokens cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from mamba_agents.tokens.config import ModelRate
from mamba_agents.tokens.usage import TokenUsage

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBreakdown:
    """USD for what was sent and what came back."""

    prompt_cost: Decimal
    completion_cost: Decimal
    total_cost: Decimal
    model: str


class CostEstimator:
    """Prices usage: by the rates it was given, else by the table of `genai-prices`, which knows cache and tiers.

    A model that neither knows has no price, which is None and never 0.
    """

    def __init__(self, custom_rates: Mapping[str, ModelRate] | None = None) -> None:
        self._rates = dict(custom_rates or {})

    def get_rate(self, model: str) -> ModelRate | None:
        """The rate given for this very name; None when the price table decides."""
        return self._rates.get(model)

    def set_rate(self, model: str, rate: ModelRate) -> None:
        """Price a model from now on."""
        self._rates[model] = rate

    def get_all_rates(self) -> dict[str, ModelRate]:
        """The given rates by model; a new dict."""
        return dict(self._rates)

    def breakdown(self, usage: TokenUsage, model: str) -> CostBreakdown | None:
        """What the usage costs, in and out apart; None when the model has no known price."""
        rate = self._rates.get(model)
        if rate is None:
            return _from_price_table(usage, model)
        prompt, completion = _prompt_cost(usage, rate), usage.completion_tokens * rate.output / _MILLION
        return CostBreakdown(
            prompt_cost=prompt, completion_cost=completion, total_cost=prompt + completion, model=model
        )

    def estimate(self, usage: TokenUsage, model: str) -> Decimal | None:
        """USD for the usage; None when the model has no known price."""
        breakdown = self.breakdown(usage, model)
        return breakdown and breakdown.total_cost

    def estimate_tokens(self, n: int, model: str) -> Decimal | None:
        """USD for sending `n` tokens; None when the model has no known price."""
        return self.estimate(TokenUsage(prompt_tokens=n, total_tokens=n), model)


def _prompt_cost(usage: TokenUsage, rate: ModelRate) -> Decimal:
    read, written = usage.cached_tokens, usage.cache_write_tokens
    plain = usage.prompt_tokens - read - written
    read_rate = rate.input if rate.cache_read is None else rate.cache_read
    write_rate = rate.input if rate.cache_write is None else rate.cache_write
    return (plain * rate.input + read * read_rate + written * write_rate) / _MILLION


def _from_price_table(usage: TokenUsage, model: str) -> CostBreakdown | None:
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - loads the price table, which few need at start

    provider, _, name = model.rpartition(":")
    try:
        price = calc_price(
            Usage(
                input_tokens=usage.prompt_tokens,
                output_tokens=usage.completion_tokens,
                cache_read_tokens=usage.cached_tokens,
                cache_write_tokens=usage.cache_write_tokens,
            ),
            name,
            provider_id=provider or None,
        )
    except (LookupError, ValueError):
        return None
    return CostBreakdown(
        prompt_cost=price.input_price, completion_cost=price.output_price, total_cost=price.total_price, model=model
    )
