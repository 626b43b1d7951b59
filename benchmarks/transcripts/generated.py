"""Long transcripts made from seeds, the same on every machine.

Their later calls use ids, paths, numbers and names that came up before: in a question, in the middle of a result, in
an earlier call or in something the model said. Most are used again soon, some after a while, a few from long ago
(`words.earlier`), as one works through a list, comes back to a customer or collects findings for the end. Many values
look alike and are never used again. Nothing here looks at how a strategy chooses. Strategies are tuned on `DEVELOPMENT`
only; what is published comes from `HELD_OUT`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from pydantic_ai.messages import ModelMessage

from benchmarks.transcripts.audit import audit
from benchmarks.transcripts.code import code
from benchmarks.transcripts.data import data
from benchmarks.transcripts.facts import facts
from benchmarks.transcripts.incident import incident
from benchmarks.transcripts.play import Scene, played
from benchmarks.transcripts.support import support
from benchmarks.transcripts.travel import CHINESE, travel

DEVELOPMENT = range(100, 108)
HELD_OUT = range(900, 908)

# How a scene is made from random numbers, a size and an empty folder, and the least and most size.
SCENES: dict[str, tuple[Callable[[Random, int, Path], Scene], int, int]] = {
    "support": (lambda rng, size, _: support(rng, size), 10, 60),
    "audit": (lambda rng, size, _: audit(rng, size), 25, 140),
    "incident": (incident, 5, 30),
    "facts": (lambda rng, size, _: facts(rng, size), 20, 90),
    "code": (code, 6, 30),
    "data": (data, 10, 50),
    "travel": (lambda rng, size, _: travel(rng, size), 15, 60),
    "travel-chinese": (lambda rng, size, _: travel(rng, size, CHINESE), 15, 60),
}


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """What was said in one conversation."""

    name: str
    messages: list[ModelMessage]


def generated(seeds: range) -> Iterator[Transcript]:
    """One transcript for each scene and seed."""
    for name in SCENES:
        for seed in seeds:
            yield Transcript(name=name, messages=_messages(name, seed))


def _messages(name: str, seed: int) -> list[ModelMessage]:
    make, least, most = SCENES[name]
    rng = Random(f"{name} {seed}")
    with TemporaryDirectory() as folder:
        return played(make(rng, rng.randrange(least, most + 1), Path(folder)))
