"""FairLock and kept messages, at moments that a public call cannot time."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from asgi_ws._aio.fair_lock import FairLock
from asgi_ws._asgi import Event
from asgi_ws.sizes import size_of
from asgi_ws.websocket.pending_receive import PendingReceive
from asgi_ws.websocket.unread import UNREAD_BYTES, UnreadMessages


async def test_a_turn_that_came_in_the_moment_of_a_cancellation_goes_to_the_next() -> None:
    turns, freed = FairLock(), asyncio.Event()
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
    turns, freed = FairLock(), asyncio.Event()
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
    turns, freed = FairLock(), asyncio.Event()
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
    turns, freed = FairLock(), asyncio.Event()
    waiting = [asyncio.create_task(turns.wait(freed.set)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    turns.fail(ConnectionResetError())
    await asyncio.wait(waiting)
    assert all(task.cancelled() for task in waiting)


class Ready:
    """An awaitable that is done, and is neither a future nor a coroutine."""

    def __init__(self, event: Event) -> None:
        self.event = event

    def __await__(self) -> Generator[Any, Any, Event]:
        yield from ()
        return self.event


class Polled(Ready):
    """An awaitable that yields twice before it is done."""

    def __await__(self) -> Generator[Any, Any, Event]:
        yield
        yield
        return self.event


async def next_of(pending: PendingReceive) -> Event:
    return await pending.receive()


MESSAGE = {"type": "websocket.receive", "text": "x"}


@pytest.mark.parametrize("kind", [Ready, Polled])
async def test_an_awaitable_that_is_no_future_is_awaited_as_it_is(kind: Callable[[Event], Awaitable[Event]]) -> None:
    pending = PendingReceive(lambda: kind(MESSAGE), kind({"type": "websocket.connect"}))
    tasks = asyncio.all_tasks()
    assert (await pending.receive())["type"] == "websocket.connect"
    assert await pending.receive() == MESSAGE
    assert asyncio.all_tasks() == tasks


async def test_a_call_that_was_cancelled_between_two_polls_goes_on() -> None:
    pending = PendingReceive(lambda: Ready(MESSAGE), Polled({"type": "websocket.connect"}))
    caller = asyncio.create_task(next_of(pending))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    assert (await pending.receive())["type"] == "websocket.connect"
    assert await pending.receive() == MESSAGE


@pytest.mark.parametrize("when", ["before the event", "in the moment of the event"])
async def test_an_event_that_comes_around_a_cancellation_is_the_next_callers(when: str) -> None:
    call: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
    pending = PendingReceive(lambda: Ready({"type": "websocket.disconnect"}), call)
    tasks = asyncio.all_tasks()
    caller = asyncio.create_task(next_of(pending))
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {*tasks, caller}
    if when == "in the moment of the event":
        call.set_result(MESSAGE)
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    assert not call.cancelled()
    again = asyncio.create_task(next_of(pending))
    await asyncio.sleep(0)
    if when == "before the event":
        call.set_result(MESSAGE)
    assert await again == MESSAGE
    assert (await pending.receive())["type"] == "websocket.disconnect"


async def test_a_caller_that_is_cancelled_twice_is_cancelled_once() -> None:
    call: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
    pending = PendingReceive(lambda: Ready(MESSAGE), call)

    async def caller() -> str:
        try:
            await pending.receive()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "cancelled"
        raise AssertionError

    calling = asyncio.create_task(caller())
    await asyncio.sleep(0)
    calling.cancel()
    calling.cancel()
    assert await calling == "cancelled"
    assert not call.cancelled()


async def test_an_error_of_the_server_is_raised_and_the_next_call_asks_it_anew() -> None:
    call: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
    pending = PendingReceive(lambda: Ready(MESSAGE), call)
    asyncio.get_running_loop().call_soon(call.set_exception, OSError("lost"))
    with pytest.raises(OSError, match="lost"):
        await pending.receive()
    assert await pending.receive() == MESSAGE


async def test_a_pending_call_can_be_given_up() -> None:
    call: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
    pending = PendingReceive(lambda: Ready(MESSAGE), call)
    caller = asyncio.create_task(next_of(pending))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    pending.abort()
    assert call.cancelled()
    pending.abort()


def test_what_was_taken_makes_room_for_more() -> None:
    kept = UnreadMessages()
    for character in ("x", "é", "😀"):
        assert kept.put(character * (UNREAD_BYTES // len(character.encode())))
        assert not kept.put("y")
        assert size_of(kept.take()) == UNREAD_BYTES
    assert not kept
