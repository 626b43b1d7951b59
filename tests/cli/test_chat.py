"""`mamba-agents chat`: a conversation, over a pipe and at a terminal."""

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.backends.server import Answer, ModelServer, failure, serving
from tests.cli.command import COMMAND, environment, mamba_agents
from tests.cli.slow_server import never_ending


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(*[Answer(text=f"Answer-{i}") for i in range(1, 9)]) as running:
        yield running


def said(server: ModelServer) -> list[str]:
    """The last request's messages, oldest first."""
    return [message["content"] for message in server.bodies[-1]["messages"]]


def test_a_conversation_over_a_pipe_is_remembered(tmp_path: Path, server: ModelServer) -> None:
    done = mamba_agents("chat", "-s", "Be kind.", cwd=tmp_path, server=server, stdin="One?\n\nTwo?\n")
    assert (done.code, done.out) == (0, "Answer-1 \nAnswer-2 \n")
    assert said(server) == ["Be kind.", "One?", "Answer-1 ", "Two?"]
    assert [line.startswith("llama3.2 · 7 tokens in") for line in done.err_lines] == [False, True, True]


def test_without_memory_every_line_is_on_its_own(tmp_path: Path, server: ModelServer) -> None:
    done = mamba_agents("chat", "--no-memory", cwd=tmp_path, server=server, stdin="One?\n/clear\nTwo?\n")
    assert done.code == 0
    assert said(server) == ["Two?"]
    assert "nothing is remembered (--no-memory)" in done.err_lines


def test_clear_forgets_the_conversation_but_not_what_it_cost(tmp_path: Path, server: ModelServer) -> None:
    done = mamba_agents("chat", cwd=tmp_path, server=server, stdin="One?\n/clear\nTwo?\n/usage\n")
    assert said(server) == ["Two?"]
    assert done.err_lines[-1] == "2 requests · 14 tokens in, 6 out · $0"


def test_another_model_goes_on_with_the_same_conversation(tmp_path: Path, server: ModelServer) -> None:
    done = mamba_agents("chat", cwd=tmp_path, server=server, stdin="One?\n/model\n/model qwen3:4b\nTwo?\n")
    assert [body["model"] for body in server.bodies] == ["llama3.2", "qwen3:4b"]
    assert said(server) == ["One?", "Answer-1 ", "Two?"]
    assert done.err_lines[2:4] == ["llama3.2", "qwen3:4b"]


def test_help_names_every_command_and_a_wrong_one_is_said_to_be_none(tmp_path: Path, server: ModelServer) -> None:
    done = mamba_agents("chat", cwd=tmp_path, server=server, stdin="/help\n/nope\n/exit\nnot read\n")
    assert all(f"\n{command}" in done.err for command in ("/help", "/usage", "/clear", "/model", "/exit"))
    assert done.err_lines[-1] == "/nope is no command; /help lists them"
    assert server.bodies == []


def test_a_failed_turn_does_not_end_a_conversation_but_shows_in_the_exit_code(tmp_path: Path) -> None:
    with serving(failure(500, "kaputt"), Answer(text="Better.")) as server:
        done = mamba_agents("chat", cwd=tmp_path, server=server, stdin="One?\nTwo?\n")
    assert (done.code, done.out) == (1, "Better. \n")
    assert "the server of llama3.2 answered 500: kaputt" in done.err_lines


@pytest.mark.parametrize("line", [b"a\xffb", b"a\0b"])
def test_a_line_that_cannot_be_sent_is_refused_and_the_next_one_taken(
    tmp_path: Path, server: ModelServer, line: bytes
) -> None:
    done = mamba_agents("chat", cwd=tmp_path, server=server, stdin=line + b"\nTwo?\n")
    assert (done.code, done.out) == (1, "Answer-1 \n")
    assert done.err_lines[1].startswith("the message is not ")
    assert said(server) == ["Two?"]


PROMPT = "\x1b[?2004h"
"""The prompt is there once it asks the terminal to say what is pasted."""


