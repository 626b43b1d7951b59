"""The limit of model requests in one run."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from pydantic_ai import RunContext, SkipModelRequest, UsageLimitExceeded
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.models import ModelRequestContext

from mamba_agents.agent.layers.closing import Ending


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
        ending = Ending(
            reason="max_iterations",
            run_id=ctx.run_id,
            otherwise=f"Stopped after {self.limit} model requests without an answer.",
            error=UsageLimitExceeded(
                f"the run made {self.limit} model requests without an output of the type asked for; "
                "raise `max_iterations` in AgentConfig, or simplify the task"
            ),
        )
        parameters = request_context.model_request_parameters
        raise SkipModelRequest(ending.in_place_of_request(ctx.usage, ctx.messages, parameters))
