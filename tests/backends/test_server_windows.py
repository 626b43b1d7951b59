"""What each kind of model server tells of its window, and what is no answer."""

import gzip
import json
from collections.abc import Callable, Iterator

import pytest
from pydantic_ai.models import Model
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers.ollama import OllamaProvider
from tests.backends.page_server import RECORDED, Page, listing, plain, serving_pages

from mamba_agents.backends import (
    Window,
    create_lmstudio_backend,
    create_ollama_backend,
    create_openai_compatible_backend,
    create_vllm_backend,
    discover_window,
    forget_windows,
)

pytestmark = pytest.mark.anyio

MAKE: dict[str, Callable[..., Model]] = {
    "ollama": create_ollama_backend,
    "vllm": create_vllm_backend,
    "lmstudio": create_lmstudio_backend,
    "compatible": create_openai_compatible_backend,
}


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    forget_windows()
    yield
    forget_windows()


@pytest.mark.parametrize("name", RECORDED)
async def test_each_server_tells_the_window_in_effect(name: str) -> None:
    recorded = RECORDED[name]
    with serving_pages(recorded["pages"]) as server:
        found = await discover_window(MAKE[recorded["kind"]](recorded["model"], base_url=server.url))
    if recorded["tokens"] is None:
        assert found is None
    else:
        assert found == Window(
            tokens=recorded["tokens"], source=recorded["told_by"], is_provisional=recorded["is_provisional"]
        )


@pytest.mark.parametrize("name", [name for name in RECORDED if "router" not in name and "cloud" not in name])
async def test_a_server_is_found_out_whatever_the_model_calls_it(name: str) -> None:
    """A model of pydantic-ai's own, which knows no more than an address."""
    recorded = RECORDED[name]
    with serving_pages(recorded["pages"]) as server:
        found = await discover_window(plain(server, recorded["model"]))
    assert found is not None
    assert found.tokens == recorded["tokens"]


async def test_pydantic_ai_s_ollama_model_is_asked_as_ours_is() -> None:
    with serving_pages(RECORDED["Ollama, loaded"]["pages"]) as server:
        model = OllamaModel("llama3.2", provider=OllamaProvider(base_url=server.url))
        assert (await discover_window(model)) == Window(tokens=8_192, source="Ollama /api/ps")
    assert sorted(server.asked) == ["GET /api/ps", "POST /api/show"]
    assert [json.loads(body)["model"] for body in server.bodies if body] == ["llama3.2"]


async def test_the_server_is_asked_with_the_model_s_key_and_headers() -> None:
    with serving_pages(listing(max_model_len=8_192)) as server:
        await discover_window(create_vllm_backend("m", base_url=server.url, api_key="k", headers={"X-A": "b"}))
    assert [(asked["authorization"], asked["x-a"]) for asked in server.headers] == [("Bearer k", "b")]


async def test_a_wrapped_model_s_server_is_asked() -> None:
    with serving_pages(listing(max_model_len=8_192)) as server:
        found = await discover_window(WrapperModel(create_vllm_backend("gemma3", base_url=server.url)))
    assert found is None  # the list has no model of that name

    with serving_pages(listing(max_model_len=8_192)) as server:
        found = await discover_window(WrapperModel(create_vllm_backend("m", base_url=server.url)))
    assert found == Window(tokens=8_192, source="the server's /v1/models")


async def test_another_protocol_s_model_on_a_server_of_one_s_own_is_asked_without_its_key() -> None:
    class Foreign(TestModel):
        @property
        def base_url(self) -> str | None:
            return address

    with serving_pages(listing(max_model_len=8_192)) as server:
        address = server.url.removesuffix("/v1")
        found = await discover_window(Foreign(model_name="m"))
    assert found == Window(tokens=8_192, source="the server's /v1/models")
    assert server.headers[0]["authorization"] == "Bearer none"


@pytest.mark.parametrize("base", ["/v1", "/v1/", "/api/v0", "/llm/v1", ""])
async def test_the_root_is_found_from_any_usual_base_url(base: str) -> None:
    prefix = "/llm" if "llm" in base else ""
    page = {f"GET {prefix}/props": {"default_generation_settings": {"n_ctx": 512}}}
    with serving_pages(page) as server:
        address = server.url.removesuffix("/v1") + base
        found = await discover_window(create_openai_compatible_backend("m", base_url=address))
    assert found == Window(tokens=512, source="llama.cpp /props")