class Terminal:
    """A person's terminal with the command in it."""

    def __init__(self, cwd: Path, server: ModelServer, *arguments: str) -> None:
        self.screen = ""
        self._fd, inner = pty.openpty()
        env = environment(server, TERM="xterm-256color", COLUMNS="80", LINES="24")
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], cwd=cwd, env=env, stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
            preexec_fn=_take_terminal,
        )  # fmt: skip
        os.close(inner)

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def wait_for(self, text: str, seconds: float = 60) -> str:
        """Everything that was written since the last wait, up to the text."""
        assert self.shows(text, seconds), f"{text!r} is not in {self.screen!r}"
        seen, _, self.screen = self.screen.partition(text)
        return seen

    def shows(self, text: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while text not in self.screen and time.monotonic() < deadline:
            if select.select([self._fd], [], [], 0.1)[0]:
                self._read()
        return text in self.screen

    def _read(self) -> None:
        data = os.read(self._fd, 65536)
        self.screen += data.decode(errors="replace")
        if b"\x1b[6n" in data:  # where is the cursor?
            os.write(self._fd, b"\x1b[1;1R")

    def leave(self) -> int:
        """Press Ctrl-D at the next prompt."""
        self.wait_for(PROMPT)
        self.type("\x04")
        return self.close()

    def close(self) -> int:
        """Wait for the command to end; what it still writes has to be read, or it would wait as well."""
        try:
            while self.process.poll() is None or select.select([self._fd], [], [], 0)[0]:
                if select.select([self._fd], [], [], 0.1)[0]:
                    self._read()
        except OSError:
            pass  # the other end is closed
        os.close(self._fd)
        return self.process.wait(60)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_at_a_terminal_an_answer_is_rendered_without_what_could_command_it(tmp_path: Path) -> None:
    with serving(Answer(text="Some **bold** text.\n\n```\ncode\n```\n\n\x1b]0;owned\x07tail\x9b31m")) as server:
        terminal = Terminal(tmp_path, server, "chat")
        terminal.wait_for(PROMPT)
        terminal.type("Hi?\r")
        shown = terminal.wait_for("tokens in")
        assert terminal.leave() == 0
    assert "**" not in shown
    assert "\x1b[1mbold" in shown
    assert "\x1b]0;owned" not in shown
    assert "\x9b" not in shown
    assert "tail" in shown


def test_ctrl_c_stops_an_answer_and_the_conversation_goes_on_with_what_came(tmp_path: Path) -> None:
    with never_ending("wander ") as server:
        terminal = Terminal(tmp_path, server, "chat")
        terminal.wait_for(PROMPT)
        terminal.type("Go on.\r")
        terminal.wait_for("wander")
        os.kill(terminal.process.pid, signal.SIGINT)
        assert "wander" in terminal.wait_for("stopped")
        terminal.wait_for(PROMPT)
        terminal.type("/usage\r")
        terminal.wait_for("1 requests")
        assert terminal.leave() == 0
        assert server.was_left.wait(60)


def test_a_line_typed_before_can_be_had_again_in_the_next_conversation(tmp_path: Path, server: ModelServer) -> None:
    for type_line in (lambda terminal: terminal.type("Remember me?"), press_up):
        terminal = Terminal(tmp_path, server, "chat")
        terminal.wait_for(PROMPT)
        type_line(terminal)
        terminal.type("\r")
        terminal.wait_for("tokens in")
        assert terminal.leave() == 0
    assert [body["messages"][-1]["content"] for body in server.bodies] == ["Remember me?"] * 2


def press_up(terminal: Terminal) -> None:
    """Until the last line of the history is there: it is read while the prompt already waits."""
    while not terminal.shows("Remember me?", seconds=0.5):
        terminal.type("\x1b[A")


def test_where_no_history_can_be_kept_the_conversation_goes_on_and_says_so(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    terminal = Terminal(tmp_path, server, "chat")
    terminal.wait_for("what you type is not kept for the next time")
    terminal.wait_for(PROMPT)
    terminal.type("Hi?\r")
    terminal.wait_for("tokens in")
    assert terminal.leave() == 0


def test_run_at_a_terminal_strips_what_could_command_it(tmp_path: Path) -> None:
    with serving(Answer(text="\x1b[31mred\x07")) as server:
        terminal = Terminal(tmp_path, server, "run", "Hi?")
        shown = terminal.wait_for("tokens in")
        assert terminal.close() == 0
    assert shown == "[31mred \r\n\x1b[2mllama3.2 · 7 "
