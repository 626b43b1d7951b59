"""Streams of a model that never waits."""

import time
from collections.abc import AsyncIterator

import pydantic_ai
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from benchmarks.timing import Ratio, compare, ratio
from mamba_agents.agent import Agent

CHUNKS = 5_000


async def chunks(_messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[str]:
    for _ in range(CHUNKS):
        yield "word "


def agents() -> tuple[pydantic_ai.Agent, Agent]:
    return (
        pydantic_ai.Agent(FunctionModel(stream_function=chunks), name="bare"),
        Agent(FunctionModel(stream_function=chunks), name="ours"),
    )


async def read_all(agent: pydantic_ai.Agent) -> None:
    async with agent.run_stream("go", conversation_id="new") as stream:
        async for _ in stream.stream_text(delta=True, debounce_by=None):
            pass


async def read_events(agent: pydantic_ai.Agent) -> None:
    async with agent.run_stream_events("go", conversation_id="new") as events:
        async for _ in events:
            pass


async def read_text(agent: Agent) -> None:
    async for _ in agent.stream("go", conversation_id="new"):
        pass


async def first_chunk_seconds(agent: pydantic_ai.Agent) -> float:
    started = time.perf_counter()
    async with agent.run_stream("go", conversation_id="new") as stream:
        async for _ in stream.stream_text(delta=True, debounce_by=None):
            return time.perf_counter() - started
    raise AssertionError("no text")


async def first_chunk(calls: int) -> Ratio:
    bare, ours = agents()
    times: tuple[list[float], list[float]] = ([], [])
    for i in range(calls + 1):
        for which in (0, 1) if i % 2 else (1, 0):
            times[which].append(await first_chunk_seconds((bare, ours)[which]))
    return ratio("first chunk", times[0][1:], times[1][1:], target=1.05)


async def streams(calls: int) -> list[Ratio]:
    bare, ours = agents()
    return [
        await compare(
            f"run_stream, {CHUNKS:,} chunks", lambda: read_all(bare), lambda: read_all(ours), calls=calls, target=1.03
        ),
        await compare(
            f"stream() over run_stream_events, {CHUNKS:,} chunks",
            lambda: read_events(bare),
            lambda: read_text(ours),
            calls=calls,
            target=1.03,
        ),
        await first_chunk(calls * 10),
    ]
