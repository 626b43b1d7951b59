"""How large the next request is: the provider's last figure, and an estimate of what came later."""

import math
from collections.abc import Mapping, Sequence
from typing import cast

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models import ModelRequestParameters

from mamba_agents.tokens import TokenCounter

SIZE_KEY = "mamba_agents.context_tokens"
"""Where the metadata of the last message at a compaction says how large the request was then.

The replies before it report the sizes of requests from before the compaction, which say nothing any more.
"""


def anchor(messages: Sequence[ModelMessage]) -> tuple[int, int]:
    """How many of the messages have a known size together, and that size in tokens; (0, 0) where no one reported any.

    It holds for the whole request: instructions and tools are in it.
    """
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.metadata is not None and (size := message.metadata.get(SIZE_KEY)) is not None:
            return index + 1, size
        if isinstance(message, ModelResponse) and message.usage.input_tokens:
            return index + 1, context_tokens(message)
    return 0, 0


def context_tokens(response: ModelResponse) -> int:
    """The tokens of the request that a response answered, and its own."""
    return input_tokens(response) + response.usage.output_tokens


def input_tokens(response: ModelResponse) -> int:
    """The tokens of the request that a response answered.

    Where one response is billed for several requests, pydantic-ai keeps the size of one beside their sum
    (`_context_size.py` of 2.62).
    """
    host = (response.metadata or {}).get("__pydantic_ai__")
    marked = cast("Mapping[str, object]", host).get("context_input_tokens") if isinstance(host, Mapping) else None
    return marked if isinstance(marked, int) else response.usage.input_tokens


def previous_tokens(messages: Sequence[ModelMessage], response: ModelResponse) -> int:
    """What the model of a response reported last of the history that it was asked with; 0 where it did not."""
    known, _ = anchor(messages)
    last = messages[known - 1] if known else None
    if not isinstance(last, ModelResponse) or last.model_name != response.model_name:
        return 0
    return 0 if SIZE_KEY in (last.metadata or {}) else input_tokens(last)


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
        known, tokens = anchor(messages)
        if not known and parameters is not None:
            tokens = self._counter.upper_bound_parameters(parameters)
        return tokens + self._counter.upper_bound(messages[known:])

    def estimate(self, messages: Sequence[ModelMessage], parameters: ModelRequestParameters | None) -> int:
        """The likely size of the request, with the margin that the settings ask for on what was never reported."""
        known, tokens = anchor(messages)
        later = self.count(messages[known:]) + (0 if known else self.overhead(parameters))
        return tokens + math.ceil(later * (1 + self._counter.config.safety_margin))

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
