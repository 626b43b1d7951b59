"""The loop behind every sync call."""

import asyncio

import pytest

from mamba_agents._internal.background_loop import run_sync


async def give[T](value: T) -> T:
    return value


async def fail() -> None:
    raise ValueError("as it was raised")


def test_results_and_errors_pass() -> None:
    assert run_sync(lambda: give(3)) == 3
    with pytest.raises(ValueError, match="as it was raised"):
        run_sync(fail)


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("in_thread", [False, True])
def test_calls_made_on_a_background_loop_do_not_wait_for_themselves(depth: int, in_thread: bool) -> None:
    async def nested(level: int) -> int:
        if level == 0:
            return 0
        if in_thread and level % 2:
            return 1 + await asyncio.to_thread(run_sync, lambda: nested(level - 1))
        return 1 + run_sync(lambda: nested(level - 1))

    assert run_sync(lambda: nested(depth)) == depth


def test_what_fails_before_it_is_awaited_reaches_the_caller() -> None:
    with pytest.raises(TypeError):
        run_sync(lambda: give())  # type: ignore[call-arg]


def test_a_task_that_cancels_itself_is_cancelled_for_the_caller() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_sync(cancelled)


def test_there_is_one_for_the_process() -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert run_sync(loop) is run_sync(loop)
