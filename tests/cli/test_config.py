"""`mamba-agents config`, as a person runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mamba_agents.config import AgentSettings, LocalSettings

type Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def config(tmp_path: Path) -> Run:
    """Runs `mamba-agents config …` in an empty folder, with these further variables."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mamba_agents", "config", *arguments]
        environment = os.environ | variables
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def test_show_lists_every_setting_with_its_source(config: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[local]\nthreads = 2\n")
    shown = config("show", MAMBA_MODEL_BACKEND__API_KEY="sk-secret")
    rows = {line.split()[0]: line for line in shown.stdout.splitlines()}
    assert rows["local.threads"].split() == ["local.threads", "2", "config.toml:2"]
    assert rows["model_backend.api_key"].endswith("environment variable MAMBA_MODEL_BACKEND__API_KEY")
    assert rows.keys() == {each.key for each in AgentSettings(_config_file=None).explain_all()}
    assert "sk-secret" not in shown.stdout + shown.stderr
    assert shown.returncode == 0


def test_show_as_json_is_for_programs(config: Run) -> None:
    shown = json.loads(config("show", "--json", MAMBA_LOCAL__THREADS="2").stdout)
    assert shown["local.threads"] == {"value": 2, "source": "environment variable MAMBA_LOCAL__THREADS"}
    assert shown["model_backend.model"] == {"value": None, "source": "default"}


def test_explain_tells_source_and_shadowed_values(config: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("local:\n  threads: 3\n")
    text = config("explain", "local.threads", MAMBA_LOCAL__THREADS="2").stdout
    assert text.startswith(
        "local.threads = 2\n  from environment variable MAMBA_LOCAL__THREADS\n  instead of 3 from config"
    )
    told = json.loads(config("explain", "local.threads", "--json").stdout)
    assert (told["value"], told["file"], told["line"]) == (3, "config.yaml", 2)
    assert told["shadowed"] == [{"value": 1, "source": "default"}]


def test_explain_of_nothing_says_what_to_name(config: Run) -> None:
    told = config("explain", "")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == (
        "mamba-agents: the key is empty: name a setting or a section, such as model_backend.timeout.\n"
    )


def test_explain_of_a_section_explains_all_in_it(config: Run) -> None:
    told = json.loads(config("explain", "local", "--json").stdout)
    assert [each["key"] for each in told] == [f"local.{name}" for name in LocalSettings.model_fields]


def test_explain_of_no_setting_is_a_mistake_of_use(config: Run) -> None:
    done = config("explain", "local.thread")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip().endswith("local.thread is not a setting; did you mean local.threads?")
    assert len(done.stderr.strip().splitlines()) == 1


def test_check_prints_a_line_for_each_problem(config: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[local]\nthreads = 'two'\nthreds = 2\n")
    done = config("check")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "config.toml:2: local.threads: found 'two', expected a valid integer.",
        "config.toml:3: local.threds is not a setting; did you mean local.threads?",
    ]


def test_check_takes_a_file_in_place_of_the_projects(config: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("not toml")
    (tmp_path / "good.yaml").write_text("local: {threads: 2}")
    (tmp_path / "bad.yaml").write_text("local: [")
    assert (config("check", "good.yaml").returncode, config("check", "good.yaml").stdout) == (0, "No problems.\n")
    bad = config("check", "bad.yaml")
    assert (bad.returncode, bad.stdout.partition(" ")[0]) == (1, "bad.yaml:1:")


def test_check_says_which_variables_are_left_alone(config: Run) -> None:
    done = config("check", MAMBA_ROOT_PREFIX="/opt/mamba")
    assert done.stdout == "MAMBA_ROOT_PREFIX: not a setting; left to the program it belongs to.\nNo problems.\n"
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["absent.toml", "settings.json"])
def test_check_of_what_is_no_settings_file_is_a_mistake_of_use(name: str, config: Run) -> None:
    done = config("check", name)
    assert done.returncode == 2
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_schema_knows_every_section_and_no_other_key(config: Run) -> None:
    schema = json.loads(config("schema").stdout)
    assert schema["properties"].keys() == AgentSettings.model_fields.keys()
    assert schema["additionalProperties"] is False
    assert schema["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize("file_format", ["toml", "yaml"])
def test_init_writes_a_file_that_loads_and_replaces_none(file_format: str, config: Run, tmp_path: Path) -> None:
    path = tmp_path / f"config.{file_format}"
    assert config("init", "--format", file_format).returncode == 0
    assert config("check").stdout == "No problems.\n"
    path.write_text("# mine")
    refused = config("init", "--format", file_format)
    assert (refused.returncode, path.read_text()) == (1, "# mine")
    assert refused.stderr.strip().endswith(f"config.{file_format} is there already; --force replaces it.")
    assert config("init", "--format", file_format, "--force").returncode == 0
    assert path.read_text() != "# mine"


def test_init_makes_no_second_file_beside_one(config: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("")
    done = config("init", "--force")
    assert (done.returncode, [*tmp_path.iterdir()]) == (1, [tmp_path / "config.yml"])
    assert "config.yml is there already" in done.stderr


def test_a_broken_file_is_one_clear_line(config: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[local\n")
    done = config("show")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == "mamba-agents: config.toml:1: not valid TOML: expected ']' at the end of a table declaration.\n"
    )
