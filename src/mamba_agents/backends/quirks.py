"""Habits of self-hosted servers that differ from OpenAI's and that pydantic-ai does not smooth over."""

import json
from collections.abc import Generator
from contextlib import contextmanager

from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall
from pydantic_ai.exceptions import ModelAPIError, ModelConnectionError, ModelTimeoutError
from pydantic_ai.settings import ModelSettings

from mamba_agents.backends.bodies import error_text, field
from mamba_agents.backends.urls import without_credentials


@contextmanager
def clear_errors(client: AsyncOpenAI, settings: ModelSettings | None) -> Generator[None]:
    """Let errors say which server failed, and in the server's own words.

    The SDK says no more than "Connection error." and "An error occurred during streaming". Class and fields stay.
    """
    try:
        yield
    except ModelAPIError as error:
        if message := _clearer(error, client, settings or {}):
            error.message = message
            error.args = (message,)
        raise


def _clearer(error: ModelAPIError, client: AsyncOpenAI, settings: ModelSettings) -> str | None:
    url = without_credentials(str(client.base_url))
    if isinstance(error, ModelTimeoutError):
        seconds = settings.get("timeout", client.timeout)
        return f"{url} gave no answer within {seconds} seconds; raise the timeout or look at the server's load."
    if isinstance(error, ModelConnectionError) and error.phase == "read":
        return f"{url} broke off its answer ({_root(error)}); look at what the server logged."
    if isinstance(error, ModelConnectionError):
        return f"{url} cannot be reached ({_root(error)}); start the server or correct the address."
    if error.in_stream and isinstance(error.body, str):
        return f"{url} broke off its answer: {error.body}"
    return None


def _root(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__


def refuse_hidden_error(response: ChatCompletion | str, model_name: str) -> None:
    """Raise for an answer with status 200 that is an error all the same, or that holds no choice."""
    if isinstance(response, str) or response.choices:
        return
    _refuse(field(response.model_extra, "error"), "an answer without choices", model_name)


async def refuse_unstreamed(stream: AsyncStream[ChatCompletionChunk], model_name: str) -> None:
    """Raise for a streaming request that was answered with a whole document: an error, or a page of something else."""
    content_type = stream.response.headers.get("content-type", "")
    if content_type.startswith(("application/json", "text/html")):
        body = await stream.response.aread()
        _refuse(field(_parsed(body), "error"), f"{content_type} in place of a stream", model_name)


def _refuse(error: object, otherwise: str, model_name: str) -> None:
    said = error_text(error)
    message = f"The server reported success and sent an error: {said}" if said else f"The server sent {otherwise}."
    raise ModelAPIError(model_name, message, body=error)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None


class CallNumbers:
    """Numbers the tool calls of one stream, for servers that give every call the number 0.

    Ollama does for models without a parser of their own (github.com/ollama/ollama/issues/15497, read November 2026);
    unmended, the calls run together into one.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, str], int] = {}
        self._current: dict[int, int] = {}

    def renumber(self, call: ChoiceDeltaToolCall) -> None:
        """Set the call's own number. An id counts only together with a name: vLLM sent a new id in every piece."""
        if call.id and call.function and call.function.name:
            self._current[call.index] = self._number(call.index, call.id)
        call.index = self._current.get(call.index, call.index)

    def _number(self, index: int, call_id: str) -> int:
        # Servers count upwards, so numbers below zero are free; an index left out arrives as None, as good as any.
        own = index if index not in self._numbers.values() else -len(self._numbers)
        return self._numbers.setdefault((index, call_id), own)
