"""Prices that pydantic-ai would get wrong: those of settings, and of servers of one's own."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from decimal import Decimal
from typing import Any, Self

from pydantic_ai import FallbackExceptionGroup, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelRequestAttempt, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from mamba_agents._internal.models import Wrappers, bare_model, base_url
from mamba_agents.tokens import CostEstimator, ModelRate
from mamba_agents.tokens.cost import FREE_KEY, full_name
from mamba_agents.tokens.servers import server_price
from mamba_agents.tokens.usage import token_usage

_MILLION = Decimal(1_000_000)


@dataclass
class PriceRequests(AbstractCapability[Any]):
    """Bills requests by the rates of `estimator`, and not those to a server of one's own as its hosted namesake's.

    Without a rate, a server on this machine costs 0, and the price of one that is nobody's service is unknown.
    """

    estimator: CostEstimator = field(default_factory=CostEstimator)
    _: KW_ONLY
    id: str | None = "mamba_prices"

    def __post_init__(self) -> None:
        self._wrappers = Wrappers(self._wrap)
        self._revision = self.estimator.revision

    def get_wrapper_model(self, model: Model) -> Model | None:
        """The model, priced, and the same for the same model and rates; None when pydantic-ai knows better."""
        if self._revision != (revision := self.estimator.revision):
            self._wrappers = Wrappers(self._wrap)
            self._revision = revision
        return self._wrappers.around(model)

    def _wrap(self, model: Model) -> "PricedModel | None":
        is_ours = any(self._is_ours_to_price(member) for member in _members(model))
        return PricedModel(model, self.estimator) if is_ours else None

    def reply_cut_off(self, model: Model) -> ModelResponse:
        """What stands for the answer to a request that was ended before any of it came.

        It was billed, and nobody tells how much, unless the model costs nothing.
        """
        is_free = all(self._is_free(member) for member in _members(model))
        return ModelResponse(
            parts=[],
            usage=RequestUsage(cost=Decimal(0) if is_free else None),
            model_name=model.model_name,
            provider_name=model.system,
            provider_url=base_url(model),
            metadata={FREE_KEY: True} if is_free else None,
            state="interrupted",
        )

    def _is_free(self, model: Model) -> bool:
        if (rate := self.estimator.get_rate(f"{model.system}:{model.model_name}")) is not None:
            return rate.input == rate.output == 0
        return server_price(model.system, base_url(model), model.model_name) == "free"

    def price(self, response: ModelResponse) -> None:
        """Put a cost on a reply that came by another way than a run's, and that nobody priced or priced wrongly."""
        usage, provider, model = response.usage, response.provider_name, response.model_name
        name = full_name(provider, model)
        if (rate := self.estimator.get_rate(name)) is not None:
            usage.cost = self.estimator.estimate(token_usage(usage), name)
            _say_if_free(response, rate)
            return
        kind = server_price(provider, response.provider_url, model)
        if kind != "listed":
            usage.cost = Decimal(0) if kind == "free" else None
        elif usage.cost is None and model is not None:
            with suppress(LookupError, ValueError):  # nobody knows a price
                usage.cost = response.cost().total_price

    def _is_ours_to_price(self, model: Model) -> bool:
        if self.estimator.get_rate(f"{model.system}:{model.model_name}") is not None:
            return True
        return server_price(model.system, base_url(model), model.model_name) != "listed"


