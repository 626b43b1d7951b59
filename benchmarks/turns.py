"""A turn with a model that answers at once, so that what is left is the framework's own work."""

import pydantic_ai
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from benchmarks.timing import Ratio, compare
from mamba_agents.agent import Agent
from mamba_agents.sessions import MessageAppended


def instant(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    return ModelResponse(parts=[TextPart("a short answer")])


def history(length: int) -> list[ModelMessage]:
    """Questions and answers of a chat, `length` messages of about 40 words."""
    words = "the quick brown fox jumps over the lazy dog " * 5
    return [
        ModelResponse(parts=[TextPart(f"{i} {words}")])
        if i % 2
        else ModelRequest(parts=[UserPromptPart(f"{i} {words}")])
        for i in range(length)
    ]


async def turn(length: int, calls: int) -> Ratio:
    """A turn that remembers, against pydantic-ai given the same history by hand."""
    past = history(length)
    bare = pydantic_ai.Agent(FunctionModel(instant), name="bare")
    ours = Agent(FunctionModel(instant), name="ours")

    async def run_bare() -> None:
        await bare.run("and now?", message_history=past)

    seeded = [MessageAppended(run_id="past", message=message) for message in past]
    ids = iter(f"session-{i}" for i in range(calls + 1))
    sessions = [ours.session(next(ids)) for _ in range(calls + 1)]
    for session in sessions:
        await session.log.append(seeded)
    turns = iter(sessions)

    async def run_ours() -> None:
        await next(turns).run("and now?")

    return await compare(f"turn at {length:,} messages", run_bare, run_ours, calls=calls, target=1.03)


async def turns(calls: int) -> list[Ratio]:
    return [
        await turn(0, calls),
        await turn(20, calls),
        await turn(100, calls),
        await turn(1000, max(20, calls // 8)),
    ]
