"""`publish_from_thread`, and what is refused in other threads and loops. See `test_foreign` for synchronous views."""

import asyncio
import re
import threading
from typing import Any

import pytest

from asgi_ws import History, Hub, HubNotRunning, InvalidMessage, InvalidRoom, Membership, WrongLoop
from tests.hanging import HANGING

from .peers import Peer, join_all

ROOM = "room"


async def test_a_thread_publishes_what_publish_takes_and_waits_for_the_position() -> None:
    peer, other = Peer(), Peer()
    async with Hub(history=History()) as hub:
        membership = hub.join(peer.send, ROOM)
        hub.join(other.send, ROOM)
        first = await asyncio.to_thread(hub.publish_from_thread, ROOM, "x", exclude=membership, key="k")
        second = await asyncio.to_thread(hub.publish_from_thread, ROOM, b"y", exclude=other.send)
        assert (peer.taken, other.taken) == (["y"], ["x"])
        assert [position.offset for position in (first, second) if position is not None] == [1, 2]


async def test_many_threads_come_in_one_order_each_in_its_own_and_a_slow_member_holds_none() -> None:
    peers, stuck = [Peer() for _ in range(3)], Peer()

    def publish(hub: Hub, thread: int) -> None:
        for number in range(100):
            hub.publish_from_thread(ROOM, f"{thread} {number}")

    async with Hub() as hub:
        hub.join(stuck.send, ROOM)
        stuck.stall()
        join_all(hub, *peers)
        await asyncio.gather(*(asyncio.to_thread(publish, hub, thread) for thread in range(4)))
    first, *others = [peer.taken for peer in peers]
    assert others == [first] * 2
    for thread in range(4):
        assert [each for each in first if each.startswith(f"{thread} ")] == [f"{thread} {n}" for n in range(100)]


async def test_a_hub_that_has_not_started_or_has_stopped_and_its_own_thread_are_refused() -> None:
    hub = Hub()
    with pytest.raises(HubNotRunning, match=re.escape("start it with App(lifespan=[hub])")):
        await asyncio.to_thread(hub.publish_from_thread, ROOM, "x")
    async with hub:
        with pytest.raises(WrongLoop, match=r"await publish\(\)"):
            hub.publish_from_thread(ROOM, "x")
        await asyncio.to_thread(hub.publish_from_thread, ROOM, "x")
    with pytest.raises(HubNotRunning):
        await asyncio.to_thread(hub.publish_from_thread, ROOM, "x")
    assert hub.statistics().published == 1


def test_a_hub_whose_loop_has_ended_refuses() -> None:
    hub = Hub()
    # The hub is not stopped.
    asyncio.run(hub.publish(ROOM, "x"))
    with pytest.raises(HubNotRunning):
        hub.publish_from_thread(ROOM, "x")


@pytest.mark.parametrize(("room", "data", "error"), [("", "x", InvalidRoom), (ROOM, 1, InvalidMessage)])
async def test_a_mistake_is_raised_in_the_thread(room: str, data: Any, error: type[Exception]) -> None:
    async with Hub() as hub:
        with pytest.raises(error):
            await asyncio.to_thread(hub.publish_from_thread, room, data)


async def test_where_the_loop_has_no_time_it_gives_up_and_nothing_is_published() -> None:
    peer = Peer()
    is_blocked, has_given_up = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def publish(hub: Hub) -> None:
        is_blocked.wait(HANGING)
        try:
            hub.publish_from_thread(ROOM, "late", timeout=0.05)
        except TimeoutError as error:
            errors.append(error)
        has_given_up.set()

    async with Hub() as hub:
        hub.join(peer.send, ROOM)
        thread = threading.Thread(target=publish, args=[hub])
        thread.start()
        # Block the loop, as a handler does that calculates or makes a synchronous call.
        is_blocked.set()
        assert has_given_up.wait(HANGING)
        await asyncio.to_thread(thread.join)
        await asyncio.to_thread(hub.publish_from_thread, ROOM, "in time")
    assert len(errors) == 1
    assert peer.taken == ["in time"]


# -- other loops, and threads without one


async def test_publish_in_another_thread_is_refused_and_says_what_to_call() -> None:
    def step() -> None:
        with pytest.raises(WrongLoop, match="publish_from_thread"):
            publishing.send(None)

    async with Hub() as hub:
        with pytest.raises(WrongLoop, match="publish_from_thread"):
            await asyncio.to_thread(asyncio.run, hub.publish(ROOM, "x"))
        publishing = hub.publish(ROOM, "x")
        await asyncio.to_thread(step)
        assert hub.statistics().published == 0


def test_a_hub_is_used_in_one_loop() -> None:
    hub = Hub()

    async def elsewhere() -> None:
        told = "in each loop a hub of its own"
        with pytest.raises(WrongLoop, match=told):
            hub.join(Peer().send, ROOM)
        with pytest.raises(WrongLoop, match=told):
            await hub.publish(ROOM, "hello")
        with pytest.raises(WrongLoop, match=told):
            await hub.read(ROOM)

    async def here() -> None:
        await hub.publish(ROOM, "hello")
        await asyncio.to_thread(asyncio.run, elsewhere())

    asyncio.run(here())
    with pytest.raises(WrongLoop, match=r"from another thread use publish_from_thread\(\)"):
        hub.join(Peer().send, ROOM)


async def test_to_leave_is_for_the_hub_s_loop_alone_and_elsewhere_nothing_happens() -> None:
    hub, peer = Hub(), Peer()
    membership = hub.join(peer.send, ROOM)

    async def elsewhere() -> None:
        membership.leave()

    for leave in (membership.leave, lambda: hub.leave(peer.send, ROOM), lambda: asyncio.run(elsewhere())):
        with pytest.raises(WrongLoop, match=r"leave\(\): .* loop.call_soon_threadsafe\(membership.leave\)"):
            await asyncio.to_thread(leave)
    assert membership.active
    await hub.publish(ROOM, "hello")
    assert peer.taken == ["hello"]


def test_a_membership_whose_loop_is_closed_may_be_left_anywhere() -> None:
    hub = Hub()

    async def join() -> Membership:
        return hub.join(Peer().send, ROOM)

    membership = asyncio.run(join())
    membership.leave()
    assert not membership.active
