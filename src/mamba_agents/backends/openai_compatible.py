"""The model of a server that speaks OpenAI's chat protocol. Loads the OpenAI SDK, so import it where it is used."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast, override

import httpx2
from openai import AsyncStream
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam
from openai.types.chat.chat_completion_chunk import Choice
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import CompletedStreamedResponse, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings, OpenAIStreamedResponse
from pydantic_ai.profiles import ModelProfile as HostProfile
from pydantic_ai.profiles import merge_profile
from pydantic_ai.profiles.openai import OpenAIModelProfile, openai_model_profile
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.vllm import VLLMProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from mamba_agents.backends.config import ModelBackendSettings, ServerKind
from mamba_agents.backends.http_client import ClientPerLoop
from mamba_agents.backends.profiles import get_profile
from mamba_agents.backends.quirks import CallNumbers, clear_errors, refuse_hidden_error, refuse_unstreamed
from mamba_agents.backends.request_settings import basic_authorization, plain_headers, sampling
from mamba_agents.backends.surrogates import encodable
from mamba_agents.backends.urls import is_loopback, is_ollama_cloud, split_credentials

# Ollama 0.32 takes `max_completion_tokens` and ignores it (github.com/ollama/ollama/issues/7125, read November 2026);
# every server knows `max_tokens`.
_PLAIN = OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False)


class ServerProvider(OpenAIProvider):
    """The connection to one server: where it is, how it is asked, and the name that its answers carry."""

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        api_key: str | None,
        headers: Mapping[str, str],
        timeout: float,
        max_retries: int,
        http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        # A key must be given here, or the SDK would send this server the one in OPENAI_API_KEY.
        url, credentials = split_credentials(base_url)  # every message carries the address
        super().__init__(base_url=url, api_key=api_key or "none", http_client=http_client or ClientPerLoop())
        self._name = name
        if credentials:
            headers = {"Authorization": basic_authorization(*credentials), **headers}
        self._client = self._client.with_options(timeout=timeout, max_retries=max_retries, default_headers=headers)

    @property
    @override
    def name(self) -> str:
        return self._name

    @staticmethod
    @override
    def model_profile(model_name: str) -> None:
        return None  # OpenAI's own profiles do not hold for another server's models


class ServerModel(OpenAIChatModel):
    """A model on a self-hosted server, whose manners and price are not OpenAI's."""

    def __init__(
        self,
        model_name: str,
        *,
        provider: ServerProvider,
        profile: OpenAIModelProfile,
        settings: ModelSettings,
        streams_tool_calls: bool,
        cost: Decimal | None,
    ) -> None:
        super().__init__(model_name, provider=provider, profile=profile, settings=settings)
        self._streams_tool_calls = streams_tool_calls
        self._cost = cost

    async def connect(self) -> None:
        """Make sure that the server is there to be asked; one that somebody else runs is left to them."""

    @override
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        await self.connect()
        with clear_errors(self.client, model_settings):
            return await super().request(messages, model_settings, model_request_parameters)

    @override
    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[object] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        if model_request_parameters.tool_defs and not self._streams_tool_calls:
            # Streaming would lose the tool calls.
            response = await self.request(messages, model_settings, model_request_parameters)
            yield CompletedStreamedResponse(
                response, model_request_parameters=model_request_parameters, replay_events=True
            )
            return
        await self.connect()
        opening = super().request_stream(messages, model_settings, model_request_parameters, run_context)
        async with AsyncExitStack() as stack:
            with clear_errors(
                self.client, model_settings
            ):  # only around the opening: what the caller does inside is its own
                stream = await stack.enter_async_context(opening)
            yield stream

    @override
    async def _map_messages(
        self,
        messages: Sequence[ModelMessage],
        model_request_parameters: ModelRequestParameters,
        *,
        model_settings: ModelSettings | None = None,
    ) -> list[ChatCompletionMessageParam]:
        mapped = await super()._map_messages(messages, model_request_parameters, model_settings=model_settings)
        return cast("list[ChatCompletionMessageParam]", encodable(mapped))

    @override
    def _process_response(self, response: ChatCompletion | str, **options: Any) -> ModelResponse:
        # The options differ between versions of pydantic-ai.
        refuse_hidden_error(response, self.model_name)
        return super()._process_response(response, **options)

    @override
    async def _process_streamed_response(
        self,
        response: AsyncStream[ChatCompletionChunk],
        model_request_parameters: ModelRequestParameters,
        model_settings: OpenAIChatModelSettings | None = None,
    ) -> OpenAIStreamedResponse:
        await refuse_unstreamed(response, self.model_name)
        stream = await super()._process_streamed_response(response, model_request_parameters, model_settings)
        cast("ServerStream", stream).model = self
        self.priced(stream.usage)  # so that it costs the same when it is cut before any usage came
        return stream

    @property
    @override
    def _streamed_response_cls(self) -> type[OpenAIStreamedResponse]:
        return ServerStream

    @override
    def _map_usage(self, response: ChatCompletion) -> RequestUsage:
        return self.priced(super()._map_usage(response))

    def priced(self, usage: RequestUsage) -> RequestUsage:
        """Put this server's price on a request, unless the server named one."""
        if usage.cost is None:
            usage.cost = self._cost
        return usage


@dataclass
class ServerStream(OpenAIStreamedResponse):
    """A streamed answer of a `ServerModel`."""

    model: ServerModel = field(init=False)
    _call_numbers: CallNumbers = field(default_factory=CallNumbers, init=False)

    @override
    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        with clear_errors(self.model.client, self._model_settings):
            async for event in super()._get_event_iterator():
                yield event

    @override
    def _map_tool_call_delta(self, choice: Choice) -> Iterable[ModelResponseStreamEvent]:
        for call in choice.delta.tool_calls or ():
            self._call_numbers.renumber(call)
        return super()._map_tool_call_delta(choice)

    @override
    def _map_usage(self, response: ChatCompletionChunk) -> RequestUsage:
        usage = super()._map_usage(response)
        return self.model.priced(usage) if response.usage else usage


def build_server_model(kind: ServerKind, model: str, base_url: str, settings: ModelBackendSettings) -> ServerModel:
    """Give this model of this server, asked as the settings say."""
    known = get_profile(model)
    provider = ServerProvider(
        kind,
        base_url=base_url,
        api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        headers=plain_headers(settings),
        timeout=settings.timeout,
        max_retries=settings.max_retries,
    )
    return ServerModel(
        model,
        provider=provider,
        profile=cast("OpenAIModelProfile", merge_profile(_host_profile(kind, model, base_url), known.host)),
        settings=sampling(settings),
        streams_tool_calls=known.streams_tool_calls,
        cost=_cost(kind, model, base_url),
    )


def _host_profile(kind: ServerKind, model: str, base_url: str) -> HostProfile:
    """Give what pydantic-ai knows about this model on this kind of server."""
    if kind == "ollama":
        enforces_schema = not is_ollama_cloud(base_url, model)
        return merge_profile(
            OllamaProvider.model_profile(model), _PLAIN, HostProfile(supports_json_schema_output=enforces_schema)
        )
    hosted = openai_model_profile(model)
    if kind == "compatible" and hosted.get("openai_supports_reasoning"):
        return hosted  # OpenAI's own model behind a proxy
    return merge_profile(VLLMProvider.model_profile(model), _PLAIN)


def _cost(kind: ServerKind, model: str, base_url: str) -> Decimal | None:
    own = is_loopback(base_url) if kind == "compatible" else not (kind == "ollama" and is_ollama_cloud(base_url, model))
    return Decimal(0) if own else None
