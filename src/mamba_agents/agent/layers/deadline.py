"""The time that a run may take."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from pydantic_ai import AgentRunResult, RunContext, SkipModelRequest, ToolDefinition
from pydantic_ai.capabilities import AbstractCapability, ValidatedToolArgs, WrapRunHandler, WrapToolExecuteHandler
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent, ToolCallPart
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

from mamba_agents._internal.in_task import InTask
from mamba_agents.agent.layers.closing import Ending
from mamba_agents.agent.layers.warn import warn
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
            raise SkipModelRequest(self.closing(ctx, request_context.model_request_parameters))
        _requesting.set(self, clock)
        return request_context

    def get_wrapper_model(self, model: Model) -> Model | None:
        """The model, which has until the end of the run's time."""
        clock = _requesting.get(self)
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
        timeout = self.timeout(ctx)
        try:
            async with timeout:
                return await handler(args)
        except TimeoutError as error:
            if not timeout.expired():
                raise  # the tool's own
            if self.on_exceeded == "raise":
                raise self._clock(ctx).error() from error
            return f"Stopped: the {self.seconds:g} seconds of this run are over."

    def timeout(self, ctx: RunContext[Any]) -> asyncio.Timeout:
        """A limit on what a run does now: the end of its time."""
        return asyncio.timeout_at(self._clock(ctx).end)

    def closing(self, ctx: RunContext[Any], parameters: ModelRequestParameters) -> ModelResponse:
        """What a run whose time is over ends with in place of a request."""
        return self._clock(ctx).closing(ctx.messages, parameters)

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

    def closing(self, messages: list[ModelMessage], parameters: ModelRequestParameters) -> ModelResponse:
        """What the run ends with in place of a request."""
        return self.ending().in_place_of_request(self._usage, messages, parameters)

    def ending(self) -> Ending:
        """The end of the run, as of now."""
        error = self.error()
        return Ending(
            reason="timeout",
            run_id=self._run_id,
            otherwise=f"Stopped after {self._layer.seconds:g} seconds without an answer.",
            error=error,
            may_close=self._layer.on_exceeded == "stop",
            log_line=error.message,
        )


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
        ending: Ending | None = None

        async def in_time() -> AsyncIterator[ModelResponseStreamEvent]:
            nonlocal ending
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
                    end = clock.ending()
                    end.check(stream.model_request_parameters)
                    ending = end
                    return
                yield event

        stream.get = lambda: received() if ending is None else ending.of_response(received(), messages, is_cut=True)
        # As pydantic-ai's FallbackModel does: the stream hands out what stands here (2.62).
        stream._event_iterator = in_time()  # pyright: ignore[reportPrivateUsage]
        return stream


_requesting = InTask[RunClock]("mamba_agents_requesting_clocks")
