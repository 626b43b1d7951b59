"""The most that tokens of a model can cost, known before they are used."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mamba_agents.tokens.config import ModelRate

_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceCeiling:
    """USD for one token, and for one request on top, at the dearest that the price list has."""

    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    request: Decimal = Decimal(0)


def ceiling_of_rate(rate: ModelRate) -> PriceCeiling:
    """The ceiling under a rate: cache and audio tokens count as input or output, and may be dearer."""
    cached = (rate.cache_read, rate.cache_write, rate.cache_write_1h, rate.cache_audio_read)
    sent = (rate.input, rate.input_audio, *cached)
    received = (rate.output, rate.output_audio)
    return PriceCeiling(input=_most(sent) / _MILLION, output=_most(received) / _MILLION)


def ceiling_of_table(model_name: str, provider: str | None, url: str | None) -> PriceCeiling | None:
    """The ceiling under the price table; None where it does not know the model."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - loads the price table

    # As pydantic-ai looks prices up: by the address first, then by the provider's name.
    for provider_id, api_url in ((None, url), (provider, None)):
        if provider_id is None and api_url is None:
            continue
        try:
            _, info = get_snapshot().find_provider_model(model_name, None, provider_id, api_url)
        except LookupError:
            continue
        each = [one.prices for one in info.prices] if isinstance(info.prices, list) else [info.prices]
        each += [variant.prices for variant in info.price_variants or ()]
        return _dearest(item for prices in each for item in vars(prices).items())
    return None


def dearest(ceilings: Iterable[PriceCeiling | None]) -> PriceCeiling | None:
    """The ceiling over several; None where one of them is not known."""
    known = list(ceilings)
    if not known or None in known:
        return None
    each = [ceiling for ceiling in known if ceiling is not None]
    return PriceCeiling(
        input=max(ceiling.input for ceiling in each),
        output=max(ceiling.output for ceiling in each),
        request=max(ceiling.request for ceiling in each),
    )


def _most(prices: Iterable[Decimal | None]) -> Decimal:
    return max(price for price in prices if price is not None)


def _dearest(prices: Iterable[tuple[str, Any]]) -> PriceCeiling:
    """Over all kinds of tokens, all tiers, all hours of the day and all classes of service.

    Keys are such as `input_mtok` and `cache_audio_read_mtok`. What a provider's own tools cost, such as
    `web_searches_kcount`, is not in it: nobody knows before how often they will be used.
    """
    found = {"input": Decimal(0), "output": Decimal(0), "request": Decimal(0)}
    for key, price in prices:
        if price is None or not (key.endswith("_mtok") or key == "requests_kcount"):
            continue
        kind = "request" if key == "requests_kcount" else "output" if key.startswith("output") else "input"
        steps = [price] if isinstance(price, Decimal) else [price.base, *(tier.price for tier in price.tiers)]
        found[kind] = max(found[kind], *(step / (_THOUSAND if kind == "request" else _MILLION) for step in steps))
    return PriceCeiling(**found)
