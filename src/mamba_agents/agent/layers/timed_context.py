"""The context of a run whose time is limited."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, override

from pydantic_ai import RunContext, SkipModelRequest
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import ModelRequestContext

from mamba_agents.agent.layers.deadline import RunDeadline
from mamba_agents.context import CompactContext


@dataclass(kw_only=True)
class TimedContext(CompactContext):
    """Shortens histories until the run's time is over: then the history stays as it was, and the run ends."""

    deadline: RunDeadline

    @override
    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        shortened = await self._in_time(ctx, super().before_model_request(ctx, request_context))
        if shortened is None:
            raise SkipModelRequest(self.deadline.closing(ctx, request_context.model_request_parameters))
        return shortened

    @override
    async def on_model_request_error(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, error: Exception
    ) -> ModelResponse:
        recovering = super().on_model_request_error(ctx, request_context=request_context, error=error)
        answer = await self._in_time(ctx, recovering)
        return answer or self.deadline.closing(ctx, request_context.model_request_parameters)

    async def _in_time[T](self, ctx: RunContext[Any], work: Awaitable[T]) -> T | None:
        """What comes of the work; None where the run's time is over before."""
        timeout = self.deadline.timeout(ctx)
        try:
            async with timeout:
                return await work
        except TimeoutError:
            if not timeout.expired():
                raise
        return None
