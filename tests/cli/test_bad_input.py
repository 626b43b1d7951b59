"""Whatever is wrong is told in one line, with exit code 2 for what was given and 1 for what failed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.backends.server import ModelServer, failure, serving
from tests.cli.command import COMMAND, HELLO, Finished, environment, mamba_agents


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with serving() as running:
        yield running


def told(done: Finished) -> tuple[int, str]:
    """The exit code, and the one line that was said."""
    assert done.out == ""
    (line,) = done.err_lines
    assert line.startswith("mamba-agents: ")
    return done.code, line.removeprefix("mamba-agents: ")


def test_no_model_says_what_to_set_and_what_needs_no_key(tmp_path: Path) -> None:
    code, line = told(mamba_agents("run", "Hi?", cwd=tmp_path))
    assert code == 2
    assert "--model" in line
    assert "MAMBA_MODEL_BACKEND__MODEL" in line
    assert "'--model local' runs a small model in this process and needs neither" in line
    assert told(mamba_agents("chat", cwd=tmp_path)) == (code, line)


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["--model", "nope:x"], {}, "names the provider 'nope', which does not exist"),
        (["--model", ""], {}, "name is empty"),
        (["--model", "llama3.2"], {}, "OPENAI_API_KEY"),
        (["--model", "openai:gpt-5"], {}, "set OPENAI_API_KEY"),
        ([], {"MAMBA_MODEL_BACKEND__BASE_URL": "localhost:1"}, "MAMBA_MODEL_BACKEND__BASE_URL"),
        ([], {"MAMBA_MODEL_BACKEND__TIMEOUT": "soon"}, "found 'soon', expected a valid number"),
        (["--root", "."], {}, "--tools"),
        (["--tools", "--root", "nowhere"], {}, "not a folder: nowhere"),
        (["--nope"], {}, "No such option '--nope'"),
    ],
)
def test_what_is_wrong_with_the_options_and_settings(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    model = {} if "--model" in arguments else {"MAMBA_MODEL_BACKEND__MODEL": "test"}
    code, line = told(mamba_agents("run", "Hi?", *arguments, cwd=tmp_path, **model, **variables))
    assert code == 2
    assert said in line


def test_a_wrong_type_in_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[model_backend]\nmodel = "test"\ntimeout = "soon"\n')
    code, line = told(mamba_agents("run", "Hi?", cwd=tmp_path))
    assert code == 2
    assert "config.toml" in line
    assert "3" in line
    assert "timeout" in line


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("", "the prompt is empty"),
        (" \n\t", "the prompt is empty"),
        (b"a\xffb", "the prompt is not valid UTF-8 text"),
        (b"\xed\xa0\x80", "the prompt is not valid UTF-8 text"),  # a lone surrogate
    ],
)
def test_a_prompt_that_cannot_be_sent(tmp_path: Path, server: ModelServer, prompt: str | bytes, said: str) -> None:
    code, line = told(mamba_agents("run", prompt, cwd=tmp_path, server=server))
    assert code == 2
    assert said in line


def test_control_characters_in_a_prompt_are_sent_as_they_are(tmp_path: Path, server: ModelServer) -> None:
    done = mamba_agents("run", "\x1b[31mred\x07\x01", cwd=tmp_path, server=server, stdin="\x1b[1mlog\x1b[0m")
    assert (done.code, done.out) == (0, HELLO)
    assert "\x1b[1mlog\x1b[0m" in server.bodies[-1]["messages"][-1]["content"]
    assert server.bodies[-1]["messages"][-1]["content"].endswith("\x1b[31mred\x07\x01")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a\0b", "standard input is a binary file"),
        (b"a\xffb", "standard input is not UTF-8 text (invalid start byte at byte 1)"),
        (b"\xed\xa0\x80", "standard input is not UTF-8 text"),
        (b"x" * 9000 + b"\0", "standard input is not text: it holds a NUL character"),
        (b"x" * 20_000_001, "standard input is too large: more than 20,000,000 bytes"),
    ],
)
def test_standard_input_that_cannot_be_sent(tmp_path: Path, server: ModelServer, data: bytes, said: str) -> None:
    code, line = told(mamba_agents("run", "Hi?", cwd=tmp_path, server=server, stdin=data))
    assert code == 2
    assert said in line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope.txt", "cannot read 'nope.txt': No such file or directory"),
        (".", "cannot read '.': Is a directory"),
        (sys.executable, "is a binary file, neither text nor an image"),
        ("x" * 5000, "File name too long"),
    ],
)
def test_a_file_that_cannot_be_attached(tmp_path: Path, server: ModelServer, name: str, said: str) -> None:
    code, line = told(mamba_agents("run", "Hi?", name, cwd=tmp_path, server=server))
    assert code == 2
    assert said in line


def test_an_unreadable_file(tmp_path: Path, server: ModelServer) -> None:
    (tmp_path / "loop").symlink_to("loop")  # not even an administrator reads this one
    code, line = told(mamba_agents("run", "Hi?", "loop", cwd=tmp_path, server=server))
    assert (code, line) == (2, "cannot read 'loop': Too many levels of symbolic links.")


@pytest.mark.parametrize("command", ["run", "chat"])
def test_a_server_that_is_not_there(tmp_path: Path, command: str) -> None:
    arguments = ["run", "Hi?"] if command == "run" else ["chat"]
    variables = {"MAMBA_MODEL_BACKEND__BASE_URL": "http://127.0.0.1:9/v1", "MAMBA_MODEL_BACKEND__MODEL": "m"}
    done = mamba_agents(*arguments, stdin="Hi?\n" if command == "chat" else "", cwd=tmp_path, **variables)
    assert (done.code, done.out) == (1, "")
    assert "http://127.0.0.1:9/v1" in done.err_lines[-1]
    assert len(done.err_lines) == (1 if command == "run" else 2)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (failure(401, {"error": {"message": "no such key"}}), "the server of llama3.2 answered 401: no such key"),
        (failure(500, "kaputt"), "the server of llama3.2 answered 500: kaputt"),
        (failure(404, {"error": {"message": "two\nlines \x1b[31m"}}), "answered 404: two lines [31m"),
    ],
)
def test_a_server_that_refuses(tmp_path: Path, answer: object, said: str) -> None:
    with serving(answer) as refusing:  # type: ignore[arg-type]
        code, line = told(mamba_agents("run", "Hi?", cwd=tmp_path, server=refusing))
    assert code == 1
    assert said in line


@pytest.mark.parametrize("arguments", [["--debug", "run", "Hi?"], ["run", "Hi?", "--debug"]])
def test_a_traceback_is_shown_when_asked_for_and_the_line_still_comes_last(
    tmp_path: Path, arguments: list[str]
) -> None:
    done = mamba_agents(*arguments, cwd=tmp_path)
    assert done.code == 2
    assert done.err.startswith("Traceback (most recent call last):")
    assert done.err_lines[-1].startswith("mamba-agents: no model is set")


@pytest.mark.parametrize(("provider", "extra"), [("anthropic", "anthropic"), ("groq", "groq"), ("google", "google")])
def test_a_provider_whose_extra_is_not_installed(tmp_path: Path, provider: str, extra: str) -> None:
    code, line = told(mamba_agents("run", "Hi?", "--model", f"{provider}:x", cwd=tmp_path))
    assert code == 2
    assert line == (
        f"the model's provider needs the extra '{extra}' of mamba-agents, which is not installed:"
        f" run `pip install 'mamba-agents[{extra}]'`."
    )


def test_a_provider_that_is_no_extra_of_ours_has_the_hint_of_pydantic_ai(tmp_path: Path) -> None:
    code, line = told(mamba_agents("run", "Hi?", "--model", "typesafe:x", cwd=tmp_path))
    assert code == 2
    assert "pydantic-ai-slim[typesafe]" in line


def test_a_pipe_among_the_files_is_refused_and_not_waited_for(tmp_path: Path, server: ModelServer) -> None:
    os.mkfifo(tmp_path / "pipe")
    code, line = told(mamba_agents("run", "Hi?", "pipe", cwd=tmp_path, server=server))
    assert (code, line) == (2, "cannot read 'pipe': it is not a regular file; standard input takes pipes.")


@pytest.mark.parametrize("arguments", [["run", "Hi?"], ["chat"], ["config", "show"]])
def test_standard_output_that_is_closed_is_told_before_a_model_is_asked(
    tmp_path: Path, server: ModelServer, arguments: list[str]
) -> None:
    asked = len(server.bodies)
    code, line = told(with_closed(">&-", *arguments, cwd=tmp_path, server=server))
    assert (code, line) == (2, "standard output is closed: there is no place for the answer.")
    assert len(server.bodies) == asked


def test_an_answer_is_as_good_with_standard_error_closed(tmp_path: Path, server: ModelServer) -> None:
    done = with_closed("2>&-", "run", "Hi?", cwd=tmp_path, server=server)
    assert (done.code, done.out) == (0, HELLO)


def with_closed(stream: str, *arguments: str, cwd: Path, server: ModelServer) -> Finished:
    """The command with one of its streams closed, which only a shell does."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {stream}', "sh", *COMMAND, *arguments],
        cwd=cwd,
        env=environment(server),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)
