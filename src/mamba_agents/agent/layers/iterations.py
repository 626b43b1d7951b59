"""The limit of model requests in one run."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from pydantic_ai import RunContext, SkipModelRequest, UsageLimitExceeded
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import ModelRequestContext

from mamba_agents.agent.stops import STOP_REASON_KEY


@dataclass
class MaxIterations(AbstractCapability[Any]):
    """Ends a run that has made `limit` model requests with the text there is.

    A run whose output type is not text cannot end with text: it raises pydantic-ai's `UsageLimitExceeded`.
    """

    limit: int
    _: KW_ONLY
    id: str | None = "mamba_max_iterations"

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Let the request pass, or answer in its place."""
        if ctx.run_step <= self.limit:
            return request_context
        parameters = request_context.model_request_parameters
        if not parameters.allow_text_output or parameters.output_object is not None:
            raise UsageLimitExceeded(
                f"the run made {self.limit} model requests without an output of the type asked for; "
                "raise `max_iterations` in AgentConfig, or simplify the task"
            )
        # pydantic-ai counts what is answered in the model's place as a request too.
        ctx.usage.requests -= 1
        text = _last_text(ctx.messages, ctx.run_id) or f"Stopped after {self.limit} model requests without an answer."
        raise SkipModelRequest(
            ModelResponse(parts=[TextPart(text)], metadata={STOP_REASON_KEY: "max_iterations"}, finish_reason="stop")
        )


def _last_text(messages: Sequence[ModelMessage], run_id: str | None) -> str | None:
    """What the model said last in this run."""
    for message in reversed(messages):
        if message.run_id != run_id:
            return None
        if isinstance(message, ModelResponse) and message.text:
            return message.text
    return None
