"""Turns, in the moments that no public call can time."""

import asyncio

import pytest

from asgi_ws.queues import Turns


async def test_a_turn_that_came_in_the_moment_of_a_cancellation_goes_to_the_next() -> None:
    turns = Turns()
    first, second = (asyncio.create_task(turns.wait()) for _ in range(2))
    await asyncio.sleep(0)
    assert turns.pass_on()
    first.cancel()
    await asyncio.wait([first, second])
    assert first.cancelled()
    assert not second.cancelled()
    assert not turns.pass_on()


async def test_a_failure_that_came_in_the_moment_of_a_cancellation_gives_no_turn_away() -> None:
    turns = Turns()
    first = asyncio.create_task(turns.wait())
    await asyncio.sleep(0)
    turns.fail(ConnectionResetError())
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not turns.pass_on()


async def test_who_gave_up_is_passed_over() -> None:
    turns = Turns()
    waiting = [asyncio.create_task(turns.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    turns.fail(ConnectionResetError())
    await asyncio.wait(waiting)
    assert all(task.cancelled() for task in waiting)
