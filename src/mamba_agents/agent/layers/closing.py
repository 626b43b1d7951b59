"""How a layer ends a run early: with the text there is."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.usage import RequestUsage, RunUsage

from mamba_agents.agent.layers.warn import logger
from mamba_agents.agent.stops import STOP_REASON_KEY, StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The early end of one run."""

    reason: StopReason
    run_id: str | None
    otherwise: str
    """What the run ends with where the model said nothing in it."""

    error: Exception
    """What is raised where the run cannot end with text, or may not."""

    may_close: bool = True
    log_line: str | None = None

    def check(self, parameters: ModelRequestParameters) -> None:
        """Raise the error, unless the run ends with text, which one whose output has a type of its own cannot."""
        if not self.may_close or not parameters.allow_text_output or parameters.output_object is not None:
            raise self.error
        if self.log_line is not None:
            logger.warning("%s", self.log_line)

    def in_place_of_request(
        self, usage: RunUsage, messages: Sequence[ModelMessage], parameters: ModelRequestParameters
    ) -> ModelResponse:
        """The run's last response, which no model is asked for; or the error."""
        self.check(parameters)
        # pydantic-ai counts what is answered in the model's place as a request too.
        usage.requests -= 1
        text = self._text(messages)
        return ModelResponse(parts=[TextPart(text)], metadata={STOP_REASON_KEY: self.reason}, finish_reason="stop")

    def of_response(
        self, response: ModelResponse, messages: Sequence[ModelMessage], *, is_cut: bool = False
    ) -> ModelResponse:
        """What came of a response, as the run's last one. Its tool calls may be cut, and go.

        One that is cut before its usage came says that it does not know it: pydantic-ai would take it for nothing.
        """
        parts = [part for part in response.parts if not isinstance(part, ToolCallPart)]
        if response.text is None:
            parts.append(TextPart(self._text(messages)))
        return replace(
            response,
            parts=parts,
            usage=_unmeasured(response.usage) if is_cut and not response.usage.total_tokens else response.usage,
            metadata={**(response.metadata or {}), STOP_REASON_KEY: self.reason},
            finish_reason="length" if response.finish_reason == "length" else "stop",
            state="complete",
        )

    def _text(self, messages: Sequence[ModelMessage]) -> str:
        """What the model said last in the run, or else a sentence of ours."""
        for message in reversed(messages):
            if message.run_id != self.run_id:
                break
            if isinstance(message, ModelResponse) and message.text:
                return message.text
        return self.otherwise


def ran_out_of_time(response: ModelResponse) -> bool:
    """Whether a response is what there was of an answer, maybe nothing, when the time of its run was over."""
    return response.metadata is not None and response.metadata.get(STOP_REASON_KEY) == "timeout"


def _unmeasured(usage: RequestUsage) -> RequestUsage:
    usage = copy(usage)
    usage.unmeasured_requests = 1
    return usage
