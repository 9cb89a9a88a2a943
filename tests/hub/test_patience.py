"""Full outboxes in a room: how long it waits for them, all together, before their policies are applied."""

import asyncio

import pytest

from asgi_ws import Hub, OutboxLimits
from asgi_ws._asgi import Event
from asgi_ws.testing import VirtualClock

from ..outcomes import until
from .peers import Peer, join_all

ROOM = "room"
RATE = 200
SECONDS = 4.0
PAUSE = 0.1
LIMITS = OutboxLimits(max_messages=4)


async def burst(hub: Hub, count: int, pause: float = 0.0) -> None:
    for number in range(count):
        await hub.publish(ROOM, str(number))
        if pause:
            await asyncio.sleep(pause)


@pytest.mark.parametrize("slow", [1, 40])
async def test_members_that_stop_reading_in_turn_hold_a_publisher_no_longer_than_one_does(slow: int) -> None:
    with VirtualClock() as clock:
        hub, reader = Hub(outbox=LIMITS, overflow="drop_oldest"), Peer()
        members = [Peer() for _ in range(40)]
        join_all(hub, reader, *members)
        publishing = asyncio.create_task(burst(hub, int(RATE * SECONDS), 1 / RATE))
        for turn in range(int(SECONDS / PAUSE)):
            peer = members[turn % slow]
            peer.stall()
            await clock.advance(PAUSE)
            peer.resume()
        publishing.cancel()
        await asyncio.wait([publishing])
    # A tenth of a second once, then a hundredth of the time, and for each pause what a server takes to write.
    assert len(reader.taken) > RATE * SECONDS * 0.95


async def test_a_member_that_takes_nothing_while_it_is_waited_for_is_not_waited_for_again() -> None:
    with VirtualClock() as clock:
        hub, peer = Hub(outbox=LIMITS, overflow="drop_oldest"), Peer()
        membership = hub.join(peer.send, ROOM)
        peer.stall()
        waited = 0.0
        for number in range(100):
            publishing = asyncio.create_task(hub.publish(ROOM, str(number)))
            await clock.settle()
            while not publishing.done():
                await clock.advance(0.01)
                waited += 0.01
            await clock.advance(1.0)
            if number == 50:
                assert 0.09 < waited < 0.12
                # It takes one, and so it may be waited for again.
                peer.take_one()
        assert 0.19 < waited < 0.22
        assert membership.dropped > 0
        peer.die()


@pytest.mark.parametrize("seconds", [0, 0.001])
async def test_a_burst_closes_no_member_that_reads_though_others_have_used_up_the_patience_of_the_room(
    seconds: float,
) -> None:
    taken: list[str] = []

    async def slow_server(event: Event) -> None:
        # It writes what it holds in an iteration soon after, and only then takes more.
        await asyncio.sleep(seconds)
        await asyncio.sleep(0)
        taken.append(event["text"])

    with VirtualClock() as clock:
        hub, stuck = Hub(outbox=LIMITS), Peer()
        hub.join(stuck.send, ROOM, overflow="drop_oldest")
        stuck.stall()
        reading = hub.join(slow_server, ROOM)
        publishing = asyncio.create_task(burst(hub, 100))
        await clock.advance(0.4)
        assert publishing.done()
        assert (reading.active, len(taken)) == (True, 100)
        stuck.die()


async def test_a_wait_ends_when_all_have_taken_something_or_are_gone() -> None:
    with VirtualClock() as clock:
        hub, peers = Hub(outbox=LIMITS), [Peer() for _ in range(3)]
        memberships = [hub.join(peer.send, room) for peer in peers for room in (ROOM, "another")]
        for peer in peers:
            peer.stall()
        await burst(hub, 5)
        publishing = [asyncio.create_task(hub.publish(room, "6")) for room in (ROOM, "another")]
        await clock.settle()
        # Space for both rooms.
        for _ in range(2):
            peers[0].take_one()
            await clock.settle()
        peers[1].die()
        await clock.settle()
        assert not any(task.done() for task in publishing)
        peers[2].resume()
        await clock.settle()
        assert all(task.done() for task in publishing)
        assert [membership.active for membership in memberships] == [True, True, False, False, True, True]
        assert peers[2].taken == ["0", "1", "2", "3", "4", "6", "6"]
        peers[0].resume()
        await until(lambda: len(peers[0].taken) == 7)


async def test_a_wait_goes_on_until_there_is_space_for_the_whole_message() -> None:
    with VirtualClock() as clock:
        hub, peer = Hub(outbox=OutboxLimits(max_bytes=4)), Peer()
        membership = hub.join(peer.send, ROOM)
        peer.stall()
        await burst(hub, 5)
        publishing = asyncio.create_task(hub.publish(ROOM, "6" * 3))
        for _ in range(3):
            await clock.settle()
            assert not publishing.done()
            peer.take_one()
        await clock.settle()
        assert publishing.done()
        assert membership.active
        peer.die()


async def test_a_stop_ends_a_wait() -> None:
    with VirtualClock() as clock:
        async with Hub(outbox=LIMITS) as hub:
            peer = Peer()
            hub.join(peer.send, ROOM)
            peer.stall()
            await burst(hub, 5)
            publishing = asyncio.create_task(hub.publish(ROOM, "6"))
            await clock.settle()
            assert not publishing.done()
        assert await publishing is None
        assert clock.next_timer is None
