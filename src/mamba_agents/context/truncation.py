"""Notices a server that cut a prompt and answered what was left without a word.

Ollama does by default: of a prompt that is longer than the window it drops the oldest turns, or tokens from the front,
and the reply's input tokens are the only trace (github.com/ollama/ollama/issues/3839 and /17889, read November 2026: of
160,689 tokens sent 16,387 were read). LM Studio does where its overflow policy says so, OpenRouter for small models.
"""

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from pydantic_ai.messages import CompactionPart, ModelMessage, ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from mamba_agents._internal.models import bare_model, base_url

_logger = logging.getLogger("mamba_agents.context")

_EXACT_SHARE = 0.9
"""A count with the model's own tokenizer may be so much above what the provider counts: images, templates."""

_ESTIMATE_SHARE = 0.5
"""A count with another model's tokenizer: twice as many tokens for the same text is the most that was seen."""

_GROWN_SHARE = 0.97
"""A history that only grew is counted the same by the same provider, but for what it leaves out itself."""

_LEAST_GAP = 256
_LEAST_LEFT = 1_024
"""A cut leaves half the window at least, and 2,048 is the smallest that a server takes unasked. A smaller figure comes
from a server that reports only what it had not cached."""


_EDITING = ("anthropic_context_management", "openai_context_management", "openai_previous_response_id")
"""Settings of pydantic-ai's that have the provider keep or shorten the history."""


class SilentTruncationWarning(UserWarning):
    """A model's server cut a prompt and answered what was left."""


@dataclass(frozen=True, kw_only=True)
class SilentCut:
    """A reply whose request was longer than what its server says it read."""

    reported_tokens: int
    """What the server read."""

    expected_tokens: int
    """What was sent, at the very least."""


def silent_cut(
    *,
    reported_tokens: int,
    counted_tokens: int,
    counted_exactly: bool,
    previous_tokens: int = 0,
    later_tokens: int = 0,
    droppable_tokens: int = 0,
    window_tokens: int | None = None,
) -> SilentCut | None:
    """The cut that a reply's figures give away; None where they are as they may be.

    `counted_tokens` are those of the messages and instructions as we count them, without the tools, which some servers
    write shorter and some leave out; `counted_exactly` says whether with the model's own tokenizer.
    `previous_tokens` is what the same model reported for an earlier request that this one repeats whole and goes on
    from; 0 where there is none, as after a compaction. `later_tokens` are those that came since, counted like
    `counted_tokens`. `droppable_tokens` are those that a provider may leave out of
    its own accord or count in its own way: thinking of earlier turns, images and files. Figures of requests that the
    provider shortened (`shortened_by_provider`) say nothing.
    """
    share = _EXACT_SHARE if counted_exactly else _ESTIMATE_SHARE
    counted = (counted_tokens - droppable_tokens) * share
    grown = (previous_tokens - droppable_tokens) * _GROWN_SHARE + later_tokens * share
    expected = int(max(counted, grown))
    least_left = min(_LEAST_LEFT, window_tokens // 4) if window_tokens else _LEAST_LEFT
    if reported_tokens < least_left or expected - reported_tokens < _LEAST_GAP:
        return None
    return SilentCut(reported_tokens=reported_tokens, expected_tokens=expected)


def shortened_by_provider(
    messages: Sequence[ModelMessage], response: ModelResponse, settings: ModelSettings | None
) -> bool:
    """Whether the provider shortened the context because it was asked to, now or earlier in the history."""
    asked = cast("Mapping[str, object]", settings or {})
    if asked.get("openai_truncation") == "auto" or any(map(asked.get, _EDITING)):
        return True
    # A summary of ours stands in a request.
    replies = (message for message in (*messages, response) if isinstance(message, ModelResponse))
    return any(isinstance(part, CompactionPart) for reply in replies for part in reply.parts)


def report_cut(cut: SilentCut, model: Model, response: ModelResponse | None = None) -> None:
    """Warn of a cut, as a `SilentTruncationWarning` and in the log, and say what to change and where."""
    text = cut_text(cut, model, response)
    _logger.warning("%s", text)
    warnings.warn(text, SilentTruncationWarning, stacklevel=2)


def cut_text(cut: SilentCut, model: Model, response: ModelResponse | None = None) -> str:
    """What was found, what was expected and what to do."""
    return (
        f"{model.model_name} read {cut.reported_tokens} tokens of a request of at least {cut.expected_tokens}: its "
        "server cut the prompt without a word, and the answer rests on what was left. "
        f"{setting_to_change(model, response)} Or set context.window_tokens to what the server really takes, so that "
        "the context is compacted in time."
    )


def setting_to_change(model: Model, response: ModelResponse | None = None) -> str:
    """The setting of the model's server that makes its window larger, in a sentence.

    The response tells which of several models answered.
    """
    model = bare_model(model)
    named = response.provider_name if response is not None else None
    return _SETTINGS.get(_kind(named or model.system, base_url(model))) or _ANY_SERVER


def _kind(system: str, url: str | None) -> str:
    """The kind of server: what its provider says, or else the port, where only one kind of server has it unasked."""
    if system in _SETTINGS:
        return system
    try:
        port = urlsplit(url or "").port
    except ValueError:
        return system
    return {11434: "ollama", 1234: "lmstudio"}.get(port or 0, system)


_SETTINGS = {
    "ollama": "Start Ollama with a larger OLLAMA_CONTEXT_LENGTH, or give the model a larger num_ctx in its Modelfile.",
    "lmstudio": "Raise Context Length in the model's load settings in LM Studio, and set its context overflow policy "
    "to stop at the limit.",
    "local": "Raise context_window of the embedded model.",
    "vllm": "Start vLLM with a larger --max-model-len.",
    "openrouter": 'Send OpenRouter `"transforms": []`, which turns its middle-out compression off, or choose a model '
    "with a larger window.",
}

_ANY_SERVER = (
    "Give the model a larger window where its server is started: --ctx-size for llama.cpp (which --parallel divides), "
    "--max-model-len for vLLM, --context-length for SGLang, --max-total-tokens for TGI."
)