# What tells nothing


PACKED = gzip.compress(b'{"data": [{"id": "m", "max_model_len": 8192}]}')
HUGE = b'{"data": [{"id": "m", "max_model_len": 8192, "x": "' + b"x" * 9_000_000 + b'"}]}'


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Page(b"<html>hello</html>", headers={"Content-Type": "text/html"}), id="a web page"),
        pytest.param(Page(b"{"), id="broken"),
        pytest.param(Page(b"\xff\xfe"), id="no text"),
        pytest.param(Page(b""), id="empty"),
        pytest.param(Page(b"[" * 100_000), id="deep"),
        pytest.param(Page(b'{"data": [{"id": "m", "max_model_len": 8192}]}', status=500), id="failed"),
        pytest.param(Page(b'{"data": [{"id": "m", "max_model_len": 8192}]}', status=401), id="refused"),
        pytest.param(Page(PACKED, headers={"Content-Encoding": "gzip"}), id="packed"),
        pytest.param(Page(HUGE), id="huge"),
        pytest.param(None, id="null"),
        pytest.param([], id="no list"),
        pytest.param("8192", id="a text"),
        pytest.param({"data": None}, id="no models"),
        pytest.param({"data": {"id": "m", "max_model_len": 8_192}}, id="one model"),
        pytest.param({"data": ["m", 3, None, {"max_model_len": 8_192}, {"id": "m"}]}, id="all kinds of things"),
    ],
)
async def test_an_answer_that_cannot_be_understood_tells_nothing(answer: object) -> None:
    with serving_pages({"GET /v1/models": answer}) as server:
        assert await discover_window(create_vllm_backend("m", base_url=server.url)) is None
        assert server.asked[0] == "GET /v1/models"


@pytest.mark.parametrize("value", ["8192", 8192.5, True, False, None, 0, -1, [], {}, 10**30])
async def test_a_window_that_is_no_number_or_no_window_tells_nothing(value: object) -> None:
    pages = {
        **listing(max_model_len=value, context_length=value, meta={"n_ctx": value}, top_provider=value),
        "GET /props": {"default_generation_settings": {"n_ctx": value}},
        "GET /api/ps": {"models": [{"name": "m", "context_length": value}]},
        "POST /api/show": {"parameters": value, "model_info": {"general.architecture": "a", "a.context_length": value}},
        "GET /api/v1/models": {
            "models": [{"key": "m", "max_context_length": value, "loaded_instances": [{"config": value}]}]
        },
        "GET /api/v0/models": {"data": [{"id": "m", "loaded_context_length": value, "max_context_length": value}]},
        "GET /info": {"max_input_tokens": value, "max_total_tokens": value},
        "GET /model/info": {"data": [{"model_name": "m", "model_info": value}]},
    }
    with serving_pages(pages) as server:
        assert await discover_window(create_openai_compatible_backend("m", base_url=server.url)) is None
        assert len(server.asked) == 8


async def test_a_server_that_is_not_there_tells_nothing() -> None:
    with serving_pages({}) as server:
        pass
    assert await discover_window(create_vllm_backend("m", base_url=server.url)) is None


async def test_a_slow_server_is_not_waited_for() -> None:
    slow = Page(b'{"data": [{"id": "m", "max_model_len": 8192}]}', delay_seconds=1)
    with serving_pages({"GET /v1/models": slow}) as server:
        assert await discover_window(create_vllm_backend("m", base_url=server.url), timeout_seconds=0.1) is None


async def test_a_redirect_is_not_followed() -> None:
    with serving_pages(listing(max_model_len=8_192)) as elsewhere:
        away = Page(b"", status=302, headers={"Location": f"{elsewhere.url}/models"})
        with serving_pages({"GET /v1/models": away}) as server:
            assert await discover_window(create_vllm_backend("m", base_url=server.url)) is None
    assert elsewhere.asked == []
