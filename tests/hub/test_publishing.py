"""One order for all members, for any publisher and any number of members, and while members come and go."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from asgi_ws import Encoder, History, Hub, Member, Membership, OutboxLimits
from asgi_ws._asgi import Broadcast, Event
from asgi_ws.brokers import Envelope, MemoryBroker, MemoryStore, RoomEvent

from ..outcomes import until
from .peers import Narrator, Peer, crowd

ROOM = "room"


async def test_text_comes_as_text_and_bytes_come_as_bytes_and_all_members_share_the_event() -> None:
    hub, events = Hub(), []
    for _ in range(3):

        async def send(event: Event) -> None:
            events.append(event)

        hub.join(send, ROOM)
    (taken,), _ = crowd(hub, 1)
    for data in ("text", "", "é", b"bytes", b"", bytearray(b"array"), memoryview(b"view")):
        await hub.publish(ROOM, data)
    await hub.publish_json(ROOM, {"é": 1})
    assert taken == ["text", "", "é", b"bytes", b"", b"array", b"view", '{"é":1}']
    assert len({id(event) for event in events}) == len(taken)


@pytest.mark.parametrize("history", [None, History()], ids=["without a history", "with a history"])
async def test_an_encoder_gets_the_published_event_as_a_value_that_it_cannot_change(history: History | None) -> None:
    events: list[Any] = []

    class Keeping(Encoder):
        def message(self, room: str, event: RoomEvent) -> str | bytes:
            events.append(event)
            return event.envelope.data

    hub = Hub(encoder=Keeping(), history=history)
    hub.join(Peer().send, ROOM)
    position = await hub.publish(ROOM, "hello", key="k")
    (event,) = events
    assert event == RoomEvent(Envelope("hello", "k"), position, event.previous)
    for value, name in ((event, "position"), (event.envelope, "data")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, None)


async def test_whoever_is_excluded_by_connection_or_membership_gets_nothing_and_all_others_do() -> None:
    hub, peer, other = Hub(), Peer(), Peer()
    ws = await peer.accepted()
    mine = hub.join(ws, ROOM)
    elsewhere = hub.join(ws, "another")
    theirs = hub.join(other.send, ROOM)
    for exclude in (ws, mine, elsewhere):
        await hub.publish(ROOM, "mine", exclude=exclude)
        await theirs.publish_json("mine", exclude=exclude)
    # A connection that has left and joined again is the same one, by its membership from before as well.
    mine.leave()
    elsewhere.leave()
    hub.join(ws, ROOM)
    await hub.publish(ROOM, "mine again", exclude=mine)
    await hub.room(ROOM).publish("theirs", exclude=other.send)
    await hub.publish(ROOM, "for all", exclude=Peer().send)
    assert peer.taken == ["theirs", "for all"]
    assert other.taken == ["mine", '"mine"'] * 3 + ["mine again", "for all"]


async def test_a_room_without_members_is_no_error() -> None:
    hub = Hub()
    assert await hub.publish(ROOM, "hello") is None
    assert (hub.members(ROOM), hub.room(ROOM).members()) == ([], [])
    assert (hub.statistics().rooms, hub.statistics().published) == (0, 1)


@pytest.mark.usefixtures("no_slice")
async def test_a_large_room_yields_to_the_loop_and_keeps_one_order() -> None:
    hub = Hub()
    taken, _ = crowd(hub, 2000)
    published: list[str] = []
    iterations = 0

    async def publish(publisher: int) -> None:
        for number in range(3):
            published.append(f"{publisher} {number}")
            await hub.publish(ROOM, published[-1])

    publishing = asyncio.gather(*(publish(publisher) for publisher in range(4)))
    while not publishing.done():
        iterations += 1
        await asyncio.sleep(0)
    await publishing
    assert iterations > 12 * 2000 // 64
    assert all(own == published for own in taken)
    assert hub.statistics().delivered == 12 * 2000


@pytest.mark.usefixtures("no_slice")
async def test_all_rooms_of_a_hub_share_one_time_slice() -> None:
    hub = Hub()
    members = 64 * 4
    for room in ("one", "two", "three"):
        for _ in range(members):
            hub.join(Peer().send, room)
    await asyncio.sleep(0)
    tasks = [asyncio.create_task(hub.publish(room, "hello")) for room in ("one", "two", "three")]
    await asyncio.sleep(0)
    assert hub.statistics().delivered == 3 * 64
    await asyncio.sleep(0)
    # The rest is delivered in one room at a time.
    assert hub.statistics().delivered == 3 * 64 + 1
    await asyncio.wait(tasks)
    assert hub.statistics().delivered == 3 * members


@pytest.mark.usefixtures("no_slice")
async def test_a_large_message_takes_the_time_of_many_members() -> None:
    hub = Hub()
    taken, _ = crowd(hub, 40)
    publishing = asyncio.create_task(hub.publish(ROOM, "." * 64 * 1024))
    await asyncio.sleep(0)
    assert sum(map(len, taken)) == 1
    await publishing
    assert sum(map(len, taken)) == 40


@pytest.mark.usefixtures("no_slice")
async def test_a_publisher_that_is_cancelled_has_published_to_all_or_none() -> None:
    hub = Hub()
    taken, _ = crowd(hub, 500)
    for iterations in range(4):
        publishing = asyncio.create_task(hub.publish(ROOM, str(iterations)))
        for _ in range(iterations):
            await asyncio.sleep(0)
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        await hub.publish(ROOM, "after")
        assert {tuple(own) for own in taken} == {("after",) if iterations == 0 else (str(iterations), "after")}
        for own in taken:
            own.clear()


async def test_a_member_that_leaves_before_its_turn_does_not_get_the_message_though_it_is_in_another_room() -> None:
    hub, second = Hub(), Peer()

    async def first(event: Event) -> None:
        membership.leave()

    hub.join(first, ROOM)
    membership = hub.join(second.send, ROOM)
    hub.join(second.send, "another")
    await hub.publish(ROOM, "hello")
    assert second.taken == []


@pytest.mark.usefixtures("no_slice")
async def test_a_member_that_leaves_during_a_message_may_miss_it_and_one_that_joins_gets_the_next() -> None:
    hub, late = Hub(), Peer()
    taken, memberships = crowd(hub, 500)
    publishing = asyncio.create_task(hub.publish(ROOM, "1"))
    await asyncio.sleep(0)
    assert (taken[0], taken[-1]) == (["1"], [])
    memberships[-1].leave()
    memberships[0].leave()
    hub.join(late.send, ROOM)
    await hub.publish(ROOM, "2")
    assert publishing.done()
    assert (taken[0], taken[-1], taken[1], late.taken) == (["1"], [], ["1", "2"], ["2"])
    last = Peer()
    hub.join(last.send, ROOM)
    await hub.publish(ROOM, "3")
    assert (late.taken, last.taken) == (["2", "3"], ["3"])


async def test_many_publishers_have_one_order_for_slow_members_and_other_processes_too() -> None:
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
    mine = hubs[0].join(Peer().send, "another")
    hubs[1].join(peers[0].send, "another")
    await mine.publish("of one process", exclude=mine)
    assert peers[0].taken[-1] == "of one process"
    assert hubs[0].statistics().delivered == 150


# -- loops around a hub


class Pushing(Peer):
    def push_broadcast(self, broadcast: Broadcast) -> bool:
        return True


def stalled(hub: Hub) -> Membership:
    peer = Peer()
    peer.stall()
    return hub.join(peer.send, ROOM, overflow="drop_newest")


MEMBERS: dict[str, Callable[[Hub], object]] = {
    "nobody": lambda _: None,
    "one that reads": lambda hub: hub.join(Peer().send, ROOM),
    "one that is pushed to": lambda hub: hub.join(Pushing().send, ROOM),
    "one that reads nothing": stalled,
}
CALLS: dict[str, Callable[[Hub], Awaitable[object]]] = {
    "publish": lambda hub: hub.publish(ROOM, "hello"),
    "read": lambda hub: hub.read(ROOM),
    "read without a history": lambda hub: hub.read("without history"),
}


@pytest.mark.usefixtures("no_slice", "no_patience")
@pytest.mark.parametrize(
    ("members", "call"), [*((members, "publish") for members in MEMBERS), *(("nobody", call) for call in CALLS)]
)
async def test_a_loop_around_a_hub_yields_when_the_time_slice_is_over(members: str, call: str) -> None:
    hub = Hub(history=lambda room: History() if room == ROOM else None, outbox=OutboxLimits(max_messages=1))
    MEMBERS[members](hub)
    iterations = 0

    def count() -> None:
        nonlocal iterations
        iterations += 1
        handle[0] = loop.call_soon(count)

    loop = asyncio.get_running_loop()
    handle = [loop.call_soon(count)]
    for _ in range(20):
        await CALLS[call](hub)
    handle[0].cancel()
    # The slice of an iteration begins with its first call.
    assert iterations >= 10


# -- who is in a room


def present(hub: Hub) -> list[tuple[str, object, int]]:
    return [(member.identity, member.info, member.connections) for member in hub.members(ROOM)]


async def test_an_identity_with_several_connections_is_there_once_and_is_announced_once() -> None:
    hub, watcher, phone, laptop = Hub(encoder=Narrator()), Peer(), Peer(), Peer()
    hub.join(watcher.send, ROOM, identity="watcher", info="watcher")
    first = hub.join(phone.send, ROOM, identity="ann", info="ann")
    second = hub.join(laptop.send, ROOM, identity="ann", info="Ann")
    assert present(hub) == [("watcher", "watcher", 1), ("ann", "Ann", 2)]
    assert first.members() == hub.room(ROOM).members() == hub.members(ROOM)
    first.leave()
    assert present(hub) == [("watcher", "watcher", 1), ("ann", "Ann", 1)]
    assert watcher.taken == ["join room ann"]
    second.leave()
    assert present(hub) == [("watcher", "watcher", 1)]
    assert watcher.taken == ["join room ann", "leave room Ann"]
    # No member hears of itself, and a second connection of an identity is not another member.
    assert (phone.taken, laptop.taken) == ([], [])


async def test_without_an_identity_each_connection_is_one_and_the_same_in_all_rooms() -> None:
    hub, first, second = Hub(), Peer(), Peer()
    memberships = [hub.join(first.send, ROOM), hub.join(first.send, "another"), hub.join(second.send, ROOM)]
    assert memberships[0].identity == memberships[1].identity != memberships[2].identity
    assert hub.members(ROOM) == [Member(each.identity, None, 1) for each in memberships[::2]]


async def test_an_encoder_that_leaves_joins_and_leaves_to_its_base_says_nothing_of_them() -> None:
    class Counting(Encoder):
        calls = 0

        def join(self, room: str, member: Member) -> str | bytes | None:
            self.calls += 1
            return super().join(room, member)

        def leave(self, room: str, member: Member) -> str | bytes | None:
            self.calls += 1
            return super().leave(room, member)

    for encoder in (Encoder(), counting := Counting()):
        hub, watcher = Hub(encoder=encoder), Peer()
        hub.join(watcher.send, ROOM)
        hub.join(Peer().send, ROOM).leave()
        assert watcher.taken == []
    assert counting.calls == 3


async def test_a_membership_shows_itself_without_a_line_break_that_a_client_chose() -> None:
    membership = Hub().join(Peer().send, "ro\nom", identity="a\nn")
    assert repr(membership) == "<Membership of 'a\\nn' in 'ro\\nom'>"
    membership.leave()
    assert repr(membership) == "<Membership of 'a\\nn' in 'ro\\nom', ended>"
