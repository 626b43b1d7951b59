"""What a run gives back."""

from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from typing import Any

from pydantic_ai import AgentRunResult, DeferredToolRequests, RunContext
from pydantic_ai.capabilities import AbstractCapability, WrapRunHandler
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.output import OutputDataT

from mamba_agents.agent.layers.metering import UNPRICED_KEY
from mamba_agents.agent.stops import STOP_REASON_KEY, StopReason
from mamba_agents.tokens.billing import is_from_model
from mamba_agents.tokens.cost import response_cost

TRANSCRIPT_KEY = "_mamba_transcript"
"""Where the result of a run that was shortened keeps all that was said."""


class AgentResult(AgentRunResult[OutputDataT]):
    """pydantic-ai's result, and what an operator asks next: what it cost, why it ended, where it is remembered."""

    @property
    def data(self) -> OutputDataT:
        """The same as `output`."""
        return self.output

    @property
    def cost(self) -> Decimal | None:
        """USD for the run, agents it delegated to with `usage=ctx.usage` included; None when a price is unknown.

        Replies that are no longer in the run's messages, such as those that compaction took out, are in it too. Of
        delegates that are plain pydantic-ai agents, only the prices that are known can be.
        """
        if self.__dict__.get(UNPRICED_KEY):
            return None
        responses = [message for message in self.new_messages() if isinstance(message, ModelResponse)]
        if any(is_from_model(response) and response_cost(response) is None for response in responses):
            return None
        return self.usage.cost or Decimal(0)

    @property
    def transcript(self) -> list[ModelMessage]:
        """All that the run said, oldest first, also what a compaction inside it took out of `new_messages()`.

        Whole once the run is over: inside `async with agent.iter(…)` it is `new_messages()` still.
        """
        return list(self.__dict__.get(TRANSCRIPT_KEY) or self.new_messages())

    @property
    def session_id(self) -> str:
        """The conversation the run belongs to; `agent.session(result.session_id)` goes on with a remembered one.

        A run that brought its own history, or of an agent without memory, is remembered under no id.
        """
        return self.conversation_id

    @property
    def stop_reason(self) -> StopReason:
        """Why the run ended."""
        if isinstance(self.output, DeferredToolRequests):
            return "deferred"
        response = self.response
        if response.metadata is not None and STOP_REASON_KEY in response.metadata:
            return response.metadata[STOP_REASON_KEY]
        reason = response.finish_reason
        return reason if reason in ("length", "content_filter") else "completed"


@dataclass
class GiveAgentResults(AbstractCapability[Any]):
    """Every run gives an `AgentResult`."""

    _: KW_ONLY
    id: str | None = "mamba_results"

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentResult[Any]:
        """The run's own result under our class."""
        result = await handler()
        if not isinstance(result, AgentResult):
            ours: AgentResult[Any] = AgentResult.__new__(AgentResult)
            ours.__dict__.update(result.__dict__)
            return ours
        return result