class PricedModel(WrapperModel):
    """A model whose requests cost what its rate or its server says."""

    def __init__(self, wrapped: Model, estimator: CostEstimator) -> None:
        super().__init__(wrapped)
        self._estimator = estimator
        self._members = [f"{member.system}:{member.model_name}" for member in _members(wrapped)]
        self._known_rates: dict[tuple[str | None, str], tuple[str, ModelRate] | None] = {}
        """By provider and name of a reply."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The model's response, priced."""
        try:
            return self._priced(await self.wrapped.request(messages, model_settings, model_request_parameters))
        except FallbackExceptionGroup as group:
            # What models answered and nobody wanted was billed all the same.
            self._price_attempts(group.attempts)
            raise

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """The model's stream, whose response is priced."""
        opening = self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)
        async with opening as stream:
            unpriced = stream.get
            # pydantic-ai asks the stream for its response, also for a cut one, and prices what has no cost by then.
            stream.get = lambda: self._priced(unpriced())
            yield stream

    def _priced(self, response: ModelResponse) -> ModelResponse:
        name = response.model_name or self.model_name
        usage = self._price(response.usage, response.provider_name, response.provider_url, name)
        self._price_attempts(response.failed_attempts or ())
        if not usage.total_tokens and (rated := self._rated(response.provider_name, name)) is not None:
            _say_if_free(response, rated[1])
        return response if usage is response.usage else replace(response, usage=usage)

    def _price_attempts(self, attempts: Sequence[ModelRequestAttempt]) -> None:
        for attempt in attempts:
            if attempt.usage is not None:
                self._price(attempt.usage, attempt.provider_name, None, attempt.model_name)
                self._take_back(attempt.usage, attempt.provider_name, attempt.model_name)

    def _take_back(self, usage: RequestUsage, provider: str | None, name: str) -> None:
        """Have an attempt not cost what pydantic-ai says without the address: the price of the hosted namesake."""
        if self._rated(provider, name) is not None:
            return
        members = (each for each in _members(self.wrapped) if each.system == provider)
        kinds = {server_price(provider, base_url(each), name) for each in members if name.startswith(each.model_name)}
        if kinds - {"listed"} and usage.cost == self._estimator.estimate(token_usage(usage), full_name(provider, name)):
            usage.cost = Decimal(0) if kinds == {"free"} else None

    def _price(self, usage: RequestUsage, provider: str | None, url: str | None, name: str) -> RequestUsage:
        if (rated := self._rated(provider, name)) is not None:
            model, rate = rated
            usage.cost = _cost_of_text(usage, rate)
            if usage.cost is None:
                usage.cost = self._estimator.estimate(token_usage(usage), model)
            return usage
        kind = server_price(provider, url, name)
        if kind == "free" and usage.cost is None:
            usage.cost = Decimal(0)
        return UnpricedUsage.of(usage) if kind == "unknown" and usage.cost is None else usage

    def _rated(self, provider: str | None, name: str) -> tuple[str, ModelRate] | None:
        """The name by which the rates know the model of a reply, and its rate."""
        key = provider, name
        if key not in self._known_rates:
            names = [*self._asked_for(name), full_name(provider, name)]
            rates = ((each, self._estimator.get_rate(each)) for each in names)
            self._known_rates[key] = next(((each, rate) for each, rate in rates if rate is not None), None)
        return self._known_rates[key]

    def _asked_for(self, answered: str) -> list[str]:
        """The models that may have answered under this name, which may say more than they were asked for, as a date."""
        if len(self._members) == 1:
            return self._members
        return [member for member in self._members if answered.startswith(member.partition(":")[2])]


class UnpricedUsage(RequestUsage):
    """Usage whose price is unknown and stays so: pydantic-ai would fill in that of the model's hosted namesake."""

    @classmethod
    def of(cls, usage: RequestUsage) -> Self:
        """The same figures."""
        if isinstance(usage, cls):
            return usage
        return cls(**{name: value for name, value in usage.__dict__.items() if name != "cost"})

    def __setattr__(self, name: str, value: object) -> None:
        if name != "cost":
            super().__setattr__(name, value)


def _say_if_free(response: ModelResponse, rate: ModelRate) -> None:
    """Have a reply say that its price is known, though it does not tell what it used, where its rate is 0."""
    if rate.input == rate.output == 0 and not response.usage.total_tokens:
        response.metadata = {**(response.metadata or {}), FREE_KEY: True}


def _cost_of_text(usage: RequestUsage, rate: ModelRate) -> Decimal | None:
    """USD for tokens that are all of one price, in and out; None where some are not, such as cached ones.

    Most are, and pricing every kind apart takes twenty times as long.
    """
    if usage.cache_read_tokens or usage.cache_write_tokens or usage.input_audio_tokens or usage.output_audio_tokens:
        return None
    return (usage.input_tokens * rate.input + usage.output_tokens * rate.output) / _MILLION


def _members(model: Model) -> list[Model]:
    """The models that may answer."""
    model = bare_model(model)
    return (
        [member for each in model.models for member in _members(each)] if isinstance(model, FallbackModel) else [model]
    )
