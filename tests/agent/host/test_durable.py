"""Durable execution with DBOS on SQLite: a program that dies inside a workflow goes on where it died."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def live(folder: Path, program: str = "durable_app.py") -> subprocess.CompletedProcess[str]:
    arguments = [folder / "database.sqlite", "workflow-1", folder / "log"]
    return subprocess.run(
        [sys.executable, "-W", "error", Path(__file__).with_name(program), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_workflow_outlives_its_process_and_its_result_is_recorded(tmp_path: Path) -> None:
    first, second = live(tmp_path), live(tmp_path)
    assert first.returncode == 7, first.stderr
    assert second.returncode == 0, second.stderr
    assert (tmp_path / "log").read_text().splitlines() == [
        "model asked with 1",
        "tool ran",
        # The second life: what the model said is not asked for again, and the tool's failure is told to it.
        "tool ran",
        "model asked with 3",
        "('seen ValueError: nothing there', 'completed')",
        # The same workflow once more gives what is recorded.
        "('seen ValueError: nothing there', 'completed')",
    ]


def test_a_shortened_run_goes_on_in_the_next_process_as_short_as_it_was(tmp_path: Path) -> None:
    first, second = live(tmp_path, "durable_context_app.py"), live(tmp_path, "durable_context_app.py")
    assert first.returncode == 7, first.stderr
    assert second.returncode == 0, second.stderr
    assert (tmp_path / "log").read_text().splitlines() == [
        "a life begins",
        *(f"asked for {number}, valid, short" for number in range(11)),
        # The second life: nothing that was answered is asked again, and the history is shortened as it was.
        "a life begins",
        *(f"asked for {number}, valid, short" for number in (11, 12)),
        "done: 12 looks, shortened: True, 13 rows",
    ]
