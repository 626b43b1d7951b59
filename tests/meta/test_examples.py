"""Every Python example of the documents and docstrings runs, and prints what it says it prints."""

import sys
from pathlib import Path

import pytest
from pytest_examples import CodeExample, EvalExample, find_examples
from tests.meta.documents import FRONT_PAGES, GUIDES, ROOT

EXAMPLES = list(find_examples(*FRONT_PAGES, *GUIDES, ROOT / "src"))
LONGEST_LINE = 100


def as_case(example: CodeExample) -> object:
    embedded = '"local' in example.source or "create_local_backend" in example.source
    name = f"{example.path.relative_to(ROOT)}:{example.start_line}"
    return pytest.param(example, id=name, marks=[pytest.mark.model] if embedded else [])


@pytest.mark.parametrize("example", [as_case(example) for example in EXAMPLES])
def test_example_runs(
    example: CodeExample, eval_example: EvalExample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # the runner puts the example there
    # An example stands alone, so its imports have no rooms of ours to be sorted by.
    eval_example.set_config(line_length=LONGEST_LINE, target_version="py312", ruff_ignore=["I001"])
    eval_example.lint_ruff(example)
    if "#>" in example.source:
        eval_example.run_print_check(example)
    else:
        eval_example.run(example)


def test_every_example_can_be_read_without_scrolling() -> None:
    assert EXAMPLES
    wide = [str(each) for each in EXAMPLES if max(map(len, each.source.splitlines())) > LONGEST_LINE]
    assert wide == []
