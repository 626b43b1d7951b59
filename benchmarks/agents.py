"""What an agent, a sync call, a session and many of them at once cost."""

import asyncio
import time
import tracemalloc

import pydantic_ai
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from benchmarks.timing import Ratio, compare, compare_sync
from benchmarks.turns import instant
from mamba_agents.agent import Agent

MODEL = FunctionModel(instant)


def construction(calls: int) -> Ratio:
    return compare_sync(
        "constructing an agent",
        lambda: pydantic_ai.Agent(MODEL, system_prompt="Be brief."),
        lambda: Agent(MODEL, system_prompt="Be brief."),
        calls=calls,
        target=1.5,
    )


def sync_turn(calls: int) -> Ratio:
    bare, ours = pydantic_ai.Agent(MODEL, name="bare"), Agent(MODEL, name="ours")
    return compare_sync(
        "run_sync",
        lambda: bare.run_sync("go", conversation_id="new"),
        lambda: ours.run_sync("go", conversation_id="new"),
        calls=calls,
        target=1.25,
    )


def session_cost(count: int) -> str:
    """Time and memory of a further session on one agent."""
    agent, ids = Agent(MODEL, name="ours"), [f"user-{i}" for i in range(count)]
    started = time.perf_counter()
    for session_id in ids:
        agent.session(session_id)
    seconds = time.perf_counter() - started
    measured = Agent(MODEL, name="measured")
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for session_id in ids:
        measured.session(session_id)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    microseconds, size = seconds / count * 1e6, (after - before) / count
    return f"a further session: {microseconds:.1f} µs (target 10), {size:.0f} bytes (target 2048)"


def three_calls_then_text(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    step = sum(isinstance(message, ModelResponse) for message in messages)
    if step < 3:
        return ModelResponse(parts=[ToolCallPart("look", {"n": step}, tool_call_id=f"c{step}")])
    return ModelResponse(parts=[TextPart("done")])


async def many_runs(runs: int, repeats: int) -> Ratio:
    """Runs with three tool calls each, all at once, each on a session of its own."""
    bare = pydantic_ai.Agent(FunctionModel(three_calls_then_text), name="bare")

    async def look(n: int) -> int:
        return n

    bare.tool_plain(look)

    async def run_bare() -> None:
        await asyncio.gather(*(bare.run("go") for _ in range(runs)))

    async def run_ours() -> None:
        # A new agent each time, so that every session is empty as it is for bare; made outside the loop of runs.
        ours = Agent(FunctionModel(three_calls_then_text), name="ours")
        ours.tool_plain(look)
        await asyncio.gather(*(ours.session(str(i)).run("go") for i in range(runs)))

    return await compare(
        f"{runs:,} runs at once, 3 tool calls, {runs:,} sessions", run_bare, run_ours, calls=repeats, target=1.05
    )
