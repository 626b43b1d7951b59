"""The model behind the embedded server. Loads the OpenAI SDK, so import it where it is used."""

from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from decimal import Decimal
from typing import cast, override

import anyio.to_thread
import httpx2
from pydantic_ai import RunContext
from pydantic_ai.exceptions import ModelContextWindowExceededError, ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import merge_profile
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.vllm import VLLMProvider
from pydantic_ai.settings import ModelSettings

from mamba_agents.backends.http_client import ClientPerLoop
from mamba_agents.backends.local.grammar import GrammarSchemaTransformer
from mamba_agents.backends.local.server import LlamaServer
from mamba_agents.backends.local.weights import model_name
from mamba_agents.backends.openai_compatible import ServerModel, ServerProvider
from mamba_agents.backends.profiles import get_profile

_NOT_STARTED = "http://127.0.0.1:0/v1"


class LocalModel(ServerModel):
    """A GGUF file that llama.cpp runs in this process, behind a server on loopback that starts on the first request."""

    def __init__(self, server: LlamaServer, *, settings: ModelSettings, timeout: float) -> None:
        name = model_name(server.options.path)
        super().__init__(
            name,
            provider=_provider(timeout),
            profile=_profile(name, server.options.context_window),
            settings=settings,
            streams_tool_calls=True,
            cost=Decimal(0),
        )
        self._server = server

    @override
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        with _clear_overflow(self._server):
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
        opening = super().request_stream(messages, model_settings, model_request_parameters, run_context)
        async with AsyncExitStack() as stack:
            with _clear_overflow(self._server):
                stream = await stack.enter_async_context(opening)
            yield stream

    @override
    async def connect(self) -> None:
        """Start the server unless it runs, and point the client at it: in a forked process it is another one."""
        address = self._server.address or await anyio.to_thread.run_sync(self._server.start)
        self.client.base_url = f"{address}/v1"
        self.client.api_key = self._server.api_key


def _provider(timeout: float) -> ServerProvider:
    # No connection is kept: in a forked process the server is another one. No proxy stands before loopback.
    limits = httpx2.Limits(max_keepalive_connections=0)
    return ServerProvider(
        "local",
        base_url=_NOT_STARTED,
        api_key=None,
        headers={},
        timeout=timeout,
        max_retries=0,  # nothing between here and the server can get better
        http_client=ClientPerLoop(lambda: httpx2.AsyncClient(limits=limits, trust_env=False)),
    )


def _profile(name: str, context_window: int) -> OpenAIModelProfile:
    merged = merge_profile(
        VLLMProvider.model_profile(name),  # what pydantic-ai knows of the family
        OpenAIModelProfile(
            context_window=context_window,
            supports_json_schema_output=True,
            default_structured_output_mode="native",
            openai_chat_supports_max_completion_tokens=False,
            openai_supports_strict_tool_definition=False,
            json_schema_transformer=GrammarSchemaTransformer,
        ),
        get_profile(name).host,
    )
    return cast("OpenAIModelProfile", merged)


@contextmanager
def _clear_overflow(server: LlamaServer) -> Generator[None]:
    """Give llama.cpp's own error for a prompt that is too long the class that pydantic-ai has for it."""
    try:
        yield
    except ModelHTTPError as error:
        if error.provider_error_type != "exceed_context_size_error":
            raise
        raise ModelHTTPError.for_category(
            ModelContextWindowExceededError,
            status_code=error.status_code,
            model_name=error.model_name,
            body=error.body,
            hint=f"Shorten the prompt, or raise context_window above {server.options.context_window}.",
            provider_error_type=error.provider_error_type,
        ) from error
