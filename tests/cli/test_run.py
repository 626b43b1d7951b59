"""`mamba-agents run`: one question, one answer."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.backends.server import Answer, ModelServer, serving, tool_call
from tests.cli.command import COMMAND, HELLO, environment, mamba_agents
from tests.cli.slow_server import never_ending


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving() as running:
        yield running


def asked(server: ModelServer) -> str:
    """What the person's last message said to the model."""
    return server.bodies[-1]["messages"][-1]["content"]


def test_the_answer_goes_to_stdout_and_one_status_line_to_stderr(tmp_path: Path, server: ModelServer) -> None:
    done = mamba_agents("run", "Hi?", cwd=tmp_path, server=server)
    assert (done.code, done.out) == (0, HELLO)
    (line,) = done.err_lines
    assert re.fullmatch(r"llama3\.2 · 7 tokens in, 3 out · \$0 · \d+\.\d s", line)
    assert server.bodies[0]["stream"] is True


def test_an_answer_cut_by_its_limit_says_so(tmp_path: Path) -> None:
    from tests.backends.server import chunk

    with serving(Answer(chunks=[chunk({"content": "And then"}), chunk({}, "length")])) as server:
        done = mamba_agents("run", "Hi?", cwd=tmp_path, server=server)
    assert done.out == "And then\n"
    assert done.err.endswith("stopped by length\n")


def test_standard_input_and_files_come_before_the_question_by_name(tmp_path: Path, server: ModelServer) -> None:
    (tmp_path / "a.txt").write_text("alpha")
    (tmp_path / "b.txt").write_text("\ufeffbeta\n", encoding="utf-8")
    assert mamba_agents("run", "Well?", "a.txt", "b.txt", cwd=tmp_path, stdin="piped", server=server).code == 0
    assert asked(server) == (
        '<document name="standard input">\npiped\n</document>\n\n'
        '<document name="a.txt">\nalpha\n</document>\n\n'
        '<document name="b.txt">\nbeta\n\n</document>\n\n'
        "Well?"
    )


