"""The loop behind every sync call."""

import asyncio

import pytest

from mamba_agents._internal.background_loop import background_loop, run_sync


async def give[T](value: T) -> T:
    return value


async def fail() -> None:
    raise ValueError("as it was raised")


def test_results_and_errors_pass() -> None:
    assert run_sync(lambda: give(3)) == 3
    with pytest.raises(ValueError, match="as it was raised"):
        run_sync(fail)


def test_a_call_from_its_own_thread_does_not_wait_for_itself() -> None:
    async def nested() -> int:
        return run_sync(lambda: give(1)) + run_sync(lambda: give(2))

    assert run_sync(nested) == 3
    assert background_loop().nested() is background_loop().nested()


def test_a_task_that_cancels_itself_is_cancelled_for_the_caller() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_sync(cancelled)


def test_there_is_one_for_the_process() -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert run_sync(loop) is run_sync(loop)
