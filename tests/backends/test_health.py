"""What a health check finds out, asked of real servers."""

from pathlib import Path

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers import Provider
from tests.backends.server import Answer, failure, serving

from mamba_agents.backends import (
    HealthStatus,
    create_local_backend,
    create_ollama_backend,
    create_vllm_backend,
    health_check,
    health_check_sync,
)

pytestmark = pytest.mark.anyio


async def test_a_server_that_has_the_model_is_healthy() -> None:
    with serving(models=("other", "m")) as server:
        status = await health_check(create_vllm_backend("m", base_url=server.url, api_key="k", headers={"X-A": "b"}))

    assert (status.reachable, status.models, status.model_served, status.error) == (True, ("other", "m"), True, None)
    assert status.latency_ms is not None
    assert (server.calls[0].method, server.calls[0].path) == ("GET", "/v1/models")
    assert (server.calls[0].headers["authorization"], server.calls[0].headers["x-a"]) == ("Bearer k", "b")


async def test_ollamas_latest_tag_need_not_be_written() -> None:
    with serving(models=("llama3.2:latest",)) as server:
        assert (await health_check(create_ollama_backend("llama3.2", base_url=server.url))).model_served is True
        assert (await health_check(create_ollama_backend("llama3", base_url=server.url))).model_served is False


async def test_a_missing_model_is_told_with_those_that_are_there() -> None:
    with serving(models=("a", "b")) as server:
        status = await health_check(create_vllm_backend("m", base_url=server.url))

    assert (status.reachable, status.model_served) == (True, False)
    assert status.error == f"{server.url}/ does not serve 'm'; it serves a, b."


async def test_a_server_that_is_not_there_is_told() -> None:
    with serving() as server:
        pass
    status = await health_check(create_vllm_backend("m", base_url=server.url))

    assert (status.reachable, status.latency_ms, status.models, status.model_served) == (False, None, (), None)
    assert status.error is not None
    assert status.error.startswith(f"{server.url}/ cannot be reached: ")


async def test_a_server_too_slow_is_asked_once_and_told() -> None:
    with serving(models=Answer(raw="{}", delay_seconds=1)) as server:
        status = await health_check(create_vllm_backend("m", base_url=server.url), timeout_seconds=0.1)

    assert status.reachable is False
    assert len(server.calls) == 1


async def test_a_refusal_is_told_with_its_status_and_counts_as_reached() -> None:
    with serving(models=failure(401, {"error": "wrong key"})) as server:
        status = await health_check(create_vllm_backend("m", base_url=server.url))

    assert (status.reachable, status.model_served) == (True, None)
    assert status.error is not None
    assert f"{server.url}/ answered 401" in status.error
    assert "wrong key" in status.error


@pytest.mark.parametrize(
    "listing", ["nothing here", [], {}, {"data": None}, {"data": ["m", {"name": "m"}, {"id": 3}]}, {"data": []}]
)
async def test_a_listing_that_cannot_be_understood_lists_nothing(listing: object) -> None:
    with serving(models=listing) as server:
        status = await health_check(create_vllm_backend("m", base_url=server.url))

    assert (status.reachable, status.models, status.model_served) == (True, (), None)
    assert status.error == f"{server.url}/ lists no models."


async def test_a_page_in_place_of_a_listing_lists_nothing() -> None:
    with serving(models=Answer(raw="<html>", content_type="text/html")) as server:
        status = await health_check(create_vllm_backend("m", base_url=server.url))

    assert status.error == f"{server.url}/ lists no models."


async def test_a_model_without_a_server_is_said_to_have_none() -> None:
    status = await health_check(TestModel())

    assert (status.reachable, status.error) == (False, "test has no server that could be asked.")


async def test_a_wrapped_model_is_asked_too() -> None:
    with serving(models=("m",)) as server:
        status = await health_check(WrapperModel(create_vllm_backend("m", base_url=server.url)))

    assert status.model_served is True


async def test_a_check_leaves_the_model_usable_on_this_loop_and_another() -> None:
    with serving(models=("m",)) as server:
        model = create_vllm_backend("m", base_url=server.url)
        await Agent(model).run("Hi")
        here = await health_check(model)
        elsewhere = health_check_sync(model)
        result = await Agent(model).run("Hi again")

    assert here.model_served is elsewhere.model_served is True
    assert result.output == "Hello there."


def test_the_sync_twin_gives_the_same() -> None:
    with serving(models=("m",)) as server:
        assert health_check_sync(create_vllm_backend("m", base_url=server.url)).model_served is True


def test_an_address_with_a_password_is_shown_without_it() -> None:
    model = create_vllm_backend("m", base_url="http://me:hunter2@127.0.0.1:1/v1")

    assert "hunter2" not in str(health_check_sync(model))


async def test_an_embedded_model_that_cannot_start_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gone.gguf"
    path.write_bytes(b"GGUF")
    model = create_local_backend(path)
    path.unlink()
    status = await health_check(model)

    assert (status.reachable, status.model_served) == (False, None)
    assert status.error is not None
    assert f"The model {path} cannot be loaded: No such file" in status.error


async def test_a_window_that_the_engine_cannot_count_is_told(tmp_path: Path) -> None:
    path = tmp_path / "huge.gguf"
    path.write_bytes(b"GGUF")
    status = await health_check(create_local_backend(path, context_window=10_000_000, parallel=1024))

    assert (status.reachable, status.model_served) == (False, None)
    assert status.error is not None
    assert "try a smaller context_window" in status.error


class Broken(TestModel):
    @property
    def provider(self) -> Provider[object] | None:
        raise OverflowError("no room")


async def test_a_model_that_fails_in_a_way_nobody_foresaw_is_told() -> None:
    assert await health_check(Broken()) == HealthStatus(reachable=False, error="no room")
