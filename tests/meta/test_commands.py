"""Every command that the documents show exists, with the options they give it."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from tests.meta.documents import FRONT_PAGES, GUIDES, ROOT

FENCE = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A command ends where a pipe, a redirection, a comment or the line does; none of them occurs in our quoted prompts.
OURS = re.compile(r"(?:^|\|) *mamba-agents +([^|<>;&#\n]*)", re.MULTILINE)
TARGET = re.compile(r"\bmake ([a-z]+)")


def shown(pattern: re.Pattern[str]) -> list[str]:
    fences = [fence for path in [*FRONT_PAGES, *GUIDES] for fence in FENCE.findall(path.read_text())]
    found = [match for fence in fences for match in pattern.findall(fence.replace("\\\n", " "))]
    return sorted({match.strip() for match in found})


@cache
def help_of(*command: str) -> str:
    program = Path(sys.executable).with_name("mamba-agents")
    run = subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("command", shown(OURS))
def test_a_shown_command_is_there_with_its_options(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    words = shlex.split(command)
    names = words[: 2 if words[:1] == ["config"] else 1]
    names = [name for name in names if not name.startswith("-")]
    options = [word.partition("=")[0] for word in words if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word)]
    known = help_of(*names)
    assert [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", known)] == []


@pytest.mark.parametrize("target", shown(TARGET))
def test_a_shown_make_target_is_there(target: str) -> None:
    assert re.search(rf"^{target}:.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
