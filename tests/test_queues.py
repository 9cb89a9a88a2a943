"""Turns and kept messages, in the moments that no public call can time."""

import asyncio
import gc
from typing import Any

import pytest

from asgi_ws.queues import KEPT_BYTES, Kept, PendingReceive, Turns, size_of


async def test_a_turn_that_came_in_the_moment_of_a_cancellation_goes_to_the_next() -> None:
    turns, freed = Turns(), asyncio.Event()
    first, second = (asyncio.create_task(turns.wait(freed.set)) for _ in range(2))
    await asyncio.sleep(0)
    assert turns.pass_on()
    first.cancel()
    await asyncio.wait([first, second])
    assert first.cancelled()
    assert not second.cancelled()
    assert not freed.is_set()
    assert not turns.pass_on()


async def test_a_turn_that_came_in_the_moment_of_a_cancellation_is_free_again_when_nobody_waits() -> None:
    turns, freed = Turns(), asyncio.Event()
    only = asyncio.create_task(turns.wait(freed.set))
    await asyncio.sleep(0)
    assert turns.pass_on()
    only.cancel()
    await asyncio.wait([only])
    assert only.cancelled()
    assert freed.is_set()


async def test_a_failure_that_came_in_the_moment_of_a_cancellation_is_not_left_unseen(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turns, freed = Turns(), asyncio.Event()
    first = asyncio.create_task(turns.wait(freed.set))
    await asyncio.sleep(0)
    turns.fail(ConnectionResetError())
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    del first
    gc.collect()
    assert caplog.records == []


async def test_who_gave_up_is_passed_over() -> None:
    turns, freed = Turns(), asyncio.Event()
    waiting = [asyncio.create_task(turns.wait(freed.set)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    turns.fail(ConnectionResetError())
    await asyncio.wait(waiting)
    assert all(task.cancelled() for task in waiting)


async def test_an_event_that_came_in_the_moment_of_a_cancellation_is_the_next_callers() -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    calls = 0

    async def receive() -> Any:
        nonlocal calls
        calls += 1
        return await events.get()

    pending = PendingReceive(receive)
    caller = asyncio.create_task(pending.receive())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    events.put_nowait({"type": "websocket.receive", "text": "x"})
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert (await pending.receive())["text"] == "x"
    assert calls == 1
    await pending.cancel()


def test_what_was_taken_makes_room_for_more() -> None:
    kept = Kept()
    for character in ("x", "é", "😀"):
        assert kept.put(character * (KEPT_BYTES // len(character.encode())))
        assert not kept.put("y")
        assert size_of(kept.take()) == KEPT_BYTES
    assert not kept
