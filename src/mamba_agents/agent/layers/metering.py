"""What a run was billed for, and how long each request took."""

import asyncio
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal
from time import perf_counter
from typing import Any, Protocol

from pydantic_ai import AgentRunResult, RunCancelled, RunContext, RunUsage
from pydantic_ai.capabilities import AbstractCapability, WrapRunHandler
from pydantic_ai.messages import ModelRequestAttempt, ModelResponse
from pydantic_ai.models import Model, ModelRequestContext, ModelRequestParameters

from mamba_agents._internal.identity import ByIdentity
from mamba_agents.agent.layers.closing import ran_out_of_time
from mamba_agents.agent.layers.pricing import PriceRequests
from mamba_agents.tokens.billing import is_from_model
from mamba_agents.tokens.cost import response_cost
from mamba_agents.tokens.usage import RecordKind

UNPRICED_KEY = "_mamba_unpriced_requests"
"""Where a result keeps the number of the run's requests whose price is unknown, those of delegates included."""


class Ledger(Protocol):
    """What a request was billed for: pydantic-ai's own list, which has cut streams and replies that a hook refused.

    It is no public name (2.62). Where it is gone, a request has the answer that our hook saw.
    """

    responses: list[ModelResponse]
    attempts: list[ModelRequestAttempt]


class MeasuredRequest:
    """One request of a run, under way or done."""

    __slots__ = ("_ledger", "_model", "_rates", "answer", "kind", "parameters", "seconds", "started")

    def __init__(
        self,
        ledger: Ledger | None,
        kind: RecordKind = "response",
        model: Model | None = None,
        rates: PriceRequests | None = None,
        parameters: ModelRequestParameters | None = None,
    ) -> None:
        self.parameters = parameters
        """What it carried besides messages: instructions, tools, the form of the output."""
        self._ledger = ledger
        self._model = model
        self._rates = rates
        self.kind: RecordKind = kind
        self.answer: ModelResponse | None = None
        self.started = perf_counter()
        self.seconds: float | None = None

    def responses(self) -> list[ModelResponse]:
        """The replies that were billed: one, unless it was asked for again or was cut before it began."""
        answer = self.answer
        if self._ledger is None:
            return [] if answer is None else [answer]
        billed = self._ledger.responses
        # A copy with other figures may be what was billed: what they share is the time of their arrival.
        for response in billed:
            if answer is response or answer is None or answer.timestamp == response.timestamp:
                return billed
        return billed if answer is None else [*billed, answer]

    def attempts(self, responses: Sequence[ModelResponse]) -> list[ModelRequestAttempt]:
        """What other models of a `FallbackModel` answered before the request's `responses`, and was billed."""
        attempts: list[ModelRequestAttempt] = []
        for response in responses:
            if response.failed_attempts:
                attempts += response.failed_attempts
        if self._ledger is not None:
            attempts += self._ledger.attempts
        return [attempt for attempt in attempts if attempt.usage is not None] if attempts else attempts

    def stop(self) -> None:
        """Stop the clock."""
        self.seconds = perf_counter() - self.started

    def cut_off(self) -> None:
        """Note that it was ended now; where nothing of its answer had come, nobody knows what it cost."""
        if self.answer is not None or self._model is None or self._rates is None:
            return
        if not any(map(is_from_model, self.responses())):
            self.answer = self._rates.reply_cut_off(self._model)

    def unpriced(self) -> int:
        """The replies whose price is unknown."""
        count, responses = 0, self.responses()
        for response in responses:
            if response_cost(response) is None and is_from_model(response):
                count += 1
        for attempt in self.attempts(responses):
            if attempt.usage is None or attempt.usage.cost is None:
                count += 1
        return count


