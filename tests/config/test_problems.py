"""What is wrong with settings is told with its place, and with what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, model_validator

from mamba_agents.config import AgentSettings
from mamba_agents.errors import ConfigurationError

type Write = Callable[[str, str], Path]


def problems() -> list[str]:
    """What settings made here and now complain about."""
    with pytest.raises(ConfigurationError) as caught:
        AgentSettings()
    told = caught.value.details.get("problems", (str(caught.value),))
    assert isinstance(told, tuple)
    assert all(problem in str(caught.value) for problem in told)
    return [*told]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[model_backend]\ntimeot = 3",
            "2: model_backend.timeot is not a setting; did you mean model_backend.timeout?",
        ),
        ("\n[model_bakend]\ntimeout = 3", "2: model_bakend is not a setting; did you mean model_backend?"),
        ("model-backend.timeout = 3", "1: model-backend is not a setting; did you mean model_backend?"),
        ("timeout = 3", "1: timeout is not a setting; did you mean model_backend.timeout?"),
        ("temprature = 3", "1: temprature is not a setting; did you mean model_backend.temperature?"),
        (
            "xyzzy = 3",
            "1: xyzzy is not a setting; known are model_backend, local, tools, context, budget, tokenizer, cost_rates.",
        ),
        ("model_backend = 3", "1: model_backend: found 3, expected a section of keys with values."),
        ("[model_backend]\ntimeout = 'soon'", "2: model_backend.timeout: found 'soon', expected a valid number."),
        ("[model_backend]\ntimeout = -1", "2: model_backend.timeout: found -1, expected greater than 0."),
        ("[model_backend]\ntimeout = []", "2: model_backend.timeout: found a list, expected a valid number."),
        ("[model_backend]\nheaders = 3", "2: model_backend.headers: found a value of type int, expected a section"),
        ("[cost_rates.x]\ninput = 1", "1: cost_rates.x.output is missing; give it a value."),
        ("[[cost_rates.x]]\ninput = 1", "1: cost_rates.x: found a list, expected a section of keys with values."),
        ("[cost_rates.x]\ninput = 1\noutput = 'abc'", "3: cost_rates.x.output: found 'abc', expected a valid decimal."),
        ("_env_file = 'other.env'", "1: _env_file is not a setting; known are"),
        ('"two\\nlines" = 1', r"1: two\nlines is not a setting; known are"),
        ("[model_backend\n", "1: not valid TOML: expected ']' at the end of a table declaration."),
        ("a = 1\na = 2", "2: not valid TOML: cannot overwrite a value."),
        ("a = [\n1,\n", "3: not valid TOML: "),
    ],
)
def test_a_problem_in_toml_is_told_with_its_line(text: str, problem: str, write: Write) -> None:
    write("config.toml", text)
    (told,) = problems()
    assert told.startswith(f"config.toml:{problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "model_backend:\n  timeot: 3",
            "2: model_backend.timeot is not a setting; did you mean model_backend.timeout?",
        ),
        ("model_backend:\n  timeout: soon", "2: model_backend.timeout: found 'soon', expected a valid number."),
        ("model_backend: null\nlocal: {threads: null}", "2: local.threads: found nothing, expected a valid integer."),
        ("local:\n  threads: 1\n  threads: 2", "3: local.threads is given twice, first on line 2."),
        ("local:\n  on: 1", "2: found a value of type bool as a key, expected text; put it in quotes."),
        ("local:\n  1: 1", "2: found a number as a key, expected text; put it in quotes."),
        ("- local", "1: found a list, expected keys with values."),
        ("local", "1: found text, expected keys with values."),
        ("local: [", "1: not valid YAML: expected the node content, but found the end of the file."),
        ("local: [a", "1: not valid YAML: expected ',' or ']', but got the end of the file."),
        ("%YAML 3", "1: not valid YAML: expected a digit or '.', but found the end of the file."),
        ("local: *sk-secret", "1: not valid YAML: found undefined alias."),
        ("a: 1\n---\nb: 1", "2: not valid YAML: "),
        ("local:\n  model_path: 2024-13-45", "2: found what looks like a value of type timestamp and is none"),
        ("local:\n\tthreads: 1", "2: not valid YAML: found character '\\t'"),
        ("local: \x01", "1: not valid YAML: found a character that YAML does not allow."),
        ("local: !!python/object/apply:os.getcwd []", "1: not valid YAML: could not determine a constructor"),
    ],
)
def test_a_problem_in_yaml_is_told_with_its_line(text: str, problem: str, write: Write) -> None:
    write("config.yaml", text)
    (told,) = problems()
    assert told.startswith(f"config.yaml:{problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("local: &a\n  threads: *a", "nested too deeply, or an alias stands inside what it names."),
        ("local: " + "[" * 5000, "nested too deeply, or an alias stands inside what it names."),
        (
            "a0: &a0 [1, 2]\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)),
            "found more than 10,000 keys, aliases followed; no settings file has them.",
        ),
    ],
)
def test_yaml_that_would_grow_without_end_is_refused(text: str, problem: str, write: Write) -> None:
    write("config.yaml", text)
    assert problems() == [f"config.yaml: {problem}"]


def test_toml_nested_without_end_is_refused(write: Write) -> None:
    write("config.toml", "a = " + "[" * 5000)
    assert problems() == ["config.toml: nested too deeply."]


@pytest.mark.parametrize("name", [".env", "~/mamba.env"])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "A=1\n\nMAMBA_MODEL_BACKEND__TIMEOT=1",
            "3 (MAMBA_MODEL_BACKEND__TIMEOT): no such setting; did you mean MAMBA_MODEL_BACKEND__TIMEOUT?",
        ),
        ("MAMBA_XYZZY=1", "1 (MAMBA_XYZZY): no such setting; known are MAMBA_MODEL_BACKEND, "),
        (
            "MAMBA_LOCAL__THREADS=many",
            "1 (MAMBA_LOCAL__THREADS): local.threads: found 'many', expected a valid integer.",
        ),
        (
            "MAMBA_LOCAL__THREADS",
            "1 (MAMBA_LOCAL__THREADS): local.threads: found a name without a value, expected NAME=value.",
        ),
        ('\nMAMBA_LOCAL__MODEL_PATH="half', "2: cannot be read as NAME=value; look for a missing quote."),
    ],
)
def test_a_problem_in_an_env_file_is_told_with_its_line(name: str, text: str, problem: str, write: Write) -> None:
    write(name, text)
    (told,) = problems()
    assert told.startswith(f"{name}:{problem}")


def test_the_rest_of_an_env_file_is_somebody_elses(write: Write) -> None:
    write(".env", 'OTHER="half\nPLAIN\nMAMBA_LOCAL__THREADS=2\n')
    assert AgentSettings().local.threads == 2


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MAMBA_MODEL_BACKEND__TIMEOT", "MAMBA_MODEL_BACKEND__TIMEOUT"),
        ("MAMBA_MODEL_BACKEND_TIMEOUT", "MAMBA_MODEL_BACKEND__TIMEOUT"),
        ("MAMBA_MODEL", "MAMBA_MODEL_BACKEND__MODEL"),
        ("MAMBA_API_KEY", "MAMBA_MODEL_BACKEND__API_KEY"),
        ("MAMBA_TOKENISER", "MAMBA_TOKENIZER"),
    ],
)
def test_a_variable_that_was_meant_for_us_is_told_with_the_nearest(
    name: str, meant: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    assert problems() == [f"environment variable {name}: no such setting; did you mean {meant}?"]


@pytest.mark.parametrize("name", ["MAMBA_LOCAL__ZZZZZ", "MAMBA_LOCAL__"])
def test_a_nested_variable_is_always_ours(name: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert problems()[0].startswith(
        f"environment variable {name}: no such setting; known are MAMBA_LOCAL__MODEL_PATH, "
    )


@pytest.mark.parametrize("name", ["ROOT_PREFIX", "EXE", "NO_BANNER", "USER_ID", "ALWAYS_YES", "OFFLINE", "LOG_LEVEL"])
def test_variables_of_mamba_the_package_manager_do_no_harm(
    name: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MAMBA_{name}", "1")
    assert AgentSettings() == AgentSettings()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("MODEL_BACKEND__TIMEOUT", "soon", "found 'soon', expected a valid number."),
        ("MODEL_BACKEND__TIMEOUT", "", "found '', expected a valid number."),
        ("MODEL_BACKEND__TIMEOUT", "\x1b[31m", r"found '\x1b[31m', expected a valid number."),
        ("MODEL_BACKEND__MODEL", "a\udcffb", r"found 'a\udcffb', expected a valid string."),
        ("MODEL_BACKEND__HEADERS", "X: y", "found text that is not JSON, expected a value such as "),
        ("MODEL_BACKEND__HEADERS", '["X"]', "found a list, expected a section of keys with values."),
    ],
)
def test_a_wrong_value_of_a_variable_is_told_with_its_name(
    name: str, value: str, problem: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MAMBA_{name}", value)
    (told,) = problems()
    assert told.startswith(f"environment variable MAMBA_{name}: {name.lower().replace('__', '.')}: {problem}")


def test_all_problems_are_told_at_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("config.toml", "[model_backend]\ntimeout = 'a'\nmax_retris = 1\n")
    monkeypatch.setenv("MAMBA_LOCAL__THREADS", "b")
    monkeypatch.setenv("MAMBA_LOCAL__THREDS", "1")
    assert len(problems()) == 4


def test_a_file_of_another_program_is_recognised(write: Write) -> None:
    write("config.toml", "baseURL = 'https://example.org'\ntitle = 'My site'\n[params]\ncolour = 'blue'\n")
    (told,) = problems()
    assert told.startswith("config.toml:1: baseURL is not a setting, and no other key of the file is; known are ")
    assert "another program's file, start in another folder" in told


def test_a_file_that_cannot_be_read_is_told(write: Write, project: Path) -> None:
    (project / "config.toml").mkdir()
    assert problems() == ["config.toml: found a directory, expected a file."]
    (project / "config.toml").rmdir()
    (project / "config.toml").write_bytes(b"# caf\xc3\xa9\n# caf\xe9\n")
    assert problems() == ["config.toml:2: found a byte that is not UTF-8; save the file as UTF-8."]
    (project / "config.toml").unlink()
    (project / "config.toml").symlink_to("config.toml")
    (told,) = problems()
    assert told.startswith("config.toml: cannot be read: ")


def test_a_folder_called_env_is_an_old_virtual_environment(project: Path) -> None:
    (project / ".env").mkdir()
    assert AgentSettings() == AgentSettings(_env_file=None)


def test_a_byte_order_mark_does_no_harm(write: Write) -> None:
    write("config.toml", "\ufeff[local]\nthreads = 2\n")
    write(".env", "\ufeffMAMBA_LOCAL__CONTEXT_WINDOW=99\n")
    local = AgentSettings().local
    assert (local.threads, local.context_window) == (2, 99)


def test_a_home_that_cannot_be_told_holds_no_settings(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    assert AgentSettings() == AgentSettings(_config_file=None)


class Window(BaseModel):
    trigger: int = 100
    target: int = 80

    @model_validator(mode="after")
    def _fits(self) -> "Window":
        if self.target > self.trigger:
            raise ValueError(f"target {self.target} is above trigger {self.trigger}; lower target or raise trigger.")
        return self


class Own(AgentSettings):
    window: Window = Field(default_factory=Window)


def test_a_contradiction_between_sources_is_told_at_load(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("config.toml", "[window]\ntrigger = 50\n")
    with pytest.raises(ConfigurationError) as caught:
        Own()
    assert str(caught.value) == "config.toml:1: window: target 80 is above trigger 50; lower target or raise trigger."
    monkeypatch.setenv("MAMBA_WINDOW__TARGET", "40")
    assert Own().window == Window(trigger=50, target=40)
