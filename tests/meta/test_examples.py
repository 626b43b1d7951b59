"""Every Python example of the documents and docstrings runs, and prints what it says it prints."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_examples import CodeExample, EvalExample, find_examples

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "AGENTS.md", ROOT / "docs", ROOT / "src"]
LONGEST_LINE = 100


def examples() -> Iterator[object]:
    for example in find_examples(*SOURCES):
        embedded = '"local' in example.source or "create_local_backend" in example.source
        marks = [pytest.mark.model] if embedded else []
        yield pytest.param(example, id=example.module_name, marks=marks)


@pytest.mark.parametrize("example", examples())
def test_example_runs(
    example: CodeExample, eval_example: EvalExample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # the runner puts the example there
    eval_example.set_config(line_length=LONGEST_LINE, target_version="py312")
    if "#>" in example.source:
        eval_example.run_print_check(example)
    else:
        eval_example.run(example)


def test_every_example_is_short_enough_to_be_read_without_scrolling() -> None:
    lines = [(str(e), line) for e in find_examples(*SOURCES) for line in e.source.splitlines()]
    assert lines
    assert [where for where, line in lines if len(line) > LONGEST_LINE] == []
