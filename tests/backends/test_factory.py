"""What the factories' models send, over HTTP."""

import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress

import pytest
from pydantic import BaseModel, SecretStr
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError, ModelTimeoutError, UnexpectedModelBehavior
from pydantic_ai.models import Model
from tests.backends.server import Answer, failure, serving

from mamba_agents.backends import (
    create_lmstudio_backend,
    create_ollama_backend,
    create_openai_compatible_backend,
    create_vllm_backend,
)
from mamba_agents.errors import ConfigurationError

FACTORIES = [
    create_ollama_backend,
    create_vllm_backend,
    create_lmstudio_backend,
    create_openai_compatible_backend,
]
pytestmark = pytest.mark.anyio
every_factory = pytest.mark.parametrize("factory", FACTORIES)


@every_factory
async def test_every_backend_answers(factory: Callable[..., Model]) -> None:
    with serving(Answer("Fine.")) as server:
        result = await Agent(factory("llama3.2", base_url=server.url)).run("How are you?")

    assert result.output == "Fine."
    assert server.bodies[0]["model"] == "llama3.2"
    assert server.bodies[0]["messages"] == [{"role": "user", "content": "How are you?"}]


@every_factory
async def test_every_backend_streams(factory: Callable[..., Model]) -> None:
    with serving(Answer("One two three")) as server:
        async with Agent(factory("llama3.2", base_url=server.url)).run_stream("Count.") as result:
            pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]

    assert pieces == ["One ", "two ", "three "]
    assert server.bodies[0]["stream"] is True
    assert result.usage.output_tokens == 3


@every_factory
async def test_temperature_length_and_headers_reach_the_server(factory: Callable[..., Model]) -> None:
    with serving() as server:
        model = factory("m", base_url=server.url, temperature=0.25, max_tokens=77, headers={"X-Team": "blue"})
        await Agent(model).run("Hi")

    assert server.bodies[0]["temperature"] == 0.25
    # Ollama ignores `max_completion_tokens`.
    assert server.bodies[0]["max_tokens"] == 77
    assert "max_completion_tokens" not in server.bodies[0]
    assert server.calls[0].headers["x-team"] == "blue"


async def test_an_openai_reasoning_model_behind_a_proxy_gets_the_field_it_insists_on() -> None:
    with serving() as server:
        await Agent(create_openai_compatible_backend("o3-mini", base_url=server.url, max_tokens=77)).run("Hi")

    assert server.bodies[0]["max_completion_tokens"] == 77
    assert "max_tokens" not in server.bodies[0]


async def test_what_is_left_unset_is_left_to_the_server() -> None:
    with serving() as server:
        await Agent(create_ollama_backend("m", base_url=server.url)).run("Hi")

    assert server.bodies[0].keys() == {"model", "messages", "stream"}


@pytest.mark.parametrize("factory", [create_vllm_backend, create_openai_compatible_backend])
@pytest.mark.parametrize("key", ["sk-own", SecretStr("sk-own")])
async def test_a_key_is_sent_as_bearer_token(factory: Callable[..., Model], key: str | SecretStr) -> None:
    with serving() as server:
        model = factory("m", base_url=server.url, api_key=key)
        await Agent(model).run("Hi")

    assert server.calls[0].headers["authorization"] == "Bearer sk-own"
    assert "sk-own" not in repr(model)


@every_factory
async def test_a_password_in_the_address_is_sent_and_is_in_no_message(factory: Callable[..., Model]) -> None:
    with serving() as server:
        model = factory("m", base_url=server.url.replace("//", "//me:hunter%402@"), max_retries=0)
        result = await Agent(model).run("Hi")
    with pytest.raises(ModelConnectionError) as raised:  # nobody listens any more
        await Agent(factory("m", base_url="http://me:hunter%402@127.0.0.1:9/v1", max_retries=0)).run("Hi")

    assert server.calls[0].headers["authorization"] == f"Basic {b64encode(b'me:hunter@2').decode()}"
    assert "hunter" not in f"{model!r} {model.base_url} {model.provider!r} {result.all_messages_json()} {raised.value}"
    assert result.response.provider_url == f"{server.url}/"


