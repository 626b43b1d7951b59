"""A project folder and a home folder of the test's own, and a hand to write into them."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

type Write = Callable[[str, str], Path]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder the test runs in; nothing is in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def write(project: Path) -> Write:
    """Writes a file into the project, or into the home for a name that begins with `~/`."""

    def write(name: str, text: str) -> Path:
        path = Path(name).expanduser() if name.startswith("~") else project / name
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write
