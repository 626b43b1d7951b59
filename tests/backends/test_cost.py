"""What requests to self-hosted servers cost."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import RequestUsage
from tests.backends.server import Answer, serving

from mamba_agents.backends import (
    create_lmstudio_backend,
    create_ollama_backend,
    create_openai_compatible_backend,
    create_vllm_backend,
)
from mamba_agents.backends.openai_compatible import ServerModel

pytestmark = pytest.mark.anyio
LOCAL = [create_ollama_backend, create_vllm_backend, create_lmstudio_backend, create_openai_compatible_backend]


@pytest.mark.parametrize("factory", LOCAL)
@pytest.mark.parametrize("usage", [{"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}, None])
async def test_a_local_server_costs_nothing_even_with_a_hosted_models_name(
    factory: Callable[..., Model], usage: dict[str, int] | None
) -> None:
    with serving(Answer(usage=usage), Answer(usage=usage)) as server:
        agent = Agent(factory("gpt-4o", base_url=server.url))
        whole = await agent.run("Hi")
        async with agent.run_stream("Hi") as streamed:
            await streamed.get_output()

    assert whole.usage.cost == streamed.usage.cost == Decimal(0)
    assert whole.response.usage.cost == streamed.response.usage.cost == Decimal(0)


async def test_the_hosts_own_model_would_have_priced_it() -> None:
    """The reason for the tests above."""
    with serving() as server:
        model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=server.url, api_key="k"))
        async with Agent(model) as agent:
            result = await agent.run("Hi")

    assert result.usage.cost


async def test_a_stream_left_early_costs_nothing_too() -> None:
    with serving(Answer("one two three")) as server:
        async with Agent(create_ollama_backend("gpt-4o", base_url=server.url)).run_stream("Hi") as streamed:
            async for _ in streamed.stream_text(debounce_by=None):
                break

    assert streamed.usage.cost == Decimal(0)


async def test_a_server_elsewhere_is_not_priced_as_its_hosted_namesake(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        for name in ("NO_PROXY", "no_proxy", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTP_PROXY", server.url.removesuffix("/v1"))  # it answers for every host
        async with Agent(create_openai_compatible_backend("gpt-4o", base_url="http://gpu.home/v1")) as agent:
            whole = await agent.run("Hi")
            async with agent.run_stream("Hi") as streamed:
                await streamed.get_output()

    assert len(server.bodies) == 2
    assert whole.usage.cost is None
    assert streamed.usage.cost is None


def price(model: Model) -> Decimal | None:
    assert isinstance(model, ServerModel)
    return model.priced(RequestUsage()).cost


@pytest.mark.parametrize(
    "loopback", ["localhost", "localhost.", "app.localhost", "127.0.0.1", "127.1.2.3", "0.0.0.0", "[::1]", "[::]"]
)
def test_loopback_addresses_are_this_machine(loopback: str) -> None:
    assert price(create_openai_compatible_backend("gpt-4o", base_url=f"http://{loopback}:8000/v1")) == 0


@pytest.mark.parametrize("elsewhere", ["192.168.1.5", "models.example.com", "127.example.com", "localhost.example.com"])
def test_another_machines_price_is_unknown(elsewhere: str) -> None:
    assert price(create_openai_compatible_backend("gpt-4o", base_url=f"http://{elsewhere}:8000/v1")) is None


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("gpt-oss:120b-cloud", "http://localhost:11434/v1"),
        ("gpt-oss:120b", "https://ollama.com/v1"),
    ],
)
def test_ollamas_cloud_is_not_free(model: str, base_url: str) -> None:
    assert price(create_ollama_backend(model, base_url=base_url)) is None
