"""The window of a model, as its settings, profile, price table and server tell it."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from genai_prices.data_snapshot import get_snapshot
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider
from tests.backends.page_server import RECORDED, Page, listing, plain, serving_pages

from mamba_agents.backends import (
    Window,
    context_window,
    create_local_backend,
    create_ollama_backend,
    create_vllm_backend,
    discover_window,
    forget_windows,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    forget_windows()
    yield
    forget_windows()


# Who is asked


@pytest.mark.parametrize("model", [TestModel(), FunctionModel(lambda _, __: ModelResponse(parts=[]))])
async def test_a_model_without_a_server_has_none_to_ask(model: Model) -> None:
    assert await discover_window(model) is None
    assert await context_window(model) is None


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The hosts that somebody tried to reach; none is there."""
    hosts: list[object] = []

    def look_up(host: object, *_: object, **__: object) -> object:
        hosts.append(host)
        raise socket.gaierror("no such host")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return hosts


@pytest.mark.parametrize("address", ["https://api.openai.com/v1", "https://x.openai.azure.com/openai/v1"])
async def test_services_whose_lists_tell_no_window_are_not_asked(address: str, looked_up: list[object]) -> None:
    model = OpenAIChatModel("gpt-of-tomorrow", provider=OpenAIProvider(base_url=address, api_key="k"))
    assert await context_window(model) is None
    assert looked_up == []


@pytest.mark.parametrize("host", ["api.together.xyz", "openrouter.ai", "llm.example.com"])
async def test_a_server_elsewhere_is_asked_for_one_page_alone(host: str, looked_up: list[object]) -> None:
    model = OpenAIChatModel("model-of-tomorrow", provider=OpenAIProvider(base_url=f"https://{host}/v1", api_key="k"))
    assert await context_window(model) is None
    assert [str(name).strip("b'") for name in looked_up] == [host]


async def test_a_service_s_model_of_another_protocol_is_not_asked(looked_up: list[object]) -> None:
    class Hosted(TestModel):
        @property
        def base_url(self) -> str | None:
            return "https://api.anthropic.com"

    assert await context_window(Hosted(model_name="claude-of-tomorrow")) is None
    assert looked_up == []


async def test_a_model_whose_server_cannot_be_started_tells_nothing(tmp_path: Path) -> None:
    weights = tmp_path / "broken.gguf"
    weights.write_bytes(b"GGUF" + b"\0" * 1_000)
    assert await discover_window(create_local_backend(weights)) is None


