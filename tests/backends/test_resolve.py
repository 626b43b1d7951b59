"""What a user calls a model, and what it becomes."""

import inspect
import re
from pathlib import Path

import pytest
from pydantic_ai import Agent, providers
from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model
from pydantic_ai.models.test import TestModel
from tests.backends.server import Answer, serving

from mamba_agents.backends import (
    ClientPerLoop,
    ConstrainedToolsModel,
    LocalSettings,
    ModelBackendSettings,
    hosted_model,
    request_settings,
    resolve_model,
)
from mamba_agents.backends.providers import provider_names
from mamba_agents.errors import ConfigurationError

pytestmark = pytest.mark.anyio
ELSEWHERE = "http://localhost:9/v1"


def resolve(model: Model | str | None = None, /, **backend: object) -> Model | str:
    return resolve_model(model, ModelBackendSettings.model_validate(backend), LocalSettings())


def resolved(model: str | None = None, /, **backend: object) -> Model:
    result = resolve(model, **backend)
    assert isinstance(result, Model)
    return result


async def test_a_model_passes_untouched() -> None:
    model = TestModel()

    assert resolve(model, base_url=ELSEWHERE, model="other") is model


@pytest.mark.parametrize(
    "name",
    [
        "openai:gpt-5",
        "openai-chat:gpt-4o",
        "anthropic:claude-sonnet-4-5",
        "gateway/openai:gpt-5",
        "ollama:llama3.2:3b",
        "mistral:7b",
        "test",
    ],
)
@pytest.mark.parametrize(
    "backend", [{}, {"base_url": ELSEWHERE, "model": "other", "api_key": "k"}, {"constrained_tools": True}]
)
async def test_a_provider_and_name_goes_to_that_provider_whatever_is_set(name: str, backend: dict[str, object]) -> None:
    assert resolve(name, **backend) == name
    assert resolve(None, **(backend | {"model": name})) == name


@pytest.mark.parametrize("name", ["llama3.2", "llama3.2:3b", "qwen3:4b", "Qwen/Qwen3-8B", "hf.co/org/name:Q4_K_M"])
async def test_any_other_name_goes_to_the_server_that_is_set(name: str) -> None:
    with serving(Answer("Here.")) as server:
        result = await Agent(resolve(name, base_url=server.url, model="other")).run("Hi")

    assert result.output == "Here."
    assert server.bodies[0]["model"] == name


async def test_no_name_means_the_one_in_the_settings() -> None:
    with serving() as server:
        await Agent(resolve(None, base_url=server.url, model="llama3.2")).run("Hi")

    assert server.bodies[0]["model"] == "llama3.2"


async def test_every_setting_reaches_the_server() -> None:
    settings = {"api_key": "sk-own", "temperature": 0.5, "max_tokens": 9, "headers": {"X-Team": "blue"}}
    with serving() as server:
        await Agent(resolve("m", base_url=server.url, **settings)).run("Hi")

    assert (server.bodies[0]["temperature"], server.bodies[0]["max_tokens"]) == (0.5, 9)
    assert server.calls[0].headers["authorization"] == "Bearer sk-own"
    assert server.calls[0].headers["x-team"] == "blue"


@pytest.mark.parametrize("name", ["gpt-4o", "ft:gpt-4o-mini:org::id"])
async def test_a_bare_name_goes_to_openai_where_only_its_key_is_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    own = {"temperature": 0.5, "max_tokens": 9, "timeout": 3, "max_retries": 1}
    model = resolved(name, **own, headers={"X-Team": "blue"})

    assert (model.model_id, model.base_url) == (f"openai:{name}", "https://api.openai.com/v1/")
    assert model.settings == {**own, "extra_headers": {"X-Team": "blue"}}


async def test_openais_models_take_the_option_for_tools_too() -> None:
    assert isinstance(resolve("gpt-4o", api_key="k", constrained_tools=True), ConstrainedToolsModel)
    assert not isinstance(resolve("gpt-4o", api_key="k"), ConstrainedToolsModel)


async def test_the_key_in_the_settings_wins_over_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    model = resolved("gpt-4o", api_key="sk-settings")

    assert model.provider is not None
    assert model.provider.client.api_key == "sk-settings"


async def test_no_model_at_all_says_what_to_set() -> None:
    with pytest.raises(ValueError, match="No model is set") as raised:
        resolve(None)

    for way in ["'openai:gpt-5'", "--model", "MAMBA_MODEL_BACKEND__MODEL", "'local'", "neither a key nor an account"]:
        assert way in str(raised.value)


