"""Prices from settings, in place of the price table's."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from mamba_agents.tokens import CostEstimator, ModelRate, TokenUsage


@dataclass
class CustomRates(AbstractCapability[Any]):
    """Bills requests to a model named in `rates`: as `"gpt-4o"`, or as `"openai:gpt-4o"` for one provider's."""

    rates: Mapping[str, ModelRate]
    _: KW_ONLY
    id: str | None = "mamba_custom_rates"

    def get_wrapper_model(self, model: Model) -> Model | None:
        """The model, priced; None when no rate is for it."""
        for name in (f"{model.system}:{model.model_name}", model.model_name):
            if name in self.rates:
                return RatedModel(model, self.rates[name])
        return None


class RatedModel(WrapperModel):
    """A model whose requests cost what its rate says."""

    def __init__(self, wrapped: Model, rate: ModelRate) -> None:
        super().__init__(wrapped)
        self._estimator = CostEstimator({wrapped.model_name: rate})

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The model's response, priced."""
        return self._priced(await super().request(messages, model_settings, model_request_parameters))

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """The model's stream, whose response is priced."""
        async with super().request_stream(messages, model_settings, model_request_parameters, run_context) as stream:
            unpriced = stream.get
            # pydantic-ai asks the stream for its response, also for a cut one, and prices what has no cost by then.
            stream.get = lambda: self._priced(unpriced())
            yield stream

    def _priced(self, response: ModelResponse) -> ModelResponse:
        usage = response.usage
        response.usage.cost = self._estimator.estimate(
            TokenUsage(
                prompt_tokens=usage.input_tokens,
                completion_tokens=usage.output_tokens,
                cached_tokens=usage.cache_read_tokens,
                cache_write_tokens=usage.cache_write_tokens,
            ),
            self.model_name,
        )
        return response
