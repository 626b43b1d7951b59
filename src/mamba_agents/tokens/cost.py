"""What tokens cost."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mamba_agents.tokens.config import ModelRate
from mamba_agents.tokens.given import A_USAGE, require, whole_number
from mamba_agents.tokens.servers import server_price
from mamba_agents.tokens.usage import TokenUsage

if TYPE_CHECKING:  # so that counting does not load pydantic-ai
    from pydantic_ai.messages import ModelResponse

_MILLION = Decimal(1_000_000)
_NOTHING = Decimal(0)
_MODEL = "a model's name, as text"
_RATE = "USD for a million tokens, as in ModelRate(input=…, output=…) or the same as a mapping"

type Rate = ModelRate | Mapping[str, object]
"""A rate, or the fields of one, as settings have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBreakdown:
    """USD for what was sent and what came back."""

    prompt_cost: Decimal
    completion_cost: Decimal
    total_cost: Decimal
    model: str


class CostEstimator:
    """Prices usage: by the rates it was given, else by the table of `genai-prices`, which knows cache, audio and tiers.

    Models are named `"gpt-4o"`, or `"openai:gpt-4o"` for one provider's. A rate's name may be a pattern, such as
    `"gpt-4*"` or `"ollama:*"`; the exact name wins over patterns, and a longer pattern over a shorter one. A model that
    neither knows has no price, which is None and never 0; servers of one's own, such as `"ollama:llama3.2"`, cost 0.
    """

    def __init__(self, custom_rates: Mapping[str, Rate] | None = None) -> None:
        """Make an estimator.

        Raises:
            TypeError: no mapping of names to rates.
            ValueError: a rate that is below 0, not finite, or lacks `input` or `output`.
        """
        rates: Mapping[str, Rate] = {} if custom_rates is None else custom_rates
        require("rates", rates, Mapping, expected="a mapping of model names to rates, such as settings.cost_rates")
        self._rates = {model: _checked(model, rate) for model, rate in rates.items()}
        self._patterns = _patterns(self._rates)
        self.revision = 0
        """Another number whenever a rate is set: what was looked up before may be another rate now."""

    def get_rate(self, model: str) -> ModelRate | None:
        """The given rate that prices this model; None when the price table decides."""
        require("a model", model, str, expected=_MODEL)
        names = list(_names(model))
        for name in names:
            if name in self._rates:
                return self._rates[name]
        for pattern in self._patterns:
            if any(fnmatchcase(name, pattern) for name in names):
                return self._rates[pattern]
        return None

    def set_rate(self, model: str, rate: Rate) -> None:
        """Price a model, or those that a pattern names, from now on.

        Raises:
            TypeError: no rate at all, or a model that is not named.
            ValueError: a rate that is below 0, not finite, or lacks `input` or `output`.
        """
        rates = {**self._rates, model: _checked(model, rate)}  # others may be looking rates up meanwhile
        self._patterns = _patterns(rates)
        self._rates = rates
        self.revision += 1

    def get_all_rates(self) -> dict[str, ModelRate]:
        """The given rates by model or pattern; a new dict."""
        return dict(self._rates)

    def breakdown(self, usage: TokenUsage, model: str, *, when: datetime | None = None) -> CostBreakdown | None:
        """What the usage costs, in and out apart; None when the model has no known price.

        `when` it was used matters to providers whose prices change with the hour or the year; None is now. Figures that
        cannot be, such as some below 0, have no price.

        Raises:
            TypeError: no TokenUsage, no model's name or no datetime.
        """
        require("usage", usage, TokenUsage, expected=A_USAGE)
        if when is not None:
            require("when", when, datetime, expected="a datetime, or None for now")
        rate = self.get_rate(model)
        if rate is not None:
            return _by_rate(usage, rate, model)
        provider, name = _parted(model)
        if model == "local" or server_price(provider, None, name) == "free":
            return CostBreakdown(prompt_cost=_NOTHING, completion_cost=_NOTHING, total_cost=_NOTHING, model=model)
        return _by_price_table(usage, model, when)

    def estimate(self, usage: TokenUsage, model: str) -> Decimal | None:
        """USD for the usage; None when the model has no known price."""
        breakdown = self.breakdown(usage, model)
        return breakdown and breakdown.total_cost

    def estimate_tokens(self, n: int, model: str) -> Decimal | None:
        """USD for sending `n` tokens; None when the model has no known price.

        Raises:
            TypeError: no whole number, or no model's name.
            ValueError: below 0.
        """
        tokens = whole_number("n", n)
        return self.estimate(TokenUsage(prompt_tokens=tokens, total_tokens=tokens), model)


FREE_KEY = "mamba_agents.is_free"
"""Where the metadata of a reply says that its model costs nothing, whatever it used."""


