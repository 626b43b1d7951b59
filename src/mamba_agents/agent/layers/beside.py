"""Models that are asked beside a run's own requests, such as for a summary."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from mamba_agents.agent.layers.metering import MeasureRequests


class NotedModel(WrapperModel):
    """A model each of whose requests is on its run's record at once: who is cancelled meanwhile tells of none."""

    def __init__(self, wrapped: Model, run_id: str, metering: MeasureRequests) -> None:
        super().__init__(wrapped)
        self._run_id, self._metering = run_id, metering

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The model's response."""
        request = self._metering.begin_beside(self._run_id, self.wrapped)
        try:
            request.answer = await self.wrapped.request(messages, model_settings, model_request_parameters)
        except asyncio.CancelledError:
            request.cut_off()
            raise
        finally:
            request.stop()
        return request.answer

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """The model's stream."""
        request = self._metering.begin_beside(self._run_id, self.wrapped)
        opening = self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)
        try:
            async with opening as stream:
                try:
                    yield stream
                finally:
                    request.answer = stream.get()
        except asyncio.CancelledError:
            request.cut_off()
            raise
        finally:
            request.stop()
