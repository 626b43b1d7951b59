"""How two ways of doing the same are compared on a machine that others use too."""

import gc
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Ours over bare, from calls made in turn."""

    name: str
    bare_us: float
    ours_us: float
    ratio: float
    """The median over neighbouring calls, which a change of the machine's speed between calls leaves alone."""

    target: float

    def row(self) -> str:
        mark = "" if self.ratio <= self.target else "  over"
        return f"{self.name:<44}{self.bare_us:>12.1f}{self.ours_us:>12.1f}{self.ratio:>9.3f}{self.target:>9.2f}{mark}"


HEADER = f"{'':<44}{'bare µs':>12}{'ours µs':>12}{'ratio':>9}{'target':>9}"


async def compare(
    name: str,
    bare: Callable[[], Awaitable[object]],
    ours: Callable[[], Awaitable[object]],
    *,
    calls: int,
    target: float,
) -> Ratio:
    """Alternate the two, and the order within each pair."""
    await bare()
    await ours()
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    gc.disable()
    try:
        for i in range(calls):
            for which in (0, 1) if i % 2 else (1, 0):
                run = ours if which else bare
                started = time.perf_counter()
                await run()
                times[which].append(time.perf_counter() - started)
            if i % 50 == 49:
                gc.collect()
    finally:
        gc.enable()
    return ratio(name, *times, target=target)


def compare_sync(
    name: str, bare: Callable[[], object], ours: Callable[[], object], *, calls: int, target: float
) -> Ratio:
    """Like `compare`, for calls that are not async."""
    bare()
    ours()
    times: tuple[list[float], list[float]] = ([], [])
    for i in range(calls):
        for which in (0, 1) if i % 2 else (1, 0):
            run = ours if which else bare
            started = time.perf_counter()
            run()
            times[which].append(time.perf_counter() - started)
    return ratio(name, *times, target=target)


def ratio(name: str, bare: list[float], ours: list[float], *, target: float) -> Ratio:
    """The ratio of times in seconds, each pair measured one right after the other."""
    pairs = [b / a for a, b in zip(bare, ours, strict=True)]
    return Ratio(
        name=name,
        bare_us=statistics.median(bare) * 1e6,
        ours_us=statistics.median(ours) * 1e6,
        ratio=statistics.median(pairs),
        target=target,
    )
