"""The ways to run an agent, under one signature, so that a law can be stated for all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_ai import AgentRunResultEvent

from mamba_agents.agent import Agent

type EntryPoint = Callable[..., Awaitable[Any]]
"""Runs a prompt to its end and gives the output."""


async def run(agent: Agent[Any, Any], prompt: str | None, **options: Any) -> Any:
    return (await agent.run(prompt, **options)).output


async def run_sync(agent: Agent[Any, Any], prompt: str | None, **options: Any) -> Any:
    return agent.run_sync(prompt, **options).output  # inside a running event loop, on purpose


async def run_sync_in_thread(agent: Agent[Any, Any], prompt: str | None, **options: Any) -> Any:
    return (await asyncio.to_thread(agent.run_sync, prompt, **options)).output


async def run_stream(agent: Agent[Any, Any], prompt: str | None, **options: Any) -> Any:
    async with agent.run_stream(prompt, **options) as stream:
        return await stream.get_output()


async def run_stream_sync(agent: Agent[Any, Any], prompt: str | None, **options: Any) -> Any:
    with agent.run_stream_sync(prompt, **options) as stream:
        return stream.get_output()


async def run_stream_events(agent: Agent[Any, Any], prompt: str | None, **options: Any) -> Any:
    async with agent.run_stream_events(prompt, **options) as events:
        async for event in events:
            if isinstance(event, AgentRunResultEvent):
                return event.result.output
    raise AssertionError("no result")


async def iterate(agent: Agent[Any, Any], prompt: str | None, **options: Any) -> Any:
    async with agent.iter(prompt, **options) as run:
        async for _ in run:
            pass
    assert run.result is not None
    return run.result.output


async def stream(agent: Agent[Any, Any], prompt: str | None, **options: Any) -> Any:
    text = agent.stream(prompt, **options)
    async for _ in text:
        pass
    assert text.result is not None
    return text.result.output


ALL: list[EntryPoint] = [
    run,
    run_sync,
    run_sync_in_thread,
    run_stream,
    run_stream_sync,
    run_stream_events,
    iterate,
    stream,
]
