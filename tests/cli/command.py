"""The command as a person runs it: in a process of its own, in an empty folder, with no settings but those given."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.backends.server import ModelServer

HELLO = "Hello there. \n"
"""The server's answer when it is given none, as it streams it, and the end of the line."""

COMMAND = (sys.executable, "-m", "mamba_agents")


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str

    @property
    def err_lines(self) -> list[str]:
        return self.err.splitlines()


def environment(server: ModelServer | None = None, **variables: str) -> dict[str, str]:
    """What the command sees: this process's variables, cleaned by a fixture of every test, and where its server is."""
    at_server = {}
    if server is not None:
        at_server = {"MAMBA_MODEL_BACKEND__BASE_URL": server.url, "MAMBA_MODEL_BACKEND__MODEL": "llama3.2"}
    # Where bytecode is not written, every command would compile all that it imports.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "MAMBA_MODEL_BACKEND__MAX_RETRIES": "0", **at_server, **variables}


def mamba_agents(
    *arguments: str | bytes,
    cwd: Path,
    stdin: str | bytes = b"",
    server: ModelServer | None = None,
    **variables: str,
) -> Finished:
    finished = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        env=environment(server, **variables),
        capture_output=True,
        timeout=100,
        check=False,
    )
    return Finished(finished.returncode, finished.stdout.decode(), finished.stderr.decode())
