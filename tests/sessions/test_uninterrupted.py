"""Work that is not cut."""

import asyncio

import anyio
import pytest

from mamba_agents.sessions.uninterrupted import uninterrupted

pytestmark = pytest.mark.anyio


async def test_work_goes_on_to_its_end_and_the_caller_is_cancelled_then() -> None:
    done: list[str] = []

    async def work() -> str:
        await asyncio.sleep(0.05)
        done.append("done")
        return "result"

    assert await uninterrupted(work()) == "result"
    task = asyncio.create_task(uninterrupted(work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with anyio.move_on_after(0.01):
        await uninterrupted(work())
    assert done == ["done"] * 3


async def test_its_errors_reach_the_caller() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        await uninterrupted(fail())
