"""Recognises a refusal of a prompt that is too long, in whatever words the server puts it.

pydantic-ai has a class for it and knows the words of OpenAI, vLLM, OpenRouter, Groq, Gemini and Bedrock; the others
arrive as a plain 400, 413, 422 or 500. `tests/context/overflow_texts.json` has each server's words and their source.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from pydantic_ai.exceptions import ModelContextWindowExceededError

_REFUSALS = frozenset({None, 400, 413, 422, 500, 502, 503})
"""The statuses of an overflow; None within a stream. LiteLLM hands on what broke a stream as 503."""

_TOLD_IN = frozenset(
    {"message", "msg", "error", "errors", "error_msg", "type", "error_type", "code", "detail", "details", "reason"}
    | {"metadata", "raw", "body"}
)
"""Where bodies say what went wrong. Other fields may echo the prompt, which may speak of anything."""

_LONGEST_TEXT = 4_000
_DEEPEST = 8

_ANY = r"(?<![\d,])\d[\d,]{0,14}"
_NUMBER = rf"({_ANY})"

_OVERFLOW = re.compile(
    r"""
      maximum\ context\ length        # OpenAI, vLLM, OpenRouter, DeepSeek, Mistral, Fireworks
    | context[_ ](?:length|window|size)[_ ](?:has\ been\ )?exceed   # OpenAI's code, LM Studio, z.ai, MiniMax
    | contextwindowexceeded                                      # LiteLLM
    | exceed_context_size                                        # llama.cpp's type
    | exceed\w{0,3}\s(?:[\w'’]+\s){0,5}context[ _](?:length|window|size|limit)   # OpenAI, llama.cpp, Ollama, Anthropic
    | context\ (?:length|window|size)\ (?:is\ only|exceeds)      # vLLM, MiniMax
    | configured\ context\ size\ is                              # ds4
    | (?:longer|greater)\ than\ the\ (?:model'?s\ )?(?:context|maximum\ model)\ length   # SGLang, Together, LM Studio
    | context\ length\ of\ only | n_keep\W{1,4}\d+\W{1,6}n_ctx   # LM Studio
    | prompt\ (?:is\ )?too\ long | prompt\ \([^)]*\)\ is\ too\ long   # Anthropic, Bedrock, Fireworks, Ollama, vLLM
    | prompt\ exceeds\ max(?:imum)?\ length                      # z.ai
    | input\ is\ too\ long                                       # Bedrock
    | input\ tokens\ exceed                                      # OpenAI, Azure, Bedrock
    | input\ token\ count\b.{0,60}\bexceeds | number\ of\ tokens\ allowed   # Gemini
    | prompt\ token\ count\b.{0,40}\bexceeds                     # GitHub Copilot
    | maximum\ prompt\ length\ is                                # xAI
    | reduce\ the\ length\ of\ the\ (?:messages|prompt|input)    # Groq, vLLM
    | exceeds\ the\ maximum\ allowed\ (?:input\ )?length         # SGLang, Poolside
    | `?inputs`?\ must\ have\ less\ than | `?inputs`?\ tokens\ \+   # TGI, Together
    | exceeded\ model\ token\ limit                              # Kimi
    | range\ of\ input\ length\ should\ be                       # DashScope
    | request_too_large | request\ entity\ too\ large | payload\ too\ large   # Anthropic, proxies: too many bytes
    """,
    re.IGNORECASE | re.VERBOSE,
)

_RATE_LIMIT = re.compile(
    r"tokens?\s*(?:per|/)\s*(?:sec|min|hour|day)|\bTP[MD]\b|rate.?limit|too many requests|throttl", re.IGNORECASE
)

_WINDOW = (
    rf"n_ctx\W{{1,8}}{_NUMBER}",
    rf"{_ANY} \+ {_ANY} > {_NUMBER}",  # Anthropic: the prompt, the answer asked for, the window
    rf"context (?:length|window|size)(?: is| of)?(?: only)?[\s:(]{{1,2}}{_NUMBER}",
    rf"{_NUMBER} maximum",
    rf"number of tokens allowed \({_NUMBER}",
    rf"maximum (?:prompt|model|allowed|allowed input) length(?: is| of)?[\s(]{{1,2}}{_NUMBER}",
    rf"exceeds? the (?:configured )?limit of {_NUMBER}",
    rf"must have less than {_NUMBER}",
    rf"must be <= {_NUMBER}",
    rf"model token limit: {_NUMBER}",
    rf"while limit is {_NUMBER}",
    rf"input length should be \[\d+, {_NUMBER}",
)

_PROMPT = (
    rf"n_prompt_tokens\W{{1,8}}{_NUMBER}",
    rf"n_keep\W{{1,4}}{_NUMBER}",
    rf"{_NUMBER} \+ {_ANY} > {_ANY}",
    rf"{_NUMBER} (?:tokens )?(?:in the messages|in your prompt|of text input|`inputs` tokens)",
    rf"(?:messages|prompt) resulted in {_NUMBER}",
    rf"(?:has|passed|contains)(?: at least)? {_NUMBER} (?:input )?tokens",
    rf"parameter=input_tokens, value={_NUMBER}",
    rf"\((?:total )?length {_NUMBER}",
    rf"(?:request|input|prompt|input length|requested tokens|input token count) \({_NUMBER}",
    rf"too long: {_NUMBER}",
    rf"input length {_NUMBER}",
    rf"token count of {_NUMBER}",
    rf"keep the first {_NUMBER}",
    rf"given: {_NUMBER}\.?$",
    rf"current length is {_NUMBER}",
    rf"\(requested: {_NUMBER}",
    rf"you requested (?:about )?{_NUMBER} tokens",  # with the answer; only where nothing tells them apart
)

_ANSWER = (
    rf"{_NUMBER} (?:tokens )?(?:in the completion|for the completion|in the output|`max_new_tokens`)",
    rf"requested {_NUMBER} output tokens",
    rf"max_completion_tokens' is too large: {_NUMBER}",
    rf"{_ANY} \+ {_NUMBER} > {_ANY}",
)


def is_context_overflow(error: BaseException) -> bool:
    """Whether a model refused a request because its history is too long, so that a shorter one may pass.

    A group counts where every member does. A request whose answer alone fills the window does not count: no history
    is short enough for it.
    """
    if members := _members(error):
        return all(map(is_context_overflow, members))
    text = _text(error)
    answer, window = _figure(_ANSWER, text), _figure(_WINDOW, text)
    if answer is not None and window is not None and answer >= window:
        return False
    if isinstance(error, ModelContextWindowExceededError):
        return True
    return _is_refusal(error) and bool(_OVERFLOW.search(text)) and not _RATE_LIMIT.search(text)


def window_in(error: BaseException) -> int | None:
    """The window that the server named when it refused a request, in tokens; None where it named none.

    The smallest one where several models refused.
    """
    return min(_figures(_WINDOW, error), default=None)


def prompt_tokens_in(error: BaseException) -> int | None:
    """The size of the refused prompt as the server counted it; None where it did not say.

    The largest one where several models refused.
    """
    return max(_figures(_PROMPT, error), default=None)


def _figures(patterns: Sequence[str], error: BaseException) -> list[int]:
    if members := _members(error):
        return [figure for member in members for figure in _figures(patterns, member)]
    figure = _figure(patterns, _text(error)) if is_context_overflow(error) else None
    return [] if figure is None else [figure]


def _members(error: BaseException) -> Sequence[BaseException]:
    """The members of a group; none for any other error."""
    if not isinstance(error, BaseExceptionGroup):
        return ()
    return cast("BaseExceptionGroup[BaseException]", error).exceptions


def _figure(patterns: Sequence[str], text: str) -> int | None:
    """The number that the first pattern found in the text holds."""
    found = (re.search(pattern, text, re.IGNORECASE | re.MULTILINE) for pattern in patterns)
    return next((int(match[1].replace(",", "")) for match in found if match), None)


def _is_refusal(error: BaseException) -> bool:
    """Whether a server's answer is what went wrong: of pydantic-ai's error classes, or an SDK's own."""
    return hasattr(error, "body") and getattr(error, "status_code", None) in _REFUSALS


def _text(error: BaseException) -> str:
    """What the server said, one line for each thing it said."""
    body = cast("object", getattr(error, "body", None))
    said = list(_said(body)) if body else [str(error)]
    return "\n".join(line[:_LONGEST_TEXT] for line in said)


def _said(body: object, depth: int = 0) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, Mapping) and depth < _DEEPEST:
        for name, value in cast("Mapping[object, object]", body).items():
            if name in _TOLD_IN:
                yield from _said(value, depth + 1)
            elif name in {"n_ctx", "n_prompt_tokens"}:  # llama.cpp's figures
                yield f"{name}: {value}"
    elif isinstance(body, list | tuple) and depth < _DEEPEST:
        for item in cast("Sequence[object]", body):
            yield from _said(item, depth + 1)
