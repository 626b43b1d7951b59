"""How large the next request is: the provider's last figure, and an estimate of what came later."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models import ModelRequestParameters

from mamba_agents.tokens import TokenCounter

SIZE_KEY = "mamba_agents.context_tokens"
"""Where the metadata of the last message at a compaction says how large the request was then.

The replies before it report the sizes of requests from before the compaction, which say nothing any more.
"""


_MEASURED = "_mamba_agents_measured"
"""Where a reply keeps what its request was measured with; comparing, printing and storing do not see it."""


@dataclass(slots=True)
class Measured:
    """What the size of a request was measured with. A value, though not frozen: one is made for every request."""

    model_name: str | None
    overhead_at_most: int
    """A bound on what it carried besides messages."""

    tokens: int | None = None
    """Its size as it was counted here, where what the provider reported cannot be true."""

    position: int | None = None
    """How many messages came before the one that this is kept with."""

    missing: int = 0
    """Tokens that the messages must have had more than their provider reported, over all replies in a row for which
    that is so."""


def remember(message: ModelMessage, measured: Measured) -> None:
    """Keep with a message what the request that ends in it was measured with."""
    message.__dict__[_MEASURED] = measured


def measured_with(message: ModelMessage) -> Measured | None:
    """What the request that ends in a message was measured with; None where that is forgotten."""
    return message.__dict__.get(_MEASURED)


def anchor(messages: Sequence[ModelMessage]) -> tuple[int, int]:
    """How many of the messages have a known size together, and that size in tokens; (0, 0) where no one reported any.

    It holds for the whole request: instructions and tools are in it.
    """
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.metadata is not None and (size := message.metadata.get(SIZE_KEY)) is not None:
            return index + 1, size
        if isinstance(message, ModelResponse) and message.usage.input_tokens:
            measured = measured_with(message)
            if measured is not None and measured.tokens is not None:
                return index + 1, measured.tokens
            return index + 1, context_tokens(message)
    return 0, 0


def is_counted(message: ModelMessage) -> bool:
    """Whether the size that is known of a request, which ends in the message, was counted here and not reported."""
    if message.metadata is not None and SIZE_KEY in message.metadata:
        return True
    measured = measured_with(message)
    return measured is not None and measured.tokens is not None


def context_tokens(response: ModelResponse) -> int:
    """The tokens of the request that a response answered, and its own."""
    return input_tokens(response) + response.usage.output_tokens


def input_tokens(response: ModelResponse) -> int:
    """The tokens of the request that a response answered.

    Where one response is billed for several requests, pydantic-ai keeps the size of one beside their sum
    (`_context_size.py` of 2.62).
    """
    if response.metadata is None:
        return response.usage.input_tokens
    host = response.metadata.get("__pydantic_ai__")
    marked = cast("Mapping[str, object]", host).get("context_input_tokens") if isinstance(host, Mapping) else None
    return marked if isinstance(marked, int) else response.usage.input_tokens


def previous_reply(messages: Sequence[ModelMessage], response: ModelResponse) -> tuple[int, int]:
    """Where the reply before stands among the messages, and what the same model reported of its request.

    (0, 0) where there is none, or where the history is another one since.
    """
    known, _ = anchor(messages)
    last = messages[known - 1] if known else None
    if not isinstance(last, ModelResponse) or last.model_name != response.model_name:
        return 0, 0
    return (0, 0) if SIZE_KEY in (last.metadata or {}) else (known - 1, input_tokens(last))


def last_agreeing(messages: Sequence[ModelMessage], response: ModelResponse) -> tuple[int, int]:
    """Where the last reply stands whose figure fits what was sent by then, and what the same model reported for it.

    (0, 0) where there is none, or where the history is another one since.
    """
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if SIZE_KEY in (message.metadata or {}):
            break
        if isinstance(message, ModelResponse) and message.usage.input_tokens:
            if message.model_name != response.model_name:
                break
            measured = measured_with(message)
            if measured is None or not measured.missing:
                return index, input_tokens(message)
    return 0, 0


def marked_with_size(message: ModelMessage, tokens: int) -> dict[str, object]:
    """The metadata of a message, with the size of the request that ends in it."""
    return {**(message.metadata or {}), SIZE_KEY: tokens}


class Gauge:
    """Sizes of requests to one model, in tokens."""

    __slots__ = ("_counter", "_model_name")

    def __init__(self, counter: TokenCounter, model_name: str | None) -> None:
        self._counter = counter
        self._model_name = model_name

    def at_most(self, messages: Sequence[ModelMessage], parameters: ModelRequestParameters | None) -> int:
        """A size that the request does not pass, without a tokenizer."""
        known, tokens, overhead = self._anchor(messages, parameters)
        return tokens + overhead + self._counter.upper_bound(messages[known:] if known else messages)

    def estimate(self, messages: Sequence[ModelMessage], parameters: ModelRequestParameters | None) -> int:
        """The likely size of the request, with the margin that the settings ask for on what was never reported."""
        known, tokens, overhead = self._anchor(messages, parameters)
        later = self.count(messages[known:])
        if overhead and parameters is not None:
            # As much of the count as of the bound.
            later += math.ceil(self.overhead(parameters) * overhead / self._overhead_at_most(parameters))
        return tokens + math.ceil(later * (1 + self._counter.config.safety_margin))

    def _anchor(
        self, messages: Sequence[ModelMessage], parameters: ModelRequestParameters | None
    ) -> tuple[int, int, int]:
        """How many messages have a known size, that size, and a bound on what came to the overhead since."""
        known, tokens = anchor(messages)
        measured = measured_with(messages[known - 1]) if known else None
        if measured is not None and measured.model_name != self._model_name:
            known, tokens = 0, 0  # another model counts otherwise
        if not known:
            return 0, 0, self._overhead_at_most(parameters)
        overhead = self._overhead_at_most(parameters)
        if measured is None or measured.position != known - 1:
            # It may be of a longer history, of which these messages are a part.
            if tokens > self._counter.upper_bound(messages[:known]) + overhead:
                return 0, 0, overhead
            before = overhead if measured is None else measured.overhead_at_most
            measured = Measured(self._model_name, before, None if measured is None else measured.tokens, known - 1)
            remember(messages[known - 1], measured)
        return known, tokens, max(overhead - measured.overhead_at_most, 0)

    def measured(
        self,
        parameters: ModelRequestParameters | None,
        tokens: int | None = None,
        *,
        position: int | None = None,
        missing: int = 0,
    ) -> Measured:
        """What a request is measured with."""
        return Measured(self._model_name, self._overhead_at_most(parameters), tokens, position, missing)

    def _overhead_at_most(self, parameters: ModelRequestParameters | None) -> int:
        return 0 if parameters is None else self._counter.upper_bound_parameters(parameters)

    def count(self, messages: Sequence[ModelMessage]) -> int:
        """The tokens of the messages as the counter counts them."""
        return sum(self._counter.message_counts(messages, self._model_name))

    def overhead(self, parameters: ModelRequestParameters | None) -> int:
        """The tokens of what every request carries besides messages: instructions, tools, the form of the output."""
        if parameters is None:
            return 0
        return self._counter.count_request_parameters(parameters, self._model_name)


def newest_request(messages: Sequence[ModelMessage]) -> ModelRequest | None:
    """The last request of a history."""
    return next((message for message in reversed(messages) if isinstance(message, ModelRequest)), None)
