"""What a run gives back."""

from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from typing import Any, Literal

from pydantic_ai import AgentRunResult, DeferredToolRequests, RunContext
from pydantic_ai.capabilities import AbstractCapability, WrapRunHandler
from pydantic_ai.messages import ModelResponse
from pydantic_ai.output import OutputDataT

from mamba_agents.sessions.session import is_from_model, total_cost

type StopReason = Literal["completed", "max_iterations", "deferred", "length", "content_filter"]
"""Why a run ended: with an answer, at the limit of model requests, to wait for a person or another system, or
because the provider cut the answer short."""

STOP_REASON_KEY = "mamba_agents.stop_reason"
"""Where a layer that ends a run writes its reason: the metadata of the response it ends it with."""


class AgentResult(AgentRunResult[OutputDataT]):
    """pydantic-ai's result, and what an operator asks next: what it cost, why it ended, where it is remembered."""

    @property
    def data(self) -> OutputDataT:
        """The same as `output`."""
        return self.output

    @property
    def cost(self) -> Decimal | None:
        """USD for the run, agents it delegated to included; None when the price of a response is unknown."""
        responses = [message for message in self.new_messages() if isinstance(message, ModelResponse)]
        own = total_cost([response for response in responses if is_from_model(response)])
        return own if own is None or self.usage.cost is None else self.usage.cost

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
