"""How a layer ends a run early: with the text there is."""

from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import ModelRequestParameters

from mamba_agents.agent.stops import STOP_REASON_KEY, StopReason


def can_close(parameters: ModelRequestParameters) -> bool:
    """Whether a run can end with text: not where its output has a type of its own."""
    return parameters.allow_text_output and parameters.output_object is None


def closing(
    reason: StopReason, messages: Sequence[ModelMessage], run_id: str | None, *, otherwise: str
) -> ModelResponse:
    """The response that ends a run: what the model said last in it, or else a sentence of ours."""
    return closing_with(last_text(messages, run_id) or otherwise, reason)


def closing_with(text: str, reason: StopReason) -> ModelResponse:
    """The response that ends a run with a text."""
    return ModelResponse(parts=[TextPart(text)], metadata={STOP_REASON_KEY: reason}, finish_reason="stop")


def last_text(messages: Sequence[ModelMessage], run_id: str | None) -> str | None:
    """What the model said last in this run."""
    for message in reversed(messages):
        if message.run_id != run_id:
            return None
        if isinstance(message, ModelResponse) and message.text:
            return message.text
    return None