async def test_a_key_that_no_header_can_carry_is_refused_when_the_model_is_made() -> None:
    with pytest.raises(ConfigurationError, match=r"api_key: .*not ASCII") as raised:
        create_vllm_backend("m", api_key="sk-hunter2é")

    assert "hunter2" not in str(raised.value)


@every_factory
async def test_the_key_for_openai_goes_to_no_other_server(
    factory: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    with serving() as server:
        await Agent(factory("m", base_url=server.url)).run("Hi")

    assert "sk-openai" not in str(server.calls)


@pytest.mark.parametrize("max_retries", [0, 1, 2])
async def test_a_busy_server_is_asked_max_retries_times_more(max_retries: int) -> None:
    with serving(*[failure(503, retry_after_ms="1")] * 5) as server:
        model = create_ollama_backend("m", base_url=server.url, max_retries=max_retries)
        with pytest.raises(ModelHTTPError, match="503"):
            await Agent(model).run("Hi")

    assert len(server.bodies) == 1 + max_retries


async def test_a_retry_that_succeeds_is_the_answer() -> None:
    with serving(failure(503, retry_after_ms="1"), Answer("Now.")) as server:
        result = await Agent(create_ollama_backend("m", base_url=server.url)).run("Hi")

    assert result.output == "Now."
    assert result.usage.requests == 1


async def test_a_server_slower_than_the_timeout_fails_and_says_so() -> None:
    with serving(Answer(delay_seconds=2)) as server:
        model = create_ollama_backend("m", base_url=server.url, timeout=0.2, max_retries=0)
        with pytest.raises(ModelTimeoutError) as raised:
            await Agent(model).run("Hi")

    assert raised.value.message == (
        f"{server.url}/ gave no answer within 0.2 seconds; raise the timeout or look at the server's load."
    )


async def test_a_runs_own_timeout_is_the_one_that_is_told() -> None:
    with serving(Answer(delay_seconds=2)) as server:
        agent = Agent(create_ollama_backend("m", base_url=server.url, max_retries=0))
        with pytest.raises(ModelTimeoutError, match=r"within 0\.2 seconds"):
            await agent.run("Hi", model_settings={"timeout": 0.2})


async def test_a_stream_that_pauses_longer_than_the_timeout_fails_and_says_so() -> None:
    with serving(Answer("One two", pause_seconds=1)) as server:
        model = create_ollama_backend("m", base_url=server.url, timeout=0.2)
        with pytest.raises(ModelTimeoutError, match=r"gave no answer within 0\.2 seconds"):
            async with Agent(model).run_stream("Hi") as result:
                await result.get_output()


async def test_a_stream_that_breaks_off_is_not_called_unreachable() -> None:
    with serving(Answer("One two", cut=True)) as server:
        model = create_ollama_backend("m", base_url=server.url)
        with pytest.raises(ModelConnectionError, match=rf"{server.url}/ broke off its answer \(.+\); look at"):
            async with Agent(model).run_stream("Hi") as result:
                await result.get_output()


async def test_a_server_that_is_not_there_is_named() -> None:
    with serving() as server:
        pass
    model = create_ollama_backend("m", base_url=server.url, max_retries=0)

    with pytest.raises(ModelConnectionError, match=rf"{server.url}/ cannot be reached \(.+\); start the server"):
        await Agent(model).run("Hi")
    with pytest.raises(ModelConnectionError, match=rf"{server.url}/ cannot be reached \(.+\); start the server"):
        async with Agent(model).run_stream("Hi"):
            pass


async def test_an_error_raised_while_a_stream_is_open_keeps_its_words() -> None:
    """Only what this server did is put in its words, not what a caller meets while its stream is open."""
    error = ModelTimeoutError("other", "Another server was slow.")
    with serving() as server, pytest.raises(ModelTimeoutError):
        async with Agent(create_ollama_backend("m", base_url=server.url)).run_stream("Hi"):
            raise error

    assert error.message == "Another server was slow."


@pytest.mark.parametrize(
    ("name", "asked_for", "constrained"),
    [
        ("llama3.2", None, False),
        ("llama3.2", True, True),
        ("gemma3:4b", None, True),
        ("gemma3:4b", False, False),
    ],
)
async def test_tools_are_offered_as_the_option_or_else_the_profile_says(
    name: str, asked_for: bool | None, constrained: bool
) -> None:
    with serving(Answer("{}")) as server:
        agent = Agent(create_ollama_backend(name, base_url=server.url, constrained_tools=asked_for), retries=0)
        agent.tool_plain(twice)
        with suppress(UnexpectedModelBehavior):  # the empty answer is no valid choice
            await agent.run("What is twice four?")

    assert ("tools" in server.bodies[0]) is not constrained
    assert ("response_format" in server.bodies[0]) is constrained


def twice(x: int) -> int:
    return 2 * x


class City(BaseModel):
    name: str
    country: str


@every_factory
async def test_native_output_sends_the_schema(factory: Callable[..., Model]) -> None:
    with serving(Answer('{"name": "Rome", "country": "Italy"}')) as server:
        result = await Agent(factory("m", base_url=server.url), output_type=NativeOutput(City)).run("Which?")

    assert result.output == City(name="Rome", country="Italy")
    assert server.bodies[0]["response_format"]["json_schema"]["schema"]["required"] == ["name", "country"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"base_url": "localhost:11434/v1"}, "does not start with http:// or https://"),
        ({"base_url": "ftp://host/v1"}, "'ftp://host/v1' does not start with http:// or https://"),
        ({"base_url": "http://my host/v1"}, "'http://my host/v1' contains a space or control character"),
        ({"base_url": "http://host\n/v1"}, "contains a space or control character"),
        ({"base_url": "http:///v1"}, "'http:///v1' names no host"),
        ({"base_url": "http://host:port/v1"}, "'http://host:port/v1' has a broken host or port"),
        ({"base_url": "http://[::1/v1"}, "has a broken host or port"),
        ({"base_url": ""}, "does not start with http:// or https://"),
        ({"timeout": 0}, "timeout: Input should be greater than 0"),
        ({"max_retries": -1}, "max_retries: Input should be greater than or equal to 0"),
        ({"temperature": -1}, "temperature: Input should be greater than or equal to 0"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than 0"),
        ({"model": ""}, "model: String should have at least 1 character"),
        ({"tempreature": 1}, "tempreature: Extra inputs are not permitted"),
    ],
)
async def test_a_wrong_option_is_one_clear_error(given: dict[str, object], found: str) -> None:
    options = {"model": "m", "base_url": "http://localhost:1/v1", **given}
    with pytest.raises(ConfigurationError, match="The model server's options are wrong: ") as raised:
        create_openai_compatible_backend(**options)  # pyright: ignore[reportArgumentType]

    assert found in raised.value.message
    assert "\n" not in raised.value.message


async def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as raised:
        create_openai_compatible_backend("m", base_url="ftp://me:hunter2@host/v1?key=hunter3")

    assert "ftp://host/v1" in raised.value.message
    assert "hunter" not in repr(raised.value)


async def test_models_are_their_pydantic_ai_selves() -> None:
    model = create_ollama_backend("llama3.2")

    assert isinstance(model, Model)
    assert (model.model_name, model.system, model.base_url) == ("llama3.2", "ollama", "http://localhost:11434/v1/")
    assert create_vllm_backend("m").base_url == "http://localhost:8000/v1/"
    assert create_lmstudio_backend().base_url == "http://localhost:1234/v1/"
    assert create_lmstudio_backend().model_name == "local-model"


async def test_importing_the_package_loads_no_sdk() -> None:
    loaded = "import mamba_agents.backends, sys; print({'openai', 'anthropic', 'xllamacpp'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "set()"
