"""What replies tell of the sizes of their requests."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestContext

from mamba_agents._internal.models import base_url
from mamba_agents.context.compactor import Compactor
from mamba_agents.context.gauge import (
    input_tokens,
    last_agreeing,
    marked_with_size,
    measured_with,
    previous_reply,
    remember,
)
from mamba_agents.context.spoken import without_droppable
from mamba_agents.context.truncation import SilentCut, report_cut, shortened_by_provider, silent_cut

_MOST_BYTES = 8
"""Text has seldom more bytes a token: only where a reply says so is it worth counting whether all was read."""

_FRAME_TOKENS = 64
"""Short messages are mostly frames, which each server writes in its own way."""


class ReplyReader:
    """Learns how a model's tokenizer differs from ours, and notices when its server cut a prompt."""

    def __init__(self, compactor: Compactor) -> None:
        self._compactor = compactor
        self._counter = compactor.counter

    async def read(self, request_context: ModelRequestContext, response: ModelResponse, *, is_counted: bool) -> None:
        """Compare what a reply reports with what was sent; `is_counted` says that the messages were counted anyway."""
        reported = input_tokens(response)
        if not reported:
            return
        model, parameters = request_context.model, request_context.model_request_parameters
        gauge = self._compactor.gauge(model)
        position = len(request_context.messages)
        missing, is_odd = self._missing(request_context, response, reported)
        if not is_odd:
            remember(response, gauge.measured(parameters, position=position, missing=missing))
            if is_counted and not self._counter.is_exact(model.model_name):
                self._learn_factor(request_context, reported)
            return
        counted = self._counted(request_context, response)
        remember(response, gauge.measured(parameters, counted, position=position, missing=missing))
        if (cut := self._cut(request_context, response, reported)) is not None:
            await self._meet(cut, request_context, response)

    def shortened(self, ctx: RunContext[Any], request_context: ModelRequestContext, response: ModelResponse) -> None:
        """Have a reply to a request that was shortened for once say how large the history really is."""
        size = self._counted(replace(request_context, messages=ctx.messages), response)
        response.metadata = marked_with_size(response, size)

    def _counted(self, request_context: ModelRequestContext, response: ModelResponse) -> int:
        """The size of a request and its reply as they are counted here."""
        gauge = self._compactor.gauge(request_context.model)
        sent = gauge.count(request_context.messages) + gauge.overhead(request_context.model_request_parameters)
        return sent + response.usage.output_tokens

    def _missing(
        self, request_context: ModelRequestContext, response: ModelResponse, reported: int
    ) -> tuple[int, bool]:
        """How many tokens are missing from the figures by now, and whether these cannot be true.

        Then the server read less than it was sent, or reports less than it read. Short turns say it only together.
        """
        messages = request_context.messages
        start, previous = previous_reply(messages, response)
        grown = reported - previous
        measured = measured_with(messages[start]) if previous else None
        before = 0 if measured is None else measured.missing
        missing = max(before + self._counter.upper_bound(messages[start:]) // _MOST_BYTES - grown, 0)
        return missing, grown < 0 or missing > _FRAME_TOKENS

    def _learn_factor(self, request_context: ModelRequestContext, reported: int) -> None:
        model_name, parameters = request_context.model.model_name, request_context.model_request_parameters
        counted = self._counter.count_messages(request_context.messages, model_name, raw=True)
        counted += self._counter.count_request_parameters(parameters, model_name, raw=True)
        self._counter.calibrate(model_name, counted=counted, reported=int(reported))

    def _cut(self, request_context: ModelRequestContext, response: ModelResponse, reported: int) -> SilentCut | None:
        """What the server left out without a word; None where it read all."""
        model, messages = request_context.model, request_context.messages
        if base_url(model) is None:  # without a server, nobody cuts
            return None
        if shortened_by_provider(messages, response, request_context.model_settings):
            return None
        spoken = self._spoken(messages, model)
        agreed, agreed_tokens = last_agreeing(messages, response)
        before = measured_with(messages[agreed]) if agreed_tokens else None
        overhead = self._counter.upper_bound_parameters(request_context.model_request_parameters)
        gone = 0 if before is None else max(before.overhead_at_most - overhead, 0)
        return silent_cut(
            reported_tokens=reported,
            counted_tokens=spoken,
            counted_exactly=self._counter.is_exact(model.model_name),
            previous_tokens=agreed_tokens,
            later_tokens=self._spoken(messages[agreed:], model) if agreed_tokens else 0,
            # Instructions and tools that this request has no more are in the earlier figure too.
            droppable_tokens=self._counter.count_messages(messages, model.model_name) - spoken + gone,
            window_tokens=self._compactor.config.window_tokens,
        )

    def _spoken(self, messages: Sequence[ModelMessage], model: Model) -> int:
        """The tokens of the messages without what a provider may leave out."""
        return self._counter.count_messages(without_droppable(messages), model.model_name)

    async def _meet(self, cut: SilentCut, request_context: ModelRequestContext, response: ModelResponse) -> None:
        """Warn, and keep to what the server reads from now on."""
        model = request_context.model
        response.metadata = marked_with_size(response, self._counted(request_context, response))
        await self._compactor.windows.learn(model, cut.reported_tokens, too_many=cut.expected_tokens)
        report_cut(cut, model, response)
