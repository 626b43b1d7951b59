"""A long conversation whose context is kept short, against one that carries all that was said."""

import gc
import time

import pydantic_ai
from pydantic_ai.messages import ModelMessage

from benchmarks.timing import Ratio, ratio
from benchmarks.turns import model
from mamba_agents.agent import Agent, AgentConfig
from mamba_agents.context import CompactionConfig

_QUESTION = "the quick brown fox jumps over the lazy dog " * 5

_COMPACTION = CompactionConfig(
    strategy="sliding_window", trigger_threshold_tokens=1_980, target_tokens=1_200, preserve_recent_turns=5
)
"""A question has about 55 tokens and an answer about 10, so that it is about 50 messages: between 35 and 75."""


async def conversation(turns: int, repeats: int = 1) -> list[Ratio]:
    """The wall time of all turns together, the two sides one after the other, in an order that changes."""
    times: tuple[list[float], list[float]] = ([], [])
    sizes: list[int] = []
    for repeat in range(repeats):
        for which in (0, 1) if repeat % 2 else (1, 0):
            gc.collect()
            started = time.perf_counter()
            await (_ours(turns, sizes) if which else _bare(turns))
            times[which].append(time.perf_counter() - started)
    name = f"{turns:,} turns, {sum(sizes) / len(sizes):.0f} messages kept"
    return [ratio(name, *times, target=0.5)]


async def _bare(turns: int) -> None:
    agent, said = pydantic_ai.Agent(model(), name="bare"), list[ModelMessage]()
    for number in range(turns):
        said = (await agent.run(f"{number} {_QUESTION}", message_history=said)).all_messages()


async def _ours(turns: int, sizes: list[int]) -> None:
    agent = Agent(model(), name="ours", config=AgentConfig(context=_COMPACTION))
    for number in range(turns):
        result = await agent.run(f"{number} {_QUESTION}")
        sizes.append(len(result.all_messages()))