async def test_a_bare_name_without_server_and_key_says_which_variables_to_set() -> None:
    with pytest.raises(ConfigurationError, match="The model 'gpt-4o' names no provider") as raised:
        resolve("gpt-4o")

    for way in ["MAMBA_MODEL_BACKEND__BASE_URL", "OPENAI_API_KEY", "MAMBA_MODEL_BACKEND__API_KEY", "'local'"]:
        assert way in raised.value.message


async def test_the_openai_key_counts_only_when_it_has_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        resolve("gpt-4o")


async def test_an_openai_key_that_no_header_can_carry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hunter2\n")
    with pytest.raises(ConfigurationError, match=r"OPENAI_API_KEY cannot be sent: .*line break") as raised:
        resolve("gpt-4o")

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("key", [None, "sk-own"])
@pytest.mark.parametrize(
    ("name", "nearest"),
    [("opnai:gpt-5", "did you mean 'openai'?"), ("Anthropic:claude", "did you mean 'anthropic'?")],
)
async def test_an_unknown_provider_is_answered_with_the_nearest(name: str, nearest: str, key: str | None) -> None:
    with pytest.raises(ConfigurationError) as raised:
        resolve(name, api_key=key)

    assert nearest in raised.value.message
    assert "MAMBA_MODEL_BACKEND__BASE_URL" in raised.value.message


async def test_a_provider_like_no_other_is_answered_without_a_guess() -> None:
    with pytest.raises(ConfigurationError, match=r"names the provider 'llama3\.2', which does not exist\. If it is"):
        resolve("llama3.2:3b")


@pytest.mark.parametrize("name", ["", " ", "\t\n"])
async def test_an_empty_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="The model's name is empty"):
        resolve(name, base_url=ELSEWHERE)


async def test_a_local_model_needs_a_file_after_the_colon() -> None:
    with pytest.raises(ConfigurationError, match="'local:' names no file"):
        resolve("local:")


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "Tiny-1B.Q4_0.gguf"
    path.write_bytes(b"GGUF")  # enough to be chosen: a file is loaded by the first request
    return path


async def test_local_with_a_path_is_the_model_in_that_file(gguf: Path) -> None:
    model = resolved(f"local:{gguf}", base_url=ELSEWHERE, temperature=0.7, max_tokens=9)

    assert (model.model_name, model.settings) == ("Tiny-1B", {"temperature": 0.7, "max_tokens": 9})


@pytest.mark.parametrize("named", [("local", {}), (None, {"model": "local"})], ids=["argument", "setting"])
async def test_local_is_the_model_in_the_settings_file(named: tuple[str | None, dict[str, str]], gguf: Path) -> None:
    name, backend = named
    local = LocalSettings(model_path=gguf, context_window=512)
    model = resolve_model(name, ModelBackendSettings.model_validate(backend), local)

    assert isinstance(model, Model)
    assert (model.model_name, model.context_window) == ("Tiny-1B", 512)


async def test_local_takes_the_option_for_tools(gguf: Path) -> None:
    assert isinstance(resolve(f"local:{gguf}", constrained_tools=True), ConstrainedToolsModel)
    assert not isinstance(resolve(f"local:{gguf}"), ConstrainedToolsModel)


async def test_the_providers_are_the_hosts_providers() -> None:
    """A new version of pydantic-ai that adds or renames one shows here."""
    source = inspect.getsource(providers.infer_provider_class)
    choices = re.findall(r"(?:case |if provider in |provider == )(.*):", source)
    hosts = set(re.findall(r"'([a-z0-9-]+)'", "".join(choices)))

    assert hosts <= provider_names()
    assert provider_names() - hosts <= {"google-decisions"}


async def test_a_hosted_provider_gets_what_was_set_and_keeps_its_own_defaults() -> None:
    every = ModelBackendSettings(temperature=0.5, max_tokens=9, timeout=3, max_retries=1)

    assert request_settings(ModelBackendSettings()) == {}
    assert request_settings(every) == {"temperature": 0.5, "max_tokens": 9, "timeout": 3, "max_retries": 1}


# The only provider installed here that wants the older httpx.
@pytest.mark.filterwarnings("ignore:`GitHubProvider` is deprecated")
async def test_a_hosted_model_has_connections_for_each_loop_where_its_provider_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("GITHUB_API_KEY", "sk-test")
    hosted, older = hosted_model("openai-chat:gpt-4o"), hosted_model("github:gpt-4o")

    assert isinstance(hosted.client._client, ClientPerLoop)  # type: ignore[attr-defined] - the SDK's own
    assert not isinstance(older.client._client, ClientPerLoop)  # type: ignore[attr-defined] - wants the older httpx
    with pytest.raises(UserError, match="gateway"):
        hosted_model("gateway/openai:gpt-4o")
