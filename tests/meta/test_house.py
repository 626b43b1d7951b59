"""The house rules that no linter holds."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.meta.documents import ROOT

LINK = re.compile(r"\[[^\]]*\]\((?!\w+:|#)([^)#\s]+)[^)]*\)")
# Put together here, so that this file does not hold what it looks for.
REGISTRIES = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]
UNFINISHED = ["TO" + "DO", "FIX" + "ME"]


def kept_files() -> list[Path]:
    """What git keeps, or would keep once it is added."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def readable(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_no_module_is_longer_than_400_lines() -> None:
    modules = [path for path in kept_files() if path.suffix == ".py" and (ROOT / "src") in path.parents]
    assert modules
    assert {str(path): n for path in modules if (n := len(readable(path).splitlines())) > 400} == {}


@pytest.mark.parametrize("text", [*REGISTRIES, *UNFINISHED, str(ROOT) + "/"])
def test_no_file_holds(text: str) -> None:
    assert [str(path) for path in kept_files() if text in readable(path)] == []


def test_no_link_between_the_documents_is_dead() -> None:
    documents = [path for path in kept_files() if path.suffix == ".md"]
    links = [(path, target) for path in documents for target in LINK.findall(readable(path))]
    assert links
    assert [(str(path), target) for path, target in links if not (path.parent / target).exists()] == []
