"""The table of ratios: `make bench`, or `make bench ARGS=quick` for a first look."""

import asyncio
import os
import platform
import sys
from importlib.metadata import version

from benchmarks.agents import construction, many_runs, session_cost, sync_turn
from benchmarks.streams import streams
from benchmarks.timing import HEADER, Ratio
from benchmarks.turns import turns


async def measure(calls: int) -> list[Ratio]:
    return [*await turns(calls), *await streams(calls // 40), await many_runs(1_000, max(3, calls // 50))]


def main() -> None:
    calls = 100 if sys.argv[1:] == ["quick"] else 400
    print(f"Python {platform.python_version()}, pydantic-ai {version('pydantic-ai-slim')}, {os.cpu_count()} cores")
    print(HEADER)
    for ratio in (construction(calls), sync_turn(calls), *asyncio.run(measure(calls))):
        print(ratio.row())
    print(session_cost(10_000))


if __name__ == "__main__":
    main()
