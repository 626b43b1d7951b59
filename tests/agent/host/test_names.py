"""An agent without a name takes that of the variable it is run by."""

from collections.abc import Awaitable, Callable

import pytest

from mamba_agents import Agent
from tests.helpers import echo


async def by_run() -> str | None:
    clerk = Agent(echo())
    await clerk.run("hello")
    return clerk.name


async def by_run_sync() -> str | None:
    clerk = Agent(echo())
    clerk.run_sync("hello")
    return clerk.name


async def by_iter() -> str | None:
    clerk = Agent(echo())
    async with clerk.iter("hello") as run:
        async for _ in run:
            pass
    return clerk.name


async def by_stream() -> str | None:
    clerk = Agent(echo())
    async for _ in clerk.stream("hello"):
        pass
    return clerk.name


async def by_run_stream() -> str | None:
    clerk = Agent(echo())
    async with clerk.run_stream("hello") as stream:
        await stream.get_output()
    return clerk.name


async def by_run_stream_events() -> str | None:
    clerk = Agent(echo())
    async with clerk.run_stream_events("hello") as events:
        async for _ in events:
            pass
    return clerk.name


async def by_run_stream_sync() -> str | None:
    clerk = Agent(echo())
    with clerk.run_stream_sync("hello") as stream:
        stream.get_output()
    return clerk.name


ENTRIES = [by_run, by_run_sync, by_iter, by_stream, by_run_stream, by_run_stream_events, by_run_stream_sync]


@pytest.mark.anyio
@pytest.mark.parametrize("entry", ENTRIES)
async def test_the_name_is_the_variables(entry: Callable[[], Awaitable[str | None]]) -> None:
    assert await entry() == "clerk"


@pytest.mark.anyio
async def test_a_name_given_or_declined_stays() -> None:
    given, declined = Agent(echo(), name="given name"), Agent(echo())
    await given.run("hello")
    await declined.run("hello", infer_name=False)
    assert (given.name, declined.name) == ("given name", None)


@pytest.mark.anyio
async def test_an_agent_in_no_variable_has_no_name() -> None:
    agents = [Agent(echo())]
    await agents[0].run("hello")
    agents[0].run_sync("hello")
    await agents[0].session("thread").run("hello")
    async with agents[0].session("thread").iter("hello"):
        pass
    assert agents[0].name is None
