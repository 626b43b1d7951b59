"""The rows of a usage record: one for each reply that was billed."""

from collections.abc import Sequence

from pydantic_ai.messages import BaseToolCallPart, ModelMessage, ModelRequestAttempt, ModelResponse

from mamba_agents.agent.layers.closing import ran_out_of_time
from mamba_agents.agent.layers.metering import MeasuredRequest, RequestBeside
from mamba_agents.agent.layers.pricing import PriceRequests
from mamba_agents.tokens import RecordKind, UsageRecord
from mamba_agents.tokens.billing import is_from_model, rejected_reply
from mamba_agents.tokens.cost import response_cost
from mamba_agents.tokens.usage import token_usage


def run_rows(
    requests: Sequence[MeasuredRequest],
    messages: Sequence[ModelMessage],
    *,
    run_id: str,
    session_id: str | None,
    was_cancelled: bool = False,
) -> list[UsageRecord]:
    """The rows of a run, however it ended: of its requests, then of replies among its messages that none of them has.

    Rows come from the run's own replies and never from its usage, which it may share with other runs.
    """
    rows: list[UsageRecord] = []
    measured: list[ModelResponse] = []
    for request in requests:
        if was_cancelled:
            request.cut_off()
        responses = request.responses()
        measured += responses
        rows += [_rejected_row(attempt) for attempt in request.attempts(responses)]
        rows += [_row(response, request.kind, request.seconds) for response in responses if is_from_model(response)]
    rows += [
        _row(response, "response", None) for response in _unmeasured(measured, messages) if is_from_model(response)
    ]
    places: dict[RecordKind, int] = {}
    for row in rows:
        row.run_id, row.session_id = run_id, session_id
        row.index = places[row.kind] = places.get(row.kind, -1) + 1
    return rows


def response_rows(
    responses: Sequence[ModelResponse],
    *,
    rates: PriceRequests,
    session_id: str | None = None,
) -> list[UsageRecord]:
    """The rows of replies that a model gave for a compaction by hand, outside of any run.

    They get the prices that replies in a run have.
    """
    rows: list[UsageRecord] = []
    for response in responses:
        rates.price(response)
        row = _row(response, "compaction", None)
        row.session_id = session_id
        rows.append(row)
    return rows


def unsaid_replies(requests: Sequence[MeasuredRequest], messages: Sequence[ModelMessage]) -> list[ModelResponse]:
    """The replies to a run's requests that were paid for and that none of its messages is or knows of.

    A hook refused them, a `FallbackModel` turned every one down, or the run ended before they were whole.
    """
    unsaid: list[ModelResponse] = []
    arrived = {message.timestamp for message in messages if isinstance(message, ModelResponse)}
    for request in requests:
        if isinstance(request, RequestBeside):
            unsaid += [] if request.is_reported else request.responses()
        else:
            unsaid += [reply for reply in request.responses() if reply.timestamp not in arrived]
            unsaid += [rejected_reply(attempt) for attempt in request.attempts(())]
    return unsaid


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


def _row(response: ModelResponse, kind: RecordKind, seconds: float | None) -> UsageRecord:
    return UsageRecord(
        timestamp=response.timestamp,
        usage=token_usage(response.usage),
        model=response.model_name,
        provider=response.provider_name,
        kind=kind,
        tool_calls=tuple([part.tool_name for part in response.parts if isinstance(part, BaseToolCallPart)]),
        cost=response_cost(response),
        duration_seconds=seconds,
        is_complete=response.state == "complete" and not ran_out_of_time(response),
    )


def _rejected_row(attempt: ModelRequestAttempt) -> UsageRecord:
    return _row(rejected_reply(attempt), "rejected", attempt.duration.total_seconds())
