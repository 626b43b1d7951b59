"""The model of a run that has a budget."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from pydantic_ai import FallbackExceptionGroup, RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import CompletedStreamedResponse, Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from mamba_agents._internal.models import bare_model
from mamba_agents.agent.layers.budget.hold import Hold
from mamba_agents.agent.layers.budget.run import RunBudget
from mamba_agents.agent.layers.budget.terms import Terms
from mamba_agents.agent.layers.closing import Ending
from mamba_agents.errors import BudgetExceededError


class BudgetedModel(WrapperModel):
    """A model that asks for room before each request, and settles after it, however the request ends."""

    def __init__(
        self,
        wrapped: Model,
        terms: Terms,
        find_run: Callable[[str | None], RunBudget],
        *,
        on_settled: Callable[[ModelResponse], None] | None = None,
    ) -> None:
        super().__init__(wrapped)
        self._terms = terms
        self._bare = bare_model(wrapped)
        self._find_run = find_run
        self._on_settled = on_settled
        # What is asked beside the run's own requests has no text to end with.
        self._raises = on_settled is not None or terms.config.on_exceeded != "stop"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The model's response, or what the run ends with at a cap."""
        run, traits = self._find_run(None), self._terms.traits(self._bare)
        ceiling = run.ceiling(self.wrapped, traits)
        hold = Hold(run, self.wrapped, messages, model_request_parameters, model_settings, ceiling)
        if (ask := hold.try_fill(traits)) is not None:
            try:
                await hold.fill(ask)
            except BudgetExceededError as error:
                return self._closing(error, hold)
        try:
            response = await self.wrapped.request(messages, hold.settings, model_request_parameters)
        except FallbackExceptionGroup as group:
            hold.release(group.attempts)
            raise
        except asyncio.CancelledError:
            hold.cut_off()
            raise
        except BaseException:
            hold.release()
            raise
        hold.price(response)
        hold.settle(response)
        if self._on_settled is not None:
            self._on_settled(response)
        return self._ended(response, hold)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """The model's stream, or one of what the run ends with at a cap."""
        run = self._find_run(None if run_context is None else run_context.run_id)
        traits = self._terms.traits(self._bare)
        ceiling = run.ceiling(self.wrapped, traits)
        hold = Hold(run, self.wrapped, messages, model_request_parameters, model_settings, ceiling)
        closing = None
        if (ask := hold.try_fill(traits, streams=True)) is not None:
            try:
                await hold.fill(ask)
            except BudgetExceededError as error:
                closing = self._closing(error, hold)
        if closing is not None:
            yield CompletedStreamedResponse(
                closing, model_request_parameters=model_request_parameters, replay_events=True
            )
            return
        opening = self.wrapped.request_stream(messages, hold.settings, model_request_parameters, run_context)
        async with _settled(opening, hold) as stream:
            received = stream.get
            if hold.shortened is not None:
                stream.get = lambda: self._ended(received(), hold)
            yield stream

    def _closing(self, error: BudgetExceededError, hold: Hold) -> ModelResponse:
        """What the run ends with, or the error."""
        return self._ending(error, hold, log_line=error.message).in_place_of_request(
            hold.run.usage, hold.messages, hold.parameters
        )

    def _ended(self, response: ModelResponse, hold: Hold) -> ModelResponse:
        """The response, as the run's last one where it was cut for want of room."""
        error = hold.shortened
        if error is None or response.finish_reason != "length":
            return response
        ending = self._ending(error, hold)
        ending.check(hold.parameters)
        return ending.of_response(response, hold.messages)

    def _ending(self, error: BudgetExceededError, hold: Hold, log_line: str | None = None) -> Ending:
        return Ending(
            reason="budget",
            run_id=hold.run.run_id,
            otherwise=f"Stopped at a budget: {error.message}.",
            error=error,
            may_close=not self._raises,
            log_line=log_line,
        )


@asynccontextmanager
async def _settled(
    opening: AbstractAsyncContextManager[StreamedResponse], hold: Hold
) -> AsyncGenerator[StreamedResponse]:
    """The stream; what it used by the time it is left is counted."""
    received, is_cut = None, True
    try:
        async with opening as stream:
            received = stream.get
            yield stream
            is_cut = received().state not in ("complete", "suspended")
    except FallbackExceptionGroup as group:
        hold.release(group.attempts)
        raise
    except asyncio.CancelledError:
        if received is None:
            hold.cut_off()
        raise
    finally:
        if received is None:
            hold.release()
        else:
            hold.settle(received(), is_cut=is_cut)