@dataclass
class MeasureRequests(AbstractCapability[Any]):
    """Notes the requests of every run and how long each took. Belongs innermost, so that it times the model alone."""

    rates: PriceRequests = field(default_factory=PriceRequests)
    _: KW_ONLY
    id: str | None = "mamba_metering"
    running: dict[str, list[MeasuredRequest]] = field(default_factory=dict[str, list[MeasuredRequest]])
    """The requests so far, by the ids of the runs that are under way."""

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Start the clock."""
        if ctx.run_id is not None:
            ledger: Ledger | None = getattr(request_context, "_usage_response_ledger", None)
            parameters = request_context.model_request_parameters
            request = MeasuredRequest(ledger, "response", request_context.model, self.rates, parameters)
            self.running.setdefault(ctx.run_id, []).append(request)
        return request_context

    async def after_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, response: ModelResponse
    ) -> ModelResponse:
        """Stop the clock."""
        request = _newest(self.running.get(ctx.run_id or "", ()))
        if request is not None:
            request.stop()
            if ran_out_of_time(response) and not is_from_model(response):
                request.cut_off()
            else:
                request.answer = response
        return response

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """The run's result, which knows how much of its cost is unknown."""
        try:
            result = await handler()
        except (asyncio.CancelledError, RunCancelled, KeyboardInterrupt):
            if (request := _newest(self.running.get(ctx.run_id or "", ()))) is not None:
                request.cut_off()
            raise
        requests = self.running.get(ctx.run_id or "", ())
        self._bill_unreported(requests, ctx.usage)
        own = sum([request.unpriced() for request in requests])
        result.__dict__[UNPRICED_KEY] = own + _unpriced_elsewhere(ctx.usage)
        return result

    def billed(self, ctx: RunContext[Any], responses: Sequence[ModelResponse]) -> None:
        """Note replies that a run asked a model for on the side, and that whoever asked has put on the run's usage.

        They were not asked for through the layers, so the prices that these know come only now.
        """
        requests = [] if ctx.run_id is None else self.running.setdefault(ctx.run_id, [])
        for response in responses:
            before = response.usage.cost or 0
            self.rates.price(response)
            if before != (after := response.usage.cost or 0):
                ctx.usage.cost = (ctx.usage.cost or Decimal(0)) + after - before
            request = _noted(requests, response)
            if request is None:
                request = RequestBeside(self.rates)
                requests.append(request)
            request.answer, request.is_reported = response, True

    def begin_beside(self, run_id: str, model: Model) -> "RequestBeside":
        """Note a request that is made for a run on the side, before anybody reports of it."""
        request = RequestBeside(self.rates, model)
        self.running.setdefault(run_id, []).append(request)
        return request

    def _bill_unreported(self, requests: Sequence[MeasuredRequest], usage: RunUsage) -> None:
        """Put on a run's usage what it was billed for on the side, and what was asked for in vain."""
        for request in requests:
            if isinstance(request, RequestBeside) and not request.is_reported and not request.is_on_usage:
                request.is_on_usage = True
                for response in request.responses():
                    self.rates.price(response)
                    usage.incr(response.usage)
                    usage.requests += 1

    def finish(self, run_id: str, usage: RunUsage) -> list[MeasuredRequest]:
        """The requests of a run that ended, oldest first; `usage` is the run's, maybe shared with others."""
        requests = self.running.pop(run_id, [])
        newest = _newest(requests)
        if newest is not None and newest.seconds is None:
            newest.stop()
        self._bill_unreported(requests, usage)
        _note_unpriced(usage, sum([request.unpriced() for request in requests]))
        return requests


class RequestBeside(MeasuredRequest):
    """A request that was made beside a run's own, such as for a summary."""

    __slots__ = ("is_on_usage", "is_reported")

    def __init__(self, rates: PriceRequests, model: Model | None = None) -> None:
        super().__init__(None, "compaction", model, rates)
        self.is_reported = False
        """Whether who asked has told of the reply, and put it on the run's usage: not where the run ended meanwhile."""
        self.is_on_usage = False


def _noted(requests: Sequence[MeasuredRequest], response: ModelResponse) -> RequestBeside | None:
    """The request that has this reply, or a copy of it: what they share is the time of their arrival."""
    for request in reversed(requests):
        if not isinstance(request, RequestBeside) or request.is_reported or request.answer is None:
            continue
        if request.answer is response or request.answer.timestamp == response.timestamp:
            return request
    return None


def _newest(requests: Sequence[MeasuredRequest]) -> MeasuredRequest | None:
    """The last request of the run itself."""
    for request in reversed(requests):
        if request.kind == "response":
            return request
    return None


_unpriced = ByIdentity[RunUsage, int]()
"""Requests of unknown price in a usage that runs share; the usage itself knows the sum of the known prices only."""


def _unpriced_elsewhere(usage: RunUsage) -> int:
    """Requests of unknown price that ended runs left in a usage."""
    if usage not in _unpriced:
        return 0
    return _unpriced[usage]


def _note_unpriced(usage: RunUsage, count: int) -> None:
    if count:
        _unpriced[usage] = count + _unpriced_elsewhere(usage)
