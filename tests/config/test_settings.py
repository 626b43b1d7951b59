"""Which source wins, and what an object of settings does with itself."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from mamba_agents.config import AgentSettings, ModelBackendSettings, ModelRate
from mamba_agents.errors import ConfigurationError

type Write = Callable[[str, str], Path]

SOURCES = ["constructor", "environment", ".env", "config.toml", "config.yaml", "~/mamba.env", "defaults"]
TIMEOUTS = {source: 100.0 + place for place, source in enumerate(SOURCES[:-1])} | {"defaults": 30.0}
CONFLICTS = [pair for pair in combinations(SOURCES, 2) if pair != ("config.toml", "config.yaml")]


def settings_from(sources: list[str], write: Write, monkeypatch: pytest.MonkeyPatch) -> AgentSettings:
    """Settings where each of these sources gives `model_backend.timeout` its own value."""
    values: dict[str, object] = {}
    for source in sources:
        timeout = TIMEOUTS[source]
        match source:
            case "constructor":
                values = {"model_backend": {"timeout": timeout}}
            case "environment":
                monkeypatch.setenv("MAMBA_MODEL_BACKEND__TIMEOUT", str(timeout))
            case ".env" | "~/mamba.env":
                write(source, f"MAMBA_MODEL_BACKEND__TIMEOUT={timeout}\n")
            case "config.toml":
                write(source, f"[model_backend]\ntimeout = {timeout}\n")
            case "config.yaml":
                write(source, f"model_backend:\n  timeout: {timeout}\n")
            case _:
                pass
    return AgentSettings(**values)


@pytest.mark.parametrize(("high", "low"), CONFLICTS)
def test_the_higher_of_two_sources_wins(high: str, low: str, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from([low, high], write, monkeypatch)
    assert settings.model_backend.timeout == TIMEOUTS[high]


@pytest.mark.parametrize("file", ["config.toml", "config.yaml"])
def test_with_all_sources_in_conflict_each_shadows_those_below_it(
    file: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = [source for source in SOURCES if not source.startswith("config.") or source == file]
    explained = settings_from(order, write, monkeypatch).explain("model_backend.timeout")
    values = [explained.value, *(low.value for low in explained.shadowed)]
    assert [float(str(value)) for value in values] == [TIMEOUTS[source] for source in order]
    named = ["constructor", "environment variable", ".env:1", f"{file}:2", "~/mamba.env:1", "default"]
    places = [explained.source, *(low.source for low in explained.shadowed)]
    assert [place.startswith(name) for place, name in zip(places, named, strict=True)] == [True] * 6


def test_sources_merge_key_by_key(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("~/mamba.env", "MAMBA_MODEL_BACKEND__MAX_TOKENS=11\n")
    write("config.toml", '[model_backend]\nmodel = "file"\ntemperature = 0.5\nheaders.X-Team = "blue"\n')
    write(".env", 'MAMBA_MODEL_BACKEND__TEMPERATURE=0.7\nMAMBA_MODEL_BACKEND__HEADERS={"X-Trace": "on"}\n')
    monkeypatch.setenv("MAMBA_MODEL_BACKEND__MAX_RETRIES", "7")
    backend = AgentSettings(model_backend={"timeout": 1}).model_backend
    assert (backend.max_tokens, backend.model, backend.temperature, backend.max_retries, backend.timeout) == (
        *(11, "file"),
        *(0.7, 7, 1),
    )
    assert {name: value.get_secret_value() for name, value in backend.headers.items()} == {
        "X-Team": "blue",
        "X-Trace": "on",
    }


def test_a_model_given_to_the_constructor_is_taken_whole(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMBA_MODEL_BACKEND__API_KEY", "sk-of-another-server")
    settings = AgentSettings(model_backend=ModelBackendSettings(base_url="http://localhost:1/v1"))
    assert settings.model_backend.api_key is None
    assert settings.explain("model_backend.api_key").source == "constructor"


def test_a_section_may_be_json_and_its_own_variables_refine_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMBA_MODEL_BACKEND__TIMEOUT", "2")
    monkeypatch.setenv("MAMBA_MODEL_BACKEND", '{"timeout": 1, "model": "qwen3"}')
    backend = AgentSettings().model_backend
    assert (backend.timeout, backend.model) == (2, "qwen3")


def test_names_inside_mappings_keep_their_case_and_all_other_parts_may_be_lower_case(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("mamba_tokenizer__model_mapping__Qwen3", "cl100k_base")
    assert AgentSettings().tokenizer.model_mapping == {"Qwen3": "cl100k_base"}


def test_prices_come_from_a_file(write: Write) -> None:
    write("config.toml", '[cost_rates."gpt-4.1"]\ninput = 2\noutput = "8.5"\n')
    assert AgentSettings().cost_rates == {"gpt-4.1": ModelRate.model_validate({"input": 2, "output": "8.5"})}


def test_a_variable_in_an_env_file_may_build_on_others(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_HOST", "box:8000")
    write(".env", "MAMBA_MODEL_BACKEND__BASE_URL=http://${MODEL_HOST}/v1\n")
    assert AgentSettings().model_backend.base_url == "http://box:8000/v1"


def test_no_env_file_is_read_where_none_is_wanted(write: Write) -> None:
    write(".env", "MAMBA_MODEL_BACKEND__MODEL=from-env-file\n")
    write("ci.env", "MAMBA_MODEL_BACKEND__MODEL=from-ci\n")
    assert AgentSettings(_env_file=None).model_backend.model is None
    assert AgentSettings(_env_file="ci.env").model_backend.model == "from-ci"
    with pytest.raises(FileNotFoundError, match=r"other\.env"):
        AgentSettings(_env_file="other.env")


def test_no_config_file_is_read_where_none_is_wanted(write: Write) -> None:
    write("config.toml", "title = 'a web site'\n")
    assert AgentSettings(_config_file=None) == AgentSettings(_config_file=write("mine.toml", ""))


@pytest.mark.parametrize("name", ["mine.toml", "mine.yaml", "mine.yml"])
def test_from_file_takes_the_place_of_the_projects_file(
    name: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("~/mamba.env", "MAMBA_MODEL_BACKEND__TIMEOUT=1\nMAMBA_MODEL_BACKEND__MAX_TOKENS=1\n")
    write("config.toml", "[model_backend]\ntimeout = 2\nmax_retries = 2\n")
    text = (
        "[model_backend]\ntimeout = 3\nmodel = 'x'\n"
        if name.endswith("toml")
        else "model_backend: {timeout: 3, model: x}"
    )
    path = write(name, text)
    monkeypatch.setenv("MAMBA_MODEL_BACKEND__MODEL", "environment")
    backend = AgentSettings.from_file(path).model_backend
    assert (backend.timeout, backend.max_tokens, backend.max_retries, backend.model) == (3, 1, 3, "environment")
    assert AgentSettings.from_file(path, model_backend={"timeout": 4}).model_backend.timeout == 4


def test_from_file_needs_a_file_of_a_known_kind(write: Write) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.toml"):
        AgentSettings.from_file("absent.toml")
    with pytest.raises(
        ValueError, match=r"settings\.json: found the suffix '\.json', expected \.toml, \.yaml or \.yml"
    ):
        AgentSettings.from_file(write("settings.json", "{}"))


def test_two_files_in_the_project_leave_open_which_counts(write: Write) -> None:
    write("config.toml", "")
    write("config.yaml", "")
    with pytest.raises(ConfigurationError, match=r"config\.toml and config\.yaml"):
        AgentSettings()


def test_settings_are_frozen_and_hold_only_what_is_declared(project: Path) -> None:
    settings = AgentSettings()
    with pytest.raises(ValidationError):
        settings.tools = settings.tools  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(
        ConfigurationError, match="constructor: modle_backend is not a setting; did you mean model_backend"
    ):
        AgentSettings(modle_backend={})


def test_settings_are_read_once_when_they_are_made(write: Write) -> None:
    path = write("config.toml", "[model_backend]\ntimeout = 2\n")
    settings = AgentSettings()
    path.write_text("not toml at all [")
    assert settings.model_backend.timeout == 2
    assert settings.explain("model_backend.timeout").source == "config.toml:2"


def test_nothing_is_read_at_import(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (".env", "config.toml", "config.yaml", "~/mamba.env"):
        write(name, "[this would not load")
    monkeypatch.setenv("MAMBA_MODEL_BACKEND__TIMEOUT", "soon")
    script = "import sys, mamba_agents.config; print('yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_settings_are_equal_when_their_values_are(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMBA_MODEL_BACKEND__TIMEOUT", "2")
    from_environment = AgentSettings()
    monkeypatch.delenv("MAMBA_MODEL_BACKEND__TIMEOUT")
    assert from_environment == AgentSettings(model_backend={"timeout": 2}) != AgentSettings()


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_clone_still_knows_its_sources(clone: Callable[[AgentSettings], AgentSettings], write: Write) -> None:
    write("config.toml", "[model_backend]\ntimeout = 2\napi_key = 'k'\n")
    settings = AgentSettings()
    cloned = clone(settings)
    assert cloned == settings
    assert cloned.model_backend.api_key == SecretStr("k")
    assert cloned.explain("model_backend.timeout") == settings.explain("model_backend.timeout")


def test_one_setting_is_changed_by_a_copy(write: Write) -> None:
    write("config.toml", "[model_backend]\ntimeout = 2\nmodel = 'x'\n")
    before = AgentSettings()
    after = before.model_copy(update={"model_backend": before.model_backend.model_copy(update={"timeout": 9.0})})
    assert (before.model_backend.timeout, after.model_backend.timeout) == (2, 9)
    assert after.explain("model_backend.timeout").source == "model_copy"
    assert [low.source for low in after.explain("model_backend.timeout").shadowed] == ["config.toml:2", "default"]
    assert after.explain("model_backend.model").source == "config.toml:3"


def test_a_subclass_adds_its_own_section(write: Write) -> None:
    class Own(AgentSettings):
        greeting: str = "hello"
        """What is said first."""

    write("config.toml", "greeting = 'moin'\n")
    assert Own().greeting == "moin"
    assert Own().explain("greeting").description == "What is said first."


def test_validated_and_constructed_settings_can_be_explained(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMBA_LOCAL__THREADS", "2")
    validated = AgentSettings.model_validate(AgentSettings(model_backend={"api_key": "k"}).model_dump())
    assert validated.explain("local.threads").source == "constructor"
    assert AgentSettings.model_construct().explain("local.threads").source == "default"
