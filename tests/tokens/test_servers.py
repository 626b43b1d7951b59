"""Which servers are billed by the price table, which are free, and whose price nobody knows."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal

import httpx2
import pytest
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.azure import AzureProvider
from pydantic_ai.providers.deepseek import DeepSeekProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openrouter import OpenRouterProvider

from mamba_agents.agent import Agent
from mamba_agents.backends import create_openai_compatible_backend, create_vllm_backend
from mamba_agents.config import AgentSettings
from mamba_agents.tokens import BudgetConfig, BudgetWarning, CostEstimator, ModelRate
from mamba_agents.tokens.servers import server_price
from tests.backends.server import ModelServer, ToLoopback, serving

pytestmark = pytest.mark.anyio

LISTED = Decimal("0.0000475")
"""gpt-4o's price for the server's 7 tokens in and 3 out (openai.com/api/pricing, read 2026-11-22)."""

THIS_MACHINE = [
    "http://localhost:8000/v1",
    "http://localhost.:8000/v1",
    "http://LOCALHOST:8000/v1",
    "http://app.localhost/v1",
    "http://localhost.localdomain/v1",
    "http://ip6-localhost/v1",
    "http://127.0.0.1:8000/v1",
    "http://127.1.2.3/v1",
    "http://0.0.0.0:8000/v1",
    "http://[::1]:8000/v1",
    "http://[::]:8000/v1",
    "http://[::ffff:127.0.0.1]/v1",
]
OWN_SERVERS = [
    "http://box.tail1234.ts.net:8000/v1",
    "http://gpu.home:8000/v1",
    "http://gpu.corp/v1",
    "http://gpu.intranet/v1",
    "http://gpu.lan./v1",
    "http://vllm:8000/v1",
    "http://llm.svc.cluster.local/v1",
    "http://host.docker.internal:11434/v1",
    "https://llm.example-company.com/v1",
    "http://10.0.0.5/v1",
    "http://192.168.1.5/v1",
    "http://100.101.102.103:8000/v1",
    "http://169.254.1.1/v1",
    "http://[fd00::1]:8000/v1",
    "https://203.0.113.9/v1",
    "https://ec2-3-4-5-6.compute-1.amazonaws.com/v1",
    "https://me--vllm.modal.run/v1",
    "https://localhost.example.com/v1",
    "https://127.example.com/v1",
    # Named like a provider's, and not one's.
    "https://api.openai.com.example.org/v1",
    "https://api.openai.com@example.org/v1",
    "https://my-api.openai.com/v1",
    "https://openai.azure.com.example.org/v1",
    "https://llm.example.com/proxy/x.googleapis.com/v1",
    # Another provider's, who has no such model.
    "https://api.together.xyz/v1",
]
PROVIDERS = [
    ("openai", "https://api.openai.com/v1", "gpt-4o"),
    ("openai", "https://api.openai.com:443/v1/", "gpt-4o"),
    ("openai", "https://api.openai.com./v1", "gpt-4o"),
    ("openai", "https://eu.api.openai.com/v1", "gpt-4o"),
    ("openai", "https://us.api.openai.com/v1", "gpt-4o"),
    ("openai-decisions", "https://api.openai.com/v1", "any"),
    ("openai-codex", "https://chatgpt.com/backend-api/codex", "gpt-5"),
    ("compatible", "https://api.openai.com/v1", "gpt-4o"),
    ("azure", "https://mine.openai.azure.com/", "gpt-4o"),
    ("azure", "https://mine.privatelink.openai.azure.com/", "gpt-4o"),
    ("azure", "https://mine.openai.azure.us/", "gpt-4o"),
    ("azure", "https://mine.services.ai.azure.com/openai/v1/", "gpt-4o"),
    ("azure", "https://mine.cognitiveservices.azure.com/", "gpt-4o"),
    ("openai", "https://mine.openai.azure.com/openai/v1/", "gpt-4o"),
    ("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com", "any"),
    ("bedrock", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn", "any"),
    ("bedrock", "https://bedrock-runtime-fips.us-east-1.amazonaws.com", "any"),
    ("bedrock", "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com", "any"),
    ("bedrock-mantle", "https://bedrock-mantle.us-east-1.api.aws/openai/v1", "any"),
    ("google", "https://generativelanguage.googleapis.com/", "gemini-2.5-pro"),
    ("google-cloud", "https://us-central1-aiplatform.googleapis.com/", "gemini-2.5-pro"),
    ("google-cloud", "https://aiplatform.eu.rep.googleapis.com/", "gemini-2.5-pro"),
    ("anthropic", "https://api.anthropic.com", "claude-sonnet-4-5"),
    ("anthropic", "https://us-east5-aiplatform.googleapis.com/v1", "claude-sonnet-4-5"),
    ("openai", "https://gateway-us.pydantic.dev/proxy/openai", "gpt-4o"),
    ("bedrock", "https://gateway.pydantic.info/proxy/bedrock", "any"),
    ("openrouter", "https://openrouter.ai/api/v1", "any"),
    ("openai", "https://openrouter.ai/api/v1", "openai/gpt-4o"),
    ("openai", "https://api.deepseek.com", "deepseek-chat"),
    ("moonshotai", "https://api.moonshot.cn/v1", "any"),
    ("xai", "https://us-east-1.api.x.ai/v1", "any"),
    ("github-copilot", "https://api.business.githubcopilot.com", "any"),
    ("databricks", "https://mine.cloud.databricks.com/serving-endpoints", "any"),
    ("litellm", "http://localhost:4000", "openai/gpt-4o"),
    ("ollama", "https://ollama.com/v1", "gpt-oss:120b"),
    ("ollama", "http://localhost:11434/v1", "gpt-oss:120b-cloud"),
    # Without an address that anybody could be asked at.
    ("openai", None, "gpt-4o"),
    ("openai", "", "gpt-4o"),
    ("openai", "http://[broken", "gpt-4o"),
    ("nobody", None, "any"),
    (None, None, None),
]


@pytest.mark.parametrize("url", THIS_MACHINE)
@pytest.mark.parametrize("provider", ["openai", "anthropic", "azure", "compatible", None])
def test_this_machine_is_free(provider: str | None, url: str) -> None:
    assert server_price(provider, url, "gpt-4o") == "free"


@pytest.mark.parametrize("url", OWN_SERVERS)
@pytest.mark.parametrize("provider", ["openai", "google", "compatible", None])
def test_the_price_of_an_address_that_is_no_provider_s_is_unknown(provider: str | None, url: str) -> None:
    assert server_price(provider, url, "gpt-4o") == "unknown"


@pytest.mark.parametrize("url", [*THIS_MACHINE, *OWN_SERVERS, None])
@pytest.mark.parametrize("provider", ["local", "ollama", "vllm", "lmstudio"])
def test_kinds_of_servers_that_are_one_s_own_are_free_wherever_they_run(provider: str, url: str | None) -> None:
    assert server_price(provider, url, "gpt-4o") == "free"


@pytest.mark.parametrize(("provider", "url", "model"), PROVIDERS)
def test_a_provider_s_own_addresses_have_the_price_table_s_prices(
    provider: str | None, url: str | None, model: str | None
) -> None:
    assert server_price(provider, url, model) == "listed"


def test_neither_an_import_nor_a_server_on_this_machine_loads_the_price_table() -> None:
    code = """if True:
        import sys
        from mamba_agents.tokens.servers import server_price
        server_price("openai", "http://localhost:8000/v1", "gpt-4o")
        server_price("ollama", "http://gpu.home/v1", "gpt-4o")
        server_price("openai", None, "gpt-4o")
        print("genai_prices.data" in sys.modules)
        server_price("openai", "http://gpu.home/v1", "gpt-4o")
        print("genai_prices.data" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_an_address_is_looked_up_once() -> None:
    server_price.cache_clear()
    for _ in range(3):
        server_price("openai", "http://looked-up-once.example.com/v1", "gpt-4o")
    assert server_price.cache_info()[:2] == (2, 1)


@pytest.mark.parametrize("model", ["local", "local:qwen3.gguf", "local:/models/gpt-4o", "lmstudio:gpt-4o"])
def test_models_in_this_process_cost_nothing_unless_a_rate_says_otherwise(model: str) -> None:
    assert CostEstimator().estimate_tokens(1_000_000, model) == 0
    rate = ModelRate(input=Decimal(2), output=Decimal(2))
    assert CostEstimator({"local*": rate, "lmstudio:*": rate}).estimate_tokens(1_000_000, model) == 2


@asynccontextmanager
async def answering() -> AsyncIterator[httpx2.AsyncClient]:
    """A client whose every request a server on loopback answers."""
    with serving() as server:
        async with httpx2.AsyncClient(transport=ToLoopback(server.url)) as client:
            yield client


@contextmanager
def reached_as(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A server that answers for every host, as a proxy does."""
    with serving() as server:
        for name in ("NO_PROXY", "no_proxy", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTP_PROXY", server.url.removesuffix("/v1"))
        yield server


def openai_at(url: str, client: httpx2.AsyncClient | None = None) -> OpenAIChatModel:
    return OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=url, api_key="k", http_client=client))


def agent(model: Model, **settings: object) -> Agent[None, str]:
    return Agent(model, settings=AgentSettings(_env_file=None, _config_file=None, **settings))  # type: ignore[arg-type]


async def costs(asked: Agent[None, str]) -> set[Decimal | None]:
    """Of a run and of a stream, to whoever asks for it."""
    async with asked:
        whole = await asked.run("Hi")
        stream = asked.stream("Hi")
        async for _ in stream:
            pass
    assert stream.result is not None
    rows = [row.cost for row in asked.get_usage_history()]
    return {whole.cost, whole.usage.cost, stream.result.cost, stream.result.usage.cost, *rows}


@pytest.mark.parametrize("url", [url for url in OWN_SERVERS if "@" not in url])
async def test_a_run_on_one_s_own_server_has_an_unknown_price_and_not_openais(url: str) -> None:
    async with answering() as client:
        asked = agent(openai_at(url, client))
        assert await costs(asked) == {None}
    total = asked.usage_tracker.get_total()
    assert (total.cost, total.known_cost, total.unpriced_requests) == (None, 0, 2)


@pytest.mark.parametrize("url", THIS_MACHINE)
async def test_a_run_on_this_machine_costs_nothing(url: str) -> None:
    async with answering() as client:
        asked = agent(openai_at(url, client))
        assert await costs(asked) == {Decimal(0)}
    assert asked.usage_tracker.get_total().unpriced_requests == 0


@pytest.mark.parametrize(
    "url", [url for provider, url, _ in PROVIDERS if provider == "openai" and url and "openai.com" in url]
)
async def test_a_run_at_openai_and_its_regions_is_billed(url: str) -> None:
    async with answering() as client:
        assert await costs(agent(openai_at(url, client))) == {LISTED}


async def test_a_run_at_another_provider_s_own_address_is_billed() -> None:
    async with answering() as client:
        url = "https://mine.openai.azure.com/openai/v1/"
        azure = AzureProvider(azure_endpoint=url, api_key="k", http_client=client)
        assert await costs(agent(OpenAIChatModel("gpt-4o", provider=azure))) == {LISTED}
        for name, provider in (
            ("deepseek-chat", DeepSeekProvider(api_key="k", http_client=client)),
            ("openai/gpt-4o", OpenRouterProvider(api_key="k", http_client=client)),
        ):
            (cost,) = await costs(agent(OpenAIChatModel(name, provider=provider)))
            assert cost


async def test_a_rate_prices_what_nobody_else_knows() -> None:
    async with answering() as client:
        asked = agent(openai_at("http://gpu.home/v1", client), cost_rates={"openai:gpt-4o": {"input": 1, "output": 2}})
        assert await costs(asked) == {Decimal("0.000013")}


async def test_servers_that_are_no_model_of_openai_s_have_an_unknown_price_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with reached_as(monkeypatch) as server:
        url = "http://llm.example-company.com/v1"
        assert await costs(agent(create_openai_compatible_backend("gpt-4o", base_url=url))) == {None}
        assert await costs(agent(openai_at(url))) == {None}
        assert await costs(agent(create_vllm_backend("gpt-4o", base_url=url))) == {Decimal(0)}
    assert len(server.bodies) == 6


async def test_a_budget_says_that_a_price_is_unknown_and_can_refuse_it() -> None:
    async with answering() as client:
        model = openai_at("https://llm.example-company.com/v1", client)
        with pytest.warns(BudgetWarning, match="gpt-4o"):
            await agent(model, budget=BudgetConfig(run_usd=Decimal(1))).run("Hi")


def refuse_openai(response: ModelResponse) -> bool:
    return response.provider_name == "openai"


@pytest.mark.parametrize(
    ("url", "cost"),
    [
        ("http://localhost:8000/v1", Decimal(0)),
        ("https://llm.example-company.com/v1", None),
        ("https://api.openai.com/v1", LISTED),
    ],
)
async def test_what_a_fallback_model_turned_down_has_the_price_of_the_server_that_was_asked(
    url: str, cost: Decimal | None
) -> None:
    async with answering() as client:
        # A member that is not OpenAI's, so that somebody has to tell them apart.
        own = create_vllm_backend("own", base_url="http://localhost:1/v1")
        fallback = FallbackModel(openai_at(url, client), TestModel(), own, fallback_on=refuse_openai)
        asked = agent(fallback)
        result = await asked.run("Hi")
    assert result.response.failed_attempts is not None
    assert [attempt.usage and attempt.usage.cost for attempt in result.response.failed_attempts] == [cost]
    assert asked.get_usage_history()[0].cost == cost


async def test_of_two_servers_with_the_same_model_it_is_not_guessed_which_one_was_turned_down() -> None:
    async with answering() as client:
        own, hosted = openai_at("http://localhost:8000/v1", client), openai_at("https://api.openai.com/v1", client)
        result = await agent(FallbackModel(own, hosted, TestModel(), fallback_on=refuse_openai)).run("Hi")
    assert result.response.failed_attempts is not None
    assert [attempt.usage and attempt.usage.cost for attempt in result.response.failed_attempts] == [None, None]
