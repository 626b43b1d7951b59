"""One model used by sync and async code, on a server that keeps its connections."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic_ai.models import Model
from tests.backends.server import Answer, Echo, serving

from mamba_agents.agent import Agent
from mamba_agents.backends import (
    ClientPerLoop,
    LocalSettings,
    ModelBackendSettings,
    create_ollama_backend,
    resolve_model,
)


@pytest.fixture(autouse=True)
def empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_sync_and_async_calls_alternate() -> None:
    with serving() as server:
        agent = Agent(create_ollama_backend("m", base_url=server.url, max_retries=0))
        for _ in range(4):
            assert agent.run_sync("Hi").output == "Hello there."
            assert asyncio.run(agent.run("Hi")).output == "Hello there."

    assert len(server.bodies) == 8


def test_openais_own_server_takes_both_too(monkeypatch: pytest.MonkeyPatch) -> None:
    text = {"type": "output_text", "text": "Hello there.", "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
    answer = {"id": "r", "object": "response", "created_at": 1, "model": "gpt-4o", "output": [message]}
    with serving(*[Answer(raw=json.dumps(answer))] * 4) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        model = resolve_model("gpt-4o", ModelBackendSettings.model_validate({"api_key": "k"}), LocalSettings())
        assert isinstance(model, Model)
        agent = Agent(model)
        for _ in range(2):
            assert agent.run_sync("Hi").output == "Hello there."
            assert asyncio.run(agent.run("Hi")).output == "Hello there."


def test_threads_and_tasks_at_once_each_get_their_own_answer() -> None:
    prompts = [f"prompt {number}" for number in range(150)]
    with serving(kind=Echo) as server, ThreadPoolExecutor(50) as threads:
        agent = Agent(create_ollama_backend("m", base_url=server.url, max_retries=0))

        async def all_tasks() -> list[str]:
            return [result.output for result in await asyncio.gather(*(agent.run(text) for text in prompts[50:]))]

        in_threads = [threads.submit(agent.run_sync, text) for text in prompts[:50]]
        outputs = asyncio.run(all_tasks())
        outputs = [future.result().output for future in in_threads] + outputs

    assert outputs == prompts


def test_a_loop_keeps_its_connections_and_closes_them_at_its_end() -> None:
    """A connection left open would be a ResourceWarning, and so an error."""
    with serving() as server:
        agent = Agent(create_ollama_backend("m", base_url=server.url))

        async def twice() -> None:
            await agent.run("Hi")
            await agent.run("Hi")

        asyncio.run(twice())
        asyncio.run(twice())

    assert len({call.client for call in server.calls}) == 2


def test_closing_closes_the_connections_of_this_loop_and_a_request_opens_new_ones() -> None:
    async def asked_closed_and_asked(url: str) -> None:
        client = ClientPerLoop()
        for _ in range(2):
            assert (await client.get(f"{url}/models")).status_code == 200
            await client.aclose()
        await client.aclose()

    with serving() as server:
        asyncio.run(asked_closed_and_asked(server.url))

    assert len({call.client for call in server.calls}) == 2
