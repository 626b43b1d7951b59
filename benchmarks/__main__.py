"""The tables of ratios: `make bench`, or `make bench ARGS=quick` for a first look."""

import asyncio
import os
import platform
import sys
import time
from collections.abc import Iterable
from importlib.metadata import version

from benchmarks import fidelity
from benchmarks.agents import construction, many_runs, session_cost, sync_turn
from benchmarks.compaction import compaction
from benchmarks.conversation import conversation
from benchmarks.counting import counting
from benchmarks.streams import streams
from benchmarks.timing import HEADER, Ratio
from benchmarks.turns import turns


def main() -> None:
    quick = sys.argv[1:] == ["quick"]
    calls = 100 if quick else 400
    started = time.perf_counter()
    print(f"Python {platform.python_version()}, pydantic-ai {version('pydantic-ai-slim')}, {os.cpu_count()} cores")
    print(HEADER)
    _print("agents", [construction(calls), sync_turn(calls)])
    print(session_cost(10_000))
    _print("turns: context and usage on, then a budget too", asyncio.run(turns(calls)))
    _print("streams", asyncio.run(streams(calls // 40)))
    _print("many at once", [asyncio.run(many_runs(1_000, max(3, calls // 50)))])
    _print("counting, against tiktoken", counting(calls // 4))
    _print("compacting, against counting once", asyncio.run(compaction(calls=3 if quick else 7)))
    _print(
        "a conversation held at 50 messages, against one that carries all",
        asyncio.run(conversation(300, 2) if quick else conversation(1_000)),
    )
    if not quick:
        asyncio.run(fidelity.measure(""))
    print(f"\nall of this took {time.perf_counter() - started:.0f} s")


def _print(title: str, ratios: Iterable[Ratio]) -> None:
    print(f"-- {title}")
    for ratio in ratios:
        print(ratio.row(), flush=True)


if __name__ == "__main__":
    main()
