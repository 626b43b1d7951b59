"""Runs that wait for each other, some of which can never end."""

import asyncio

import pytest

from mamba_agents._internal.turn_queue import Ticket, TurnQueue

pytestmark = pytest.mark.anyio


def taken_on_a_loop_of_its_own(queue: TurnQueue) -> tuple[asyncio.AbstractEventLoop, Ticket]:
    loop = asyncio.new_event_loop()
    return loop, loop.run_until_complete(queue.acquire())


async def test_the_place_of_a_run_whose_event_loop_was_closed_is_free() -> None:
    queue = TurnQueue()
    loop, lost = await asyncio.to_thread(taken_on_a_loop_of_its_own, queue)
    loop.close()
    ticket = await asyncio.wait_for(queue.acquire(), 10)
    queue.release(lost)  # as it is when the lost run is collected: the place is another's now
    waiting = asyncio.create_task(queue.acquire())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.release(ticket)
    queue.release(await asyncio.wait_for(waiting, 10))


async def test_those_who_wait_when_the_event_loop_is_closed_come_in_their_order() -> None:
    queue = TurnQueue()
    loop, _ = await asyncio.to_thread(taken_on_a_loop_of_its_own, queue)
    order: list[int] = []

    async def wait(number: int) -> None:
        ticket = await queue.acquire()
        order.append(number)
        queue.release(ticket)

    waiting = [asyncio.create_task(wait(number)) for number in range(3)]
    await asyncio.sleep(0.01)
    assert order == []
    loop.close()
    await asyncio.wait_for(asyncio.gather(*waiting), 20)
    assert order == [0, 1, 2]