def response_cost(response: "ModelResponse") -> Decimal | None:
    """USD for one reply; None when the price is unknown, as it is for a reply that was cut before its usage came.

    pydantic-ai prices such a reply at 0, since it counts no tokens.
    """
    cost = response.usage.cost
    if cost != 0 or not _says_nothing(response):
        return cost
    if response.metadata is not None and FREE_KEY in response.metadata:
        return cost
    is_free = server_price(response.provider_name, response.provider_url, response.model_name) == "free"
    return cost if is_free else None


def _says_nothing(response: "ModelResponse") -> bool:
    """Whether a reply used more than it tells: nothing came of its usage before it was cut."""
    usage = response.usage
    return not usage.total_tokens and bool(usage.unmeasured_requests or response.state != "complete")


def full_name(provider: str | None, model: str | None) -> str:
    """How rates and the price table know a model."""
    return f"{provider}:{model}" if provider else model or ""


def _checked(model: object, rate: object) -> ModelRate:
    """The rate, checked also where it is a `ModelRate`: one that was copied with an update is not."""
    require("the model of a rate", model, str, expected=_MODEL)
    kind = type(rate) if isinstance(rate, ModelRate) else ModelRate
    require(f"the rate of {model!r}", rate, (ModelRate, Mapping), expected=_RATE)
    try:
        return kind.model_validate(dict(cast("Mapping[str, object]", rate)))
    except ValidationError as error:
        problems = ", ".join(_problem(detail) for detail in error.errors(include_url=False))
        raise ValueError(f"found a rate of {model!r} {problems}; expected {_RATE}") from None


def _problem(detail: ErrorDetails) -> str:
    field, message = detail["loc"][0], detail["msg"]
    match detail["type"]:
        case "missing":
            return f"without {field}"
        case "extra_forbidden":
            return f"with {field}, which is no field of it"
        case _:
            return f"with {field}={detail['input']!r} ({message[0].lower()}{message[1:]})"


def _patterns(rates: Mapping[str, ModelRate]) -> list[str]:
    """Those of the names that are patterns, the most particular first."""
    patterns = (name for name in rates if any(sign in name for sign in "*?["))
    return sorted(patterns, key=lambda name: (len(name), name), reverse=True)


def _names(model: str) -> Iterator[str]:
    """What rates may call a model: its whole name, then the one without its provider."""
    yield model
    provider, name = _parted(model)
    if provider is not None:
        yield name


def _parted(model: str) -> tuple[str | None, str]:
    """The provider and the name, of which the latter may have colons too: `ollama:qwen3:4b`, or OpenAI's `ft:…`."""
    provider, colon, name = model.partition(":")
    return (provider, name) if colon and provider != "ft" else (None, model)


def _by_rate(usage: TokenUsage, rate: ModelRate, model: str) -> CostBreakdown | None:
    prompt, completion = _prompt_cost(usage, rate), _completion_cost(usage, rate)
    if prompt is None or completion is None:
        return None
    return CostBreakdown(prompt_cost=prompt, completion_cost=completion, total_cost=prompt + completion, model=model)


def _prompt_cost(usage: TokenUsage, rate: ModelRate) -> Decimal | None:
    """USD for what was sent; None for figures that cannot be, whose parts are more than their whole."""
    cached_audio, hour = usage.cached_audio_tokens, usage.cache_write_1h_tokens
    cached, written = usage.cached_tokens - cached_audio, usage.cache_write_tokens - hour
    audio = usage.input_audio_tokens - cached_audio
    plain = usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens - audio
    if min(plain, cached, written, audio) < 0:
        return None
    read_rate = _first(rate.cache_read, rate.input)
    write_rate = _first(rate.cache_write, rate.input)
    audio_rate = _first(rate.input_audio, rate.input)
    return (
        plain * rate.input
        + cached * read_rate
        + written * write_rate
        + hour * _first(rate.cache_write_1h, write_rate)
        + audio * audio_rate
        + cached_audio * _first(rate.cache_audio_read, rate.cache_read, audio_rate)
    ) / _MILLION


def _completion_cost(usage: TokenUsage, rate: ModelRate) -> Decimal | None:
    audio = usage.output_audio_tokens
    if audio > usage.completion_tokens:
        return None
    audio_rate = _first(rate.output_audio, rate.output)
    return ((usage.completion_tokens - audio) * rate.output + audio * audio_rate) / _MILLION


def _first(*rates: Decimal | None) -> Decimal:
    return next((rate for rate in rates if rate is not None), _NOTHING)


def _by_price_table(usage: TokenUsage, model: str, when: datetime | None) -> CostBreakdown | None:
    # Only here is the price table loaded, which few need at start; pydantic-ai's usage is what it reads.
    from genai_prices import calc_price  # noqa: PLC0415
    from pydantic_ai.usage import RequestUsage  # noqa: PLC0415

    provider, name = _parted(model)
    used = RequestUsage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        cache_audio_read_tokens=usage.cached_audio_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
    )
    try:
        price = calc_price(used, name, provider_id=provider, genai_request_timestamp=when)
    except (LookupError, ValueError):
        return None
    return CostBreakdown(
        prompt_cost=price.input_price, completion_cost=price.output_price, total_cost=price.total_price, model=model
    )
