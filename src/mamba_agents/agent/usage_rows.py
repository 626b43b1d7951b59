"""The rows of a usage record: one for each reply that was billed."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic_ai.messages import BaseToolCallPart, ModelMessage, ModelRequestAttempt, ModelResponse
from pydantic_ai.usage import RequestUsage

from mamba_agents.agent.layers.metering import MeasuredRequest
from mamba_agents.agent.layers.pricing import CustomRates
from mamba_agents.sessions.session import is_from_model
from mamba_agents.tokens import CostEstimator, RecordKind, TokenUsage, UsageRecord
from mamba_agents.tokens.cost import response_cost
from mamba_agents.tokens.usage import token_usage


def run_rows(
    requests: Sequence[MeasuredRequest],
    messages: Sequence[ModelMessage],
    *,
    run_id: str,
    session_id: str | None,
    estimator: CostEstimator | None = None,
    was_cancelled: bool = False,
) -> list[UsageRecord]:
    """The rows of a run, however it ended: of its requests, then of replies among its messages that none of them has.

    Rows come from the run's own replies and never from its usage, which it may share with other runs.
    """
    rows: list[UsageRecord] = []
    measured: list[ModelResponse] = []
    for request in requests:
        responses = request.responses()
        measured += responses
        attempts = request.attempts(responses)
        rows += [_attempt_row(attempt, attempt.usage) for attempt in attempts if attempt.usage is not None]
        rows += [
            _row(response, request.kind, request.seconds, estimator)
            for response in responses
            if is_from_model(response)
        ]
        if request.was_cut_off(was_cancelled=was_cancelled):
            rows.append(_unknown_row(request))
    rows += [
        _row(response, "response", None, estimator)
        for response in _unmeasured(measured, messages)
        if is_from_model(response)
    ]
    places: dict[RecordKind, int] = {}
    for row in rows:
        row.run_id, row.session_id = run_id, session_id
        row.index = places[row.kind] = places.get(row.kind, -1) + 1
    return rows


def response_rows(
    responses: Sequence[ModelResponse],
    kind: RecordKind,
    *,
    rates: CustomRates,
    session_id: str | None = None,
) -> list[UsageRecord]:
    """The rows of replies that a model gave outside of any run, such as summaries for a compaction by hand.

    They get the prices that replies in a run have.
    """
    rows: list[UsageRecord] = []
    for response in responses:
        rates.price(response)
        row = _row(response, kind, None, None)
        row.session_id = session_id
        rows.append(row)
    return rows


def _unmeasured(measured: Sequence[ModelResponse], messages: Sequence[ModelMessage]) -> list[ModelResponse]:
    """The replies among a run's messages that no request has, such as one that a hook gave in the model's place."""
    known = [response.timestamp for response in measured]
    missing: list[ModelResponse] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            # Hooks and limits put copies in the place of replies; what they share is the time of their arrival.
            if message.timestamp in known:
                known.remove(message.timestamp)  # the first one, as both are in the same order
            else:
                missing.append(message)
    return missing


def _row(
    response: ModelResponse, kind: RecordKind, seconds: float | None, estimator: CostEstimator | None
) -> UsageRecord:
    return UsageRecord(
        timestamp=response.timestamp,
        usage=token_usage(response.usage),
        model=response.model_name,
        provider=response.provider_name,
        kind=kind,
        tool_calls=tuple([part.tool_name for part in response.parts if isinstance(part, BaseToolCallPart)]),
        cost=response_cost(response, estimator),
        duration_seconds=seconds,
        is_complete=response.state == "complete",
    )


def _unknown_row(request: MeasuredRequest) -> UsageRecord:
    """The row of a request that was cancelled before its answer: it was billed, and nobody tells how much."""
    model = request.model
    return UsageRecord(
        timestamp=datetime.now(UTC),
        usage=TokenUsage(request_count=1),
        model=None if model is None else model.model_name,
        provider=None if model is None else model.system,
        kind=request.kind,
        duration_seconds=request.seconds,
        is_complete=False,
    )


def _attempt_row(attempt: ModelRequestAttempt, usage: RequestUsage) -> UsageRecord:
    return UsageRecord(
        timestamp=attempt.timestamp,
        usage=token_usage(usage),
        model=attempt.model_name,
        provider=attempt.provider_name,
        kind="rejected",
        cost=usage.cost,
        duration_seconds=attempt.duration.total_seconds(),
    )
