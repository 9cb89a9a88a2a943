"""One order for all, whoever publishes, however many there are to get it, and whatever happens meanwhile."""

import asyncio
import time
from typing import Any

import pytest

from asgi_ws import Hub, Membership, MemoryBroker, OutboxLimits
from asgi_ws._asgi import Event
from asgi_ws.brokers.memory import MemoryStore
from asgi_ws.testing import VirtualClock

from ..outcomes import until
from .peers import Peer

ROOM = "room"


@pytest.fixture
def slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that passes by a millisecond whenever it is looked at, so that no turn serves more than a few hundred."""
    now = iter(number / 1000 for number in range(10**9))
    monkeypatch.setattr(time, "thread_time", lambda: next(now))


def crowd(hub: Hub, count: int) -> tuple[list[list[Any]], list[Membership]]:
    """So many members, and what each of them gets."""
    taken: list[list[Any]] = [[] for _ in range(count)]
    memberships = []
    for own in taken:

        async def send(event: Event, own: list[Any] = own) -> None:
            own.append(event.get("text", event.get("bytes")))

        memberships.append(hub.join(send, ROOM))
    return taken, memberships


async def test_text_comes_as_text_and_bytes_come_as_bytes() -> None:
    hub = Hub()
    (taken,), _ = crowd(hub, 1)
    for data in ("text", "", "é", b"bytes", b"", bytearray(b"array"), memoryview(b"view")):
        await hub.publish(ROOM, data)
    await hub.publish_json(ROOM, {"é": 1})
    assert taken == ["text", "", "é", b"bytes", b"", b"array", b"view", '{"é":1}']


async def test_one_event_is_shared_by_all() -> None:
    hub, events = Hub(), []

    for _ in range(3):

        async def send(event: Event) -> None:
            events.append(event)

        hub.join(send, ROOM)
    await hub.publish(ROOM, "hello")
    assert [id(event) for event in events] == [id(events[0])] * 3


async def test_whoever_is_excluded_by_connection_or_membership_gets_nothing_and_all_others_do() -> None:
    hub, peer, other = Hub(), Peer(), Peer()
    ws = await peer.accepted()
    mine = hub.join(ws, ROOM)
    elsewhere = hub.join(ws, "another")
    theirs = hub.join(other.send, ROOM)
    for exclude in (ws, mine, elsewhere):
        await hub.publish(ROOM, "mine", exclude=exclude)
        await theirs.publish("mine", exclude=exclude)
        await theirs.publish_json("mine", exclude=exclude)
    # Whoever has left and is here again is the same connection, by the membership from before as well.
    mine.leave()
    elsewhere.leave()
    hub.join(ws, ROOM)
    await hub.publish(ROOM, "mine again", exclude=mine)
    await hub.room(ROOM).publish("theirs", exclude=other.send)
    await hub.publish(ROOM, "for all", exclude=Peer().send)
    assert peer.taken == ["theirs", "for all"]
    assert other.taken == ["mine", "mine", '"mine"'] * 3 + ["mine again", "for all"]


async def test_a_room_without_members_is_no_error() -> None:
    hub = Hub()
    assert await hub.publish(ROOM, "hello") is None
    assert (hub.members(ROOM), hub.room(ROOM).members()) == ([], [])
    assert (hub.statistics().rooms, hub.statistics().published) == (0, 1)


@pytest.mark.usefixtures("slow_clock")
async def test_a_large_room_lets_the_loop_have_its_turns_and_keeps_one_order() -> None:
    hub = Hub()
    taken, _ = crowd(hub, 5000)
    published: list[str] = []
    turns = 0

    async def publish(publisher: int) -> None:
        for number in range(3):
            published.append(f"{publisher} {number}")
            await hub.publish(ROOM, published[-1])

    publishing = asyncio.gather(*(publish(publisher) for publisher in range(4)))
    while not publishing.done():
        turns += 1
        await asyncio.sleep(0)
    await publishing
    # 12 messages to 5,000 members, of which eleven times 64 are served in one turn.
    assert turns > 12 * 5000 // 64 // 11
    assert all(own == published for own in taken)
    assert hub.statistics().delivered == 12 * 5000


@pytest.mark.usefixtures("slow_clock")
async def test_all_rooms_of_a_hub_share_the_time_of_a_turn() -> None:
    hub = Hub()
    members = 64 * 4
    for room in ("one", "two", "three"):
        for _ in range(members):
            hub.join(Peer().send, room)
    await asyncio.sleep(0)
    tasks = [asyncio.create_task(hub.publish(room, "hello")) for room in ("one", "two", "three")]
    await asyncio.sleep(0)
    assert hub.statistics().delivered < 3 * members
    await asyncio.wait(tasks)
    assert hub.statistics().delivered == 3 * members


@pytest.mark.usefixtures("slow_clock")
async def test_a_publisher_that_is_cancelled_has_published_to_all_or_none() -> None:
    hub = Hub()
    taken, _ = crowd(hub, 2000)
    for turns in range(4):
        publishing = asyncio.create_task(hub.publish(ROOM, str(turns)))
        for _ in range(turns):
            await asyncio.sleep(0)
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        after = str(-turns - 1)
        await hub.publish(ROOM, after)
        assert {tuple(own) for own in taken} in ({(after,)}, {(str(turns), after)})
        assert (taken[0] == [after]) is (turns == 0)
        for own in taken:
            own.clear()


@pytest.mark.usefixtures("slow_clock")
async def test_who_leaves_during_a_message_may_miss_it_and_who_joins_gets_the_next() -> None:
    hub, late = Hub(), Peer()
    taken, memberships = crowd(hub, 2000)
    publishing = asyncio.create_task(hub.publish(ROOM, "1"))
    await asyncio.sleep(0)
    assert (taken[0], taken[-1]) == (["1"], [])
    memberships[-1].leave()
    memberships[0].leave()
    hub.join(late.send, ROOM)
    await hub.publish(ROOM, "2")
    assert publishing.done()
    assert (taken[0], taken[-1], taken[1], late.taken) == (["1"], [], ["1", "2"], ["2"])


@pytest.mark.usefixtures("slow_clock")
async def test_a_hub_that_stops_during_a_message_cancels_nobody() -> None:
    async with Hub() as hub:
        taken, _ = crowd(hub, 2000)
        publishing = [asyncio.create_task(hub.publish(ROOM, text)) for text in ("1", "2")]
        await asyncio.sleep(0)
    assert (taken[0], taken[-1]) == (["1"], [])
    assert [await task for task in publishing] == [None, None]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_many_publish_at_once_comes_in_one_order_also_to_the_slow_and_on_other_processes() -> None:
    store = MemoryStore()
    hubs = [Hub(MemoryBroker(store)) for _ in range(2)]
    peers = [Peer() for _ in range(6)]
    for number, peer in enumerate(peers):
        hubs[number % 2].join(peer.send, ROOM)
    for peer in peers[:3]:
        peer.stall()

    async def publish(publisher: int) -> None:
        for number in range(10):
            await hubs[publisher % 2].publish(ROOM, f"{publisher} {number}")
            await asyncio.sleep(0)

    await asyncio.gather(*map(publish, range(5)))
    for peer in peers:
        peer.resume()
    await until(lambda: all(len(peer.taken) == 50 for peer in peers))
    assert [peer.taken for peer in peers] == [peers[0].taken] * 6
    for publisher in range(5):
        assert [text for text in peers[0].taken if text.startswith(f"{publisher} ")] == [
            f"{publisher} {number}" for number in range(10)
        ]


async def test_an_exclusion_is_of_one_connection_on_all_processes() -> None:
    store = MemoryStore()
    first, second = Hub(MemoryBroker(store)), Hub(MemoryBroker(store))
    mine, theirs = Peer(), Peer()
    membership = first.join(mine.send, ROOM)
    second.join(theirs.send, ROOM)
    await membership.publish("hello", exclude=membership)
    assert (mine.taken, theirs.taken) == ([], ["hello"])
    assert (first.statistics().rooms, second.statistics().published, second.statistics().delivered) == (1, 0, 1)


async def test_who_reads_only_a_little_late_is_given_a_moment_before_a_policy_is_applied() -> None:
    hub, seen = Hub(outbox=OutboxLimits(max_messages=5)), []

    async def next_turn(event: Event) -> None:
        await asyncio.sleep(0)
        seen.append(event["text"])

    membership = hub.join(next_turn, ROOM)
    await asyncio.gather(*(hub.publish(ROOM, str(number)) for number in range(200)))
    await until(lambda: len(seen) == 200)
    assert seen == [str(number) for number in range(200)]
    assert (membership.active, membership.dropped) == (True, 0)


async def test_many_who_read_nothing_together_hold_a_room_no_longer_than_one() -> None:
    with VirtualClock() as clock:
        hub, reader = Hub(outbox=OutboxLimits(max_messages=2), overflow="drop_oldest"), Peer()
        hub.join(reader.send, ROOM)
        peers = [Peer() for _ in range(50)]
        for peer in peers:
            hub.join(peer.send, ROOM)
            peer.stall()
        publishing = asyncio.ensure_future(_publish(hub, 10))
        await clock.advance(0.3)
        assert publishing.done()
        assert len(reader.taken) == 10


async def _publish(hub: Hub, count: int) -> None:
    for number in range(count):
        await hub.publish(ROOM, str(number))