async def test_a_machine_that_cannot_ask_anybody_learns_nothing(
    looked_up: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = create_vllm_backend("m", base_url="https://llm.example.com/v1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")
    assert await discover_window(model) is None
    assert looked_up == []


# How often they are asked


async def test_many_who_want_to_know_at_once_ask_once() -> None:
    page = Page(b'{"data": [{"id": "m", "max_model_len": 8192}]}', delay_seconds=0.1)
    found: list[Window | None] = []

    async def ask(model: Model) -> None:
        found.append(await discover_window(model))

    with serving_pages({"GET /v1/models": page}) as server:
        models = [create_vllm_backend("m", base_url=server.url) for _ in range(20)]
        async with anyio.create_task_group() as tasks:
            for model in models:
                tasks.start_soon(ask, model)
    assert found == [Window(tokens=8_192, source="the server's /v1/models")] * 20
    assert server.asked == ["GET /v1/models"]


async def test_one_who_gives_up_leaves_the_question_to_the_next() -> None:
    page = Page(b'{"data": [{"id": "m", "max_model_len": 8192}]}', delay_seconds=0.2)
    with serving_pages({"GET /v1/models": page}) as server:
        model = create_vllm_backend("m", base_url=server.url)
        found: list[Window | None] = []

        async def wait() -> None:
            found.append(await discover_window(model))

        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(0.1):
                tasks.start_soon(wait)
                await discover_window(model)
    assert [window.tokens for window in found if window] == [8_192]


async def test_a_known_window_is_kept_and_a_refresh_asks_anew() -> None:
    with serving_pages(listing(max_model_len=8_192)) as server:
        model = create_vllm_backend("m", base_url=server.url)
        await discover_window(model)
        server.pages.update(listing(max_model_len=4_096))
        assert (await discover_window(model)) == Window(tokens=8_192, source="the server's /v1/models")
        assert (await discover_window(model, refresh=True)) == Window(tokens=4_096, source="the server's /v1/models")
        assert (await discover_window(model)) == Window(tokens=4_096, source="the server's /v1/models")
        assert len(server.asked) == 2


async def test_a_known_window_outlives_a_server_that_is_away() -> None:
    with serving_pages(listing(max_model_len=8_192)) as server:
        model = create_vllm_backend("m", base_url=server.url)
        await discover_window(model)
    assert (await discover_window(model, refresh=True)) == Window(tokens=8_192, source="the server's /v1/models")


async def test_the_window_of_a_model_that_was_unloaded_is_not_guessed_anew() -> None:
    with serving_pages(RECORDED["Ollama, loaded"]["pages"]) as server:
        model = create_ollama_backend("llama3.2", base_url=server.url)
        await discover_window(model)
        server.pages["GET /api/ps"] = {"models": []}
        assert (await discover_window(model, refresh=True)) == Window(tokens=8_192, source="Ollama /api/ps")


async def test_a_server_that_told_nothing_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("mamba_agents.backends.windows.time.monotonic", lambda: now)
    with serving_pages({}) as server:
        model = create_vllm_backend("m", base_url=server.url)
        assert await discover_window(model) is None
        times = len(server.asked)
        server.pages.update(listing(max_model_len=8_192))
        assert await discover_window(model) is None
        assert len(server.asked) == times
        now += 61
        assert (await discover_window(model)) == Window(tokens=8_192, source="the server's /v1/models")


async def test_a_model_that_was_not_loaded_is_asked_after_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("mamba_agents.backends.windows.time.monotonic", lambda: now)
    with serving_pages(RECORDED["Ollama, not loaded"]["pages"]) as server:
        model = create_ollama_backend("llama3.3:70b", base_url=server.url)
        first = await discover_window(model)
        assert first is not None
        assert first.is_provisional
        server.pages["GET /api/ps"] = {"models": [{"name": "llama3.3:70b", "context_length": 32_768}]}
        now += 6
        assert (await discover_window(model)) == Window(tokens=32_768, source="Ollama /api/ps")


async def test_models_and_servers_are_kept_apart() -> None:
    with serving_pages(listing(max_model_len=8_192)) as one, serving_pages(listing(max_model_len=4_096)) as other:
        sizes = [
            await discover_window(create_vllm_backend(name, base_url=server.url))
            for server in (one, other)
            for name in ("m", "other")
        ]
    assert [window.tokens for window in sizes if window] == [8_192, 1, 4_096, 1]


def test_several_event_loops_may_ask_at_once() -> None:
    page = Page(b'{"data": [{"id": "m", "max_model_len": 8192}]}', delay_seconds=0.1)
    with serving_pages({"GET /v1/models": page}) as server:
        model = create_vllm_backend("m", base_url=server.url)
        found: list[Window | None] = []
        threads = [threading.Thread(target=lambda: found.append(anyio.run(discover_window, model))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [window.tokens for window in found if window] == [8_192] * 8


# Which is believed


async def test_the_settings_come_first_and_nobody_is_asked() -> None:
    with serving_pages(listing(max_model_len=8_192)) as server:
        model = create_vllm_backend("m", base_url=server.url)
        assert await context_window(model, configured=1_000) == Window(tokens=1_000, source="the settings")
        assert server.asked == []


async def test_a_number_in_the_profile_comes_before_the_server() -> None:
    with serving_pages(listing(max_model_len=8_192)) as server:
        model = plain(server, profile=OpenAIModelProfile(context_window=5_000))
        assert await context_window(model) == Window(tokens=5_000, source="the model's profile")
        assert server.asked == []


async def test_a_service_s_model_has_the_price_table_s_window_and_nobody_is_asked() -> None:
    model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(api_key="k"))
    assert await context_window(model) == Window(tokens=128_000, source="the price table")


@pytest.mark.parametrize("name", ["gpt-5", "gpt-5-mini", "gpt-5.1"])
async def test_what_gpt_5_keeps_for_its_answer_is_not_counted(name: str) -> None:
    model = OpenAIChatModel(name, provider=OpenAIProvider(api_key="k"))
    assert model.context_window == 400_000
    assert await context_window(model) == Window(tokens=272_000, source="the price table")


def test_the_table_has_the_plain_window_of_claude_sonnet_4_5() -> None:
    """Version 0.1.3 of `genai-prices` had 1,000,000, which only a beta header gave."""
    _, row = get_snapshot().find_provider_model("claude-sonnet-4-5", None, "anthropic", None)
    assert row.context_window == 200_000


async def test_a_server_s_own_model_named_like_a_service_s_has_the_server_s_window() -> None:
    with serving_pages({"GET /v1/models": {"data": [{"id": "gpt-4o", "max_model_len": 8_192}]}}) as server:
        model = plain(server, "gpt-4o")
        assert model.context_window == 128_000
        assert await context_window(model) == Window(tokens=8_192, source="the server's /v1/models")


async def test_where_the_server_does_not_say_the_table_s_row_of_that_name_is_taken_and_said() -> None:
    with serving_pages({}) as server:
        found = await context_window(plain(server, "gpt-4o"))
    assert found == Window(tokens=128_000, source="the price table's row for another server's gpt-4o")


async def test_a_name_that_nobody_knows_has_no_window() -> None:
    with serving_pages({}) as server:
        assert await context_window(plain(server)) is None


async def test_a_fallback_s_window_is_the_smallest_that_is_known() -> None:
    with serving_pages(listing(max_model_len=8_192)) as server, serving_pages({}) as silent:
        hosted = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(api_key="k"))
        own, unknown = create_vllm_backend("m", base_url=server.url), create_vllm_backend("m", base_url=silent.url)
        smallest = Window(tokens=8_192, source="the server's /v1/models")
        assert await context_window(FallbackModel(hosted, own, unknown)) == smallest
        assert await discover_window(WrapperModel(FallbackModel(hosted, own))) == smallest
        assert await context_window(FallbackModel(hosted, unknown)) == Window(tokens=128_000, source="the price table")
        assert await context_window(FallbackModel(unknown, TestModel())) is None


async def test_a_model_whose_properties_fail_has_no_window() -> None:
    class Broken(TestModel):
        @property
        def context_window(self) -> int | None:
            raise RuntimeError("not yet")

        @property
        def base_url(self) -> str | None:
            raise RuntimeError("not yet")

    assert await context_window(Broken()) is None


# The real server


@pytest.mark.model
@pytest.mark.parametrize("parallel", [1, 3])
async def test_llama_cpp_s_own_server_tells_one_slot_s_window(parallel: int) -> None:
    model = create_local_backend(context_window=768, parallel=parallel, constrained_tools=False)
    assert await discover_window(model) == Window(tokens=768, source="llama.cpp /props")
    assert await context_window(model) == Window(tokens=768, source="the model's profile")


@pytest.mark.model
async def test_the_embedded_server_is_not_started_to_know_its_window() -> None:
    model = create_local_backend(context_window=640)
    assert await context_window(model) == Window(tokens=640, source="the model's profile")
    assert ":0/" in (model.base_url or "")