def test_an_image_is_sent_as_one(tmp_path: Path, server: ModelServer) -> None:
    (tmp_path / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    assert mamba_agents("run", "What is it?", "dot.png", cwd=tmp_path, server=server).code == 0
    text, image = server.bodies[0]["messages"][-1]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,")


def test_text_that_is_too_long_for_the_model_is_cut_and_said_to_be(tmp_path: Path, server: ModelServer) -> None:
    (tmp_path / "long.txt").write_text("word " * 10_000_0)
    (tmp_path / "short.txt").write_text("short")
    done = mamba_agents(
        "run", "Well?", "long.txt", "short.txt", "--model", "openai-chat:gpt-3.5-turbo", cwd=tmp_path,
        OPENAI_API_KEY="k", OPENAI_BASE_URL=server.url,
    )  # fmt: skip
    assert done.code == 0, done.err
    left_out = re.search(r"\[… ([\d,]+) characters left out\]\n</document>", asked(server))
    assert left_out is not None
    assert '<document name="short.txt">\nshort\n</document>' in asked(server)
    assert len(asked(server)) + int(left_out[1].replace(",", "")) == pytest.approx(500_000, abs=300)
    assert done.err_lines[0] == (
        f"long.txt: the last {left_out[1]} characters were left out; the model has room for 16,385 tokens"
    )


def test_the_system_prompt_reaches_the_model(tmp_path: Path, server: ModelServer) -> None:
    mamba_agents("run", "Hi?", "--system", "Be brief.", cwd=tmp_path, server=server)
    assert server.bodies[0]["messages"][0] == {"role": "system", "content": "Be brief."}


def test_the_model_of_the_command_wins_over_the_settings(tmp_path: Path, server: ModelServer) -> None:
    mamba_agents("run", "Hi?", "-m", "qwen3:4b", cwd=tmp_path, server=server)
    assert server.bodies[0]["model"] == "qwen3:4b"


def test_json_is_one_object_with_all_that_is_known(tmp_path: Path, server: ModelServer) -> None:
    done = mamba_agents("run", "Hi?", "--json", cwd=tmp_path, server=server)
    result = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert result.pop("duration_seconds") > 0
    assert len(result.pop("session_id")) == len(result.pop("run_id")) == 36
    assert result == {
        "output": "Hello there.",
        "model": "llama3.2",
        "usage": {
            "requests": 1,
            "input_tokens": 7,
            "output_tokens": 3,
            "cache_read_tokens": 0,
            "cache_write_tokens": 0,
        },
        "cost_usd": "0",
        "stop_reason": "completed",
    }


def test_a_price_is_told_and_an_unknown_one_is_said_to_be(tmp_path: Path, server: ModelServer) -> None:
    rates = {"MAMBA_COST_RATES": '{"gpt-4o": {"input": 100, "output": 400}}'}
    keys = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": server.url, "OLLAMA_BASE_URL": server.url}
    done = mamba_agents("run", "Hi?", "--model", "openai-chat:gpt-4o", cwd=tmp_path, **keys, **rates)
    assert " · $0.0019 · " in done.err
    done = mamba_agents("run", "Hi?", "--model", "openai-chat:gpt-4o", cwd=tmp_path, **keys)
    assert " · $0 · " in done.err, "a server on this machine is not OpenAI"
    done = mamba_agents("run", "Hi?", "--model", "ollama:no-such-cloud", cwd=tmp_path, **keys)
    assert " · cost unknown · " in done.err


@pytest.mark.parametrize("where", ["--root", "settings"])
def test_tools_read_under_the_root_and_nowhere_else(tmp_path: Path, where: str) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "note.txt").write_text("the word is heron")
    (tmp_path / "secret.txt").write_text("canary")
    calls = [
        tool_call("read_file", '{"path": "note.txt"}', "a"),
        tool_call("read_file", '{"path": "../secret.txt"}', "b"),
    ]
    options, variables = ["--root", "project"], {}
    if where == "settings":
        options, variables = [], {"MAMBA_TOOLS__ROOT": "project"}
    with serving(Answer(text="", tool_calls=calls), Answer(text="heron")) as server:
        done = mamba_agents("run", "Which?", "--tools", *options, cwd=tmp_path, server=server, **variables)
        names = [tool["function"]["name"] for tool in server.bodies[0]["tools"]]
        told = [message["content"] for message in server.bodies[1]["messages"] if message["role"] == "tool"]
    assert (done.code, done.out) == (0, "heron \n")
    assert names == ["read_file", "list_directory", "glob_search", "grep_search"]
    assert told[0] == "the word is heron"
    assert "outside the root folder" in told[1]


def test_without_tools_the_model_is_offered_none(tmp_path: Path, server: ModelServer) -> None:
    mamba_agents("run", "Hi?", cwd=tmp_path, server=server)
    assert "tools" not in server.bodies[0]


def test_control_characters_in_an_answer_reach_a_pipe_as_they_are(tmp_path: Path) -> None:
    with serving(Answer(text="\x1b[31mred\x07")) as server:
        assert mamba_agents("run", "Hi?", cwd=tmp_path, server=server).out == "\x1b[31mred\x07 \n"


def test_a_closed_pipe_ends_the_answer_quietly_and_the_request_with_it(tmp_path: Path) -> None:
    with never_ending() as server:
        process = subprocess.Popen(
            [*COMMAND, "run", "Go on."],
            cwd=tmp_path,
            env=environment(server),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(3) == b"on "
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        assert (process.wait(60), error) == (1, b"")
        assert server.was_left.wait(60)


def test_ctrl_c_stops_and_keeps_what_was_printed(tmp_path: Path) -> None:
    with never_ending() as server:
        process = subprocess.Popen(
            [*COMMAND, "run", "Go on."],
            cwd=tmp_path,
            env=environment(server),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        first = process.stdout.read(3)
        process.send_signal(signal.SIGINT)
        rest, error = process.communicate(timeout=60)
        assert process.returncode == 130
        assert re.fullmatch(rb"(on )+\n", first + rest)
        assert error == b"stopped\n"
        assert server.was_left.wait(60)


def test_standard_input_that_nobody_closes_is_said_to_be_waited_for(tmp_path: Path, server: ModelServer) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", "Hi?"],
        cwd=tmp_path,
        env=environment(server),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith(b"reading standard input; it goes on when that ends")
    assert process.communicate(b"late", timeout=60)[0].decode() == HELLO
    assert "late" in asked(server)
