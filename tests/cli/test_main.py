"""The command itself: its help, its version, and what it loads."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.command import mamba_agents

import mamba_agents as package


def test_help_loads_nothing_that_only_a_command_needs() -> None:
    code = (
        "import sys\nfrom mamba_agents.cli import main\nsys.argv = ['mamba-agents', '--help']\n"
        "try:\n    main()\nexcept SystemExit as exit:\n    assert exit.code == 0\n"
        "print('loaded:', *sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in run.stdout.rpartition("loaded:")[2].split()}
    assert "typer" in loaded
    assert loaded & {"pydantic_ai", "pydantic", "prompt_toolkit", "openai", "mcp", "xllamacpp", "anyio"} == set()


@pytest.mark.parametrize("command", ["run", "chat", "demo", "config"])
def test_every_command_is_listed_and_has_help(tmp_path: Path, command: str) -> None:
    assert command in mamba_agents("--help", cwd=tmp_path).out
    done = mamba_agents(command, "--help", cwd=tmp_path)
    assert done.code == 0
    assert "Usage:" in done.out


@pytest.mark.parametrize("arguments", [[], ["config"]])
def test_without_a_command_the_help_is_shown_and_nothing_else(tmp_path: Path, arguments: list[str]) -> None:
    done = mamba_agents(*arguments, cwd=tmp_path)
    assert (done.code, done.err) == (2, "")
    assert "Usage:" in done.out


def test_the_version_is_the_package_s(tmp_path: Path) -> None:
    done = mamba_agents("--version", cwd=tmp_path)
    assert (done.code, done.out) == (0, f"mamba-agents {package.__version__}\n")


def test_the_installed_program_is_the_same_command() -> None:
    program = Path(sys.executable).with_name("mamba-agents")
    run = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"mamba-agents {package.__version__}\n"
