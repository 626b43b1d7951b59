"""What models are paid for: every reply, also one that a `FallbackModel` turned down for that of another model."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from pydantic_ai.messages import ModelRequestAttempt, ModelResponse
from pydantic_ai.usage import RequestUsage

from mamba_agents.tokens.cost import response_cost


def billed_replies(responses: Iterable[ModelResponse]) -> list[ModelResponse]:
    """The replies that somebody has to pay for, oldest first: before each, those that were turned down for it."""
    billed: list[ModelResponse] = []
    for response in responses:
        if response.failed_attempts:
            # An attempt that failed before its reply has no usage.
            billed += [rejected_reply(each) for each in response.failed_attempts if each.usage is not None]
        if is_from_model(response):
            billed.append(response)
    return billed


def rejected_reply(attempt: ModelRequestAttempt) -> ModelResponse:
    """The reply that was turned down, as far as it is known."""
    return ModelResponse(
        parts=[],
        usage=attempt.usage or RequestUsage(),
        model_name=attempt.model_name,
        provider_name=attempt.provider_name,
        timestamp=attempt.timestamp,
    )


def is_from_model(response: ModelResponse) -> bool:
    """Whether a model gave the response, and not a capability in its place, which names no model and uses nothing."""
    return response.model_name is not None or response.usage.has_values()


def total_cost(responses: Sequence[ModelResponse]) -> Decimal | None:
    """USD for all of them; None when the price of one is unknown, since a part of a sum is no sum."""
    costs = [response_cost(response) for response in responses]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None
