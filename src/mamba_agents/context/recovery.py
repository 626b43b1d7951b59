"""A model whose refusal of a long prompt is met by a shorter one."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, override

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, repair_messages
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from mamba_agents.context.compactor import Request
from mamba_agents.context.overflow import is_context_overflow, prompt_tokens_in, window_in
from mamba_agents.context.requesting import Requesting
from mamba_agents.context.shortening import Shortening
from mamba_agents.errors import ContextOverflowError

_HARDER = 0.5
"""Each further attempt aims at this share of the one before."""

_logger = logging.getLogger("mamba_agents.context")


class RecoveringModel(WrapperModel):
    """Shortens the history and asks again when the wrapped model says that a request is too long.

    Nothing was done by then, so asking again repeats nothing. After `overflow_retries` attempts, which may be none, it
    raises `ContextOverflowError` with the figures.
    """

    def __init__(self, wrapped: Model, shortening: Shortening) -> None:
        super().__init__(wrapped)
        self._shortening = shortening
        self._compactor = shortening.compactor

    @override
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        try:
            return await self.wrapped.request(messages, model_settings, model_request_parameters)
        except Exception as error:
            if not is_context_overflow(error):
                raise
            sent = self._sent(messages, model_settings, model_request_parameters)
            return await self.recovered(error, sent, self._shortening.requests.of(None))

    async def recovered(self, error: Exception, sent: Request, requesting: Requesting | None) -> ModelResponse:
        """The answer to a request that was refused, sent again with less."""
        attempt, parameters = 1, sent.parameters or ModelRequestParameters()
        while True:
            messages = await self._shorter(sent, error, attempt, requesting)
            try:
                return await self.wrapped.request(messages, sent.settings, parameters)
            except Exception as again:
                if not is_context_overflow(again):
                    raise
                sent, error, attempt = replace(sent, messages=messages), again, attempt + 1

    @override
    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        attempt = 0
        async with AsyncExitStack() as stack:
            while True:
                opening = self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)
                try:
                    stream = await stack.enter_async_context(opening)
                    break
                except Exception as error:
                    if not is_context_overflow(error):
                        raise
                    attempt += 1
                    request = self._sent(messages, model_settings, model_request_parameters)
                    requesting = self._shortening.requests.of(None if run_context is None else run_context.run_id)
                    messages = await self._shorter(request, error, attempt, requesting)
            yield stream

    def _sent(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> Request:
        return Request(messages=messages, model=self.wrapped, parameters=parameters, settings=settings)

    async def _shorter(
        self, sent: Request, error: Exception, attempt: int, requesting: Requesting | None
    ) -> list[ModelMessage]:
        """The messages to send in place of those that were refused; raises where nothing is left to take out."""
        window, reported = window_in(error), prompt_tokens_in(error)
        size = reported or self._compactor.gauge(self.wrapped).estimate(sent.messages, sent.parameters)
        await self._compactor.windows.learn(self.wrapped, window, too_many=size)
        limits = await self._compactor.windows.limits(self.wrapped, sent.settings)
        _logger.warning("%s refused a request of %d tokens as too long: %s", self.model_name, size, error)
        retries = self._compactor.config.overflow_retries
        if attempt <= retries:
            # Where the server told both figures, the first attempt can aim well; all others only lower.
            harder = 1 if attempt == 1 and reported and window else _HARDER**attempt
            target_tokens = int(min(limits.target, size) * harder)
            shorter = await self._compacted(replace(sent, reported_tokens=reported), target_tokens, requesting)
            if shorter is not None:
                return shorter
        was_compacted = requesting is not None and requesting.was_compacted
        raise ContextOverflowError(size, limits.window, was_compacted or retries > 0) from error

    async def _compacted(
        self, sent: Request, target_tokens: int, requesting: Requesting | None
    ) -> list[ModelMessage] | None:
        """The messages, shortened; None where there is nothing to take out."""
        if requesting is None:
            result = await self._shortening.compact(None, sent, target_tokens, at_most_tokens=target_tokens)
        elif self._is_whole_history(requesting, sent):
            whole = replace(sent, messages=requesting.history or list(requesting.ctx.messages))
            result = await self._shortening.compact(requesting.ctx, whole, target_tokens, at_most_tokens=target_tokens)
            requesting.history = result.messages
            self._shortening.sent_again(requesting.ctx, whole, result)
        else:
            result = await self._shortening.compact(requesting.ctx, sent, target_tokens, at_most_tokens=target_tokens)
        return self._prepared(result.messages, sent) if result.tokens_after < result.tokens_before else None

    def _is_whole_history(self, requesting: Requesting, sent: Request) -> bool:
        """Whether the run's history is what is sent.

        Where a capability changed this one request, as by taking secrets out, they must not come back.
        """
        if not requesting.was_shortened:
            requesting.was_shortened = True
            requesting.is_whole_history = self._prepared(requesting.ctx.messages, sent) == sent.messages
        return requesting.is_whole_history

    def _prepared(self, messages: Sequence[ModelMessage], sent: Request) -> list[ModelMessage]:
        """The messages as pydantic-ai sends them."""
        repaired = repair_messages(list(messages))
        return self.wrapped.prepare_messages(repaired, sent.parameters or ModelRequestParameters())
