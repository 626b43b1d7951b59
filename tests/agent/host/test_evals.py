"""pydantic-evals over an agent of ours."""

import asyncio

import pytest
from pydantic_ai import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EqualsExpected

from mamba_agents import Agent, AgentConfig
from tests.helpers import prompts, reply


class Room:
    """Holds whoever comes in until `expected` are there, and counts them."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.inside = 0
        self.full = asyncio.Event()

    async def enter(self) -> None:
        self.inside += 1
        if self.inside == self.expected:
            self.full.set()
        await self.full.wait()


def echo_in(room: Room) -> FunctionModel:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await room.enter()
        return reply(f"{len(prompts(messages))}: {prompts(messages)[-1]}")

    return FunctionModel(respond)


def cases(count: int) -> Dataset[str, str, None]:
    return Dataset(
        name="echoes",
        cases=[Case(name=f"case {n}", inputs=f"q{n}", expected_output=f"1: q{n}") for n in range(count)],
        evaluators=[EqualsExpected()],
    )


@pytest.mark.anyio
async def test_cases_in_conversations_of_their_own_run_at_once_and_share_no_memory() -> None:
    agent = Agent(echo_in(Room(expected=8)))

    async def task(question: str) -> str:
        return (await agent.run(question, conversation_id="new")).output

    report = await cases(8).evaluate(task, progress=False, max_concurrency=8)
    assert report.averages().assertions == 1.0
    assert report.failures == []
    assert agent.messages == []
    assert agent.get_usage().request_count == 8


@pytest.mark.anyio
async def test_cases_of_an_agent_without_memory_run_at_once() -> None:
    agent = Agent(echo_in(Room(expected=4)), config=AgentConfig(track_context=False))

    async def task(question: str) -> str:
        return (await agent.run(question)).output

    report = await cases(4).evaluate(task, progress=False, max_concurrency=4)
    assert report.averages().assertions == 1.0


@pytest.mark.anyio
async def test_cases_without_a_conversation_of_their_own_are_one_conversation() -> None:
    agent = Agent(echo_in(Room(expected=1)))

    async def task(question: str) -> str:
        return (await agent.run(question)).output

    report = await cases(3).evaluate(task, progress=False)
    assert sorted(case.output[0] for case in report.cases) == ["1", "2", "3"]
