"""The time that a run may take."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any

from pydantic_ai import AgentRunResult, RunContext, SkipModelRequest, ToolDefinition
from pydantic_ai.capabilities import AbstractCapability, ValidatedToolArgs, WrapRunHandler, WrapToolExecuteHandler
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent, TextPart, ToolCallPart
from pydantic_ai.models import (
    CompletedStreamedResponse,
    Model,
    ModelRequestContext,
    ModelRequestParameters,
    StreamedResponse,
)
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RunUsage

from mamba_agents.agent.layers.closing import can_close, closing, last_text
from mamba_agents.agent.layers.warn import logger, warn
from mamba_agents.agent.stops import STOP_REASON_KEY
from mamba_agents.errors import BudgetExceededError
from mamba_agents.tokens.budget import OnExceeded


@dataclass
class RunDeadline(AbstractCapability[Any]):
    """Ends a run after `seconds`, in the middle of a request or a tool if need be.

    A tool that is not async goes on in its thread, and the run waits for it: threads cannot be cancelled.
    """

    seconds: float
    on_exceeded: OnExceeded = "stop"
    _: KW_ONLY
    id: str | None = "mamba_run_deadline"
    _clocks: dict[str, "RunClock"] = field(default_factory=dict[str, "RunClock"], init=False, repr=False)

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """The run's result; its time begins here."""
        run_id = ctx.run_id or ""
        self._clocks[run_id] = RunClock(self, ctx)
        try:
            return await handler()
        finally:
            self._clocks.pop(run_id, None)

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Let the request pass, or answer in its place."""
        clock = self._clock(ctx)
        if clock.is_over():
            if self.on_exceeded == "warn":
                clock.say()
                return request_context
            raise SkipModelRequest(clock.closing(ctx.messages, request_context.model_request_parameters))
        _requesting.set({**_requesting.get(), id(self): clock})
        return request_context

    def get_wrapper_model(self, model: Model) -> Model | None:
        """The model, which has until the end of the run's time."""
        clock = _requesting.get().get(id(self))
        return None if clock is None or self.on_exceeded == "warn" else TimedModel(model, clock)

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """The tool's result, or word that there was no time for it; the run ends before its next request."""
        if self.on_exceeded == "warn":
            return await handler(args)
        clock = self._clock(ctx)
        timeout = asyncio.timeout_at(clock.end)
        try:
            async with timeout:
                return await handler(args)
        except TimeoutError as error:
            if not timeout.expired():
                raise  # the tool's own
            if self.on_exceeded == "raise":
                raise clock.error() from error
            return f"Stopped: the {self.seconds:g} seconds of this run are over."

    def _clock(self, ctx: RunContext[Any]) -> "RunClock":
        clock = self._clocks.get(ctx.run_id or "")
        return self._clocks.setdefault(ctx.run_id or "", RunClock(self, ctx)) if clock is None else clock


class RunClock:
    """The time of one run."""

    def __init__(self, layer: RunDeadline, ctx: RunContext[Any]) -> None:
        self._layer = layer
        self._loop = asyncio.get_running_loop()
        self._run_id = ctx.run_id
        self._usage: RunUsage = ctx.usage
        self._begun = self._loop.time()
        self._said = False
        self.end = self._begun + layer.seconds
        """When it is over, on the event loop's clock."""

    def is_over(self) -> bool:
        """Whether there is no time left."""
        return self._loop.time() >= self.end

    def error(self) -> BudgetExceededError:
        """What is raised where the run does not end with text."""
        spent = round(self._loop.time() - self._begun, 3)
        return BudgetExceededError("run", "seconds", limit=self._layer.seconds, spent=spent, key=self._run_id)

    def say(self) -> None:
        """Say once that the time is over."""
        if not self._said:
            self._said = True
            warn(f"{self.error().message}; the run goes on")

    def check_may_close(self, parameters: ModelRequestParameters) -> None:
        """Raise the error, unless the run can end with text."""
        if self._layer.on_exceeded == "raise" or not can_close(parameters):
            raise self.error()
        logger.warning(self.error().message)

    def closing(self, messages: list[ModelMessage], parameters: ModelRequestParameters) -> ModelResponse:
        """What the run ends with in place of a request."""
        self.check_may_close(parameters)
        # pydantic-ai counts what is answered in the model's place as a request too.
        self._usage.requests -= 1
        return closing("timeout", messages, self._run_id, otherwise=self._otherwise)

    def ended(self, response: ModelResponse, messages: list[ModelMessage]) -> ModelResponse:
        """What came of a response by the end of the time, as the run's last one. Its tool calls may be cut, and go."""
        parts = [part for part in response.parts if not isinstance(part, ToolCallPart)]
        if response.text is None:
            parts.append(TextPart(last_text(messages, self._run_id) or self._otherwise))
        metadata = {**(response.metadata or {}), STOP_REASON_KEY: "timeout"}
        return replace(response, parts=parts, metadata=metadata, finish_reason="stop", state="complete")

    @property
    def _otherwise(self) -> str:
        return f"Stopped after {self._layer.seconds:g} seconds without an answer."


class TimedModel(WrapperModel):
    """A model that has until the end of its run's time."""

    def __init__(self, wrapped: Model, clock: RunClock) -> None:
        super().__init__(wrapped)
        self._clock = clock

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The model's response, or what the run ends with."""
        timeout = asyncio.timeout_at(self._clock.end)
        try:
            async with timeout:
                return await super().request(messages, model_settings, model_request_parameters)
        except TimeoutError:
            if not timeout.expired():
                raise
        return self._clock.closing(messages, model_request_parameters)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """The model's stream as far as it came in time."""
        opening = super().request_stream(messages, model_settings, model_request_parameters, run_context)
        async with AsyncExitStack() as stack:
            stream = None
            timeout = asyncio.timeout_at(self._clock.end)
            try:
                async with timeout:
                    stream = await stack.enter_async_context(opening)
            except TimeoutError:
                if not timeout.expired():
                    raise
            if stream is None:
                closed = self._clock.closing(messages, model_request_parameters)
                yield CompletedStreamedResponse(
                    closed, model_request_parameters=model_request_parameters, replay_events=True
                )
            else:
                yield self._timed(stream, messages)

    def _timed(self, stream: StreamedResponse, messages: list[ModelMessage]) -> StreamedResponse:
        """The same stream, which ends when the time does."""
        clock, received, events = self._clock, stream.get, aiter(stream)
        is_over = False

        async def in_time() -> AsyncIterator[ModelResponseStreamEvent]:
            nonlocal is_over
            while True:
                timeout = asyncio.timeout_at(clock.end)
                try:
                    async with timeout:
                        event = await anext(events)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    if not timeout.expired():
                        raise
                    clock.check_may_close(stream.model_request_parameters)
                    is_over = True
                    return
                yield event

        stream.get = lambda: clock.ended(received(), messages) if is_over else received()
        # As pydantic-ai's FallbackModel does: the stream hands out what stands here (2.62).
        stream._event_iterator = in_time()  # pyright: ignore[reportPrivateUsage]
        return stream


_requesting: ContextVar[dict[int, RunClock]] = ContextVar("mamba_agents_requesting_clocks", default={})  # noqa: B039
