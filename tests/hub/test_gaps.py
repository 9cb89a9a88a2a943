"""Histories: positions, dropped or lost messages, and the gap notices of members."""

import asyncio
from collections.abc import Awaitable

import pytest

from asgi_ws import Encoder, Gap, History, Hub, OutboxLimits, Position
from asgi_ws.brokers import BrokerState, HistoryPage, MemoryStore, RoomEvent
from asgi_ws.testing import VirtualClock

from ..outcomes import until
from .peers import Gaps, Peer, ScriptedBroker

ROOM = "room"
each_start = pytest.mark.usefixtures("each_task_start")
KEPT = History(messages=5)

pytestmark = pytest.mark.usefixtures("impatient")


def hub_with(
    broker: ScriptedBroker | None = None, overflow: str = "drop_oldest", encoder: Encoder | None = None
) -> Hub:
    limits = OutboxLimits(max_messages=3, max_age=5.0)
    return Hub(broker, history=KEPT, outbox=limits, overflow=overflow, encoder=encoder or Gaps())


async def missing(hub: Hub, broker: ScriptedBroker, *texts: str) -> Peer:
    """Join a room, and let the broker lose these messages."""
    peer = Peer()
    hub.join(peer.send, ROOM)
    broker.losing = True
    for text in texts:
        await hub.publish(ROOM, text)
    return peer


async def resumed(peer: Peer, count: int) -> list[str]:
    peer.resume()
    await until(lambda: len(peer.taken) >= count)
    await asyncio.sleep(0)
    return peer.taken


# -- what was dropped


async def test_dropped_messages_are_announced_in_their_place() -> None:
    hub, oldest, newest = hub_with(), Peer(), Peer()
    hub.join(oldest.send, ROOM)
    hub.join(newest.send, ROOM, overflow="drop_newest")
    oldest.stall()
    newest.stall()
    for text in ("stuck", "1", "2", "3", "4", "5"):
        await hub.publish(ROOM, text)
    assert await resumed(oldest, 5) == ["stuck", "gap 2 6", "3", "4", "5"]
    assert await resumed(newest, 5) == ["stuck", "1", "2", "3", "gap 2 6"]


async def test_each_place_has_a_notice_of_its_own() -> None:
    hub, peer = hub_with(overflow="drop_newest"), Peer()
    membership = hub.join(peer.send, ROOM)
    hub.join(peer.send, "another")
    peer.stall()

    async def take_one() -> None:
        taken = len(peer.taken)
        peer.take_one()
        await until(lambda: len(peer.taken) > taken)

    for text in ("stuck", "1", "2", "3", "lost", "lost"):
        await hub.publish(ROOM, text)
    await take_one()
    await hub.publish("another", "a")
    await hub.publish(ROOM, "lost")
    for _ in range(3):
        await take_one()
    # The first notice is sent, and nothing of this room waits.
    for text in ("b", "c", "d"):
        await hub.publish("another", text)
    await hub.publish(ROOM, "lost")
    assert membership.dropped == 4
    expected = ["stuck", "1", "2", "3", "gap 3 7", "a", "b", "c", "d", "gap 1 8"]
    assert await resumed(peer, len(expected)) == expected


async def test_a_notice_waits_like_a_message_and_has_another_one_behind_it() -> None:
    class Loud(Gaps):
        def gap(self, gap: Gap) -> str:
            # The server of this test lets notices through, unless they look like messages.
            return super().gap(gap).upper()

    hub, peer = hub_with(encoder=Loud()), Peer()
    hub.join(peer.send, ROOM)
    peer.stall()
    for text in ("stuck", "1", "2", "3", "4"):
        await hub.publish(ROOM, text)
    peer.take_one()
    await until(lambda: peer.taken)
    await hub.publish(ROOM, "5")
    assert await resumed(peer, 6) == ["stuck", "GAP 1 5", "GAP 1 6", "3", "4", "5"]


@pytest.mark.parametrize("hub", [lambda: Hub(outbox=OutboxLimits(max_messages=3)), lambda: hub_with(encoder=Encoder())])
async def test_without_a_history_or_a_word_for_it_nothing_is_announced(hub: "type[Hub]") -> None:
    room, peer = hub(), Peer()
    membership = room.join(peer.send, ROOM, overflow="drop_oldest")
    peer.stall()
    for text in ("stuck", "1", "2", "3", "4", "5"):
        await room.publish(ROOM, text)
    assert await resumed(peer, 4) == ["stuck", "3", "4", "5"]
    assert membership.dropped == 2


async def test_what_is_replaced_by_its_key_is_counted_and_not_announced() -> None:
    hub, peer = hub_with(overflow="conflate"), Peer()
    membership = hub.join(peer.send, ROOM)
    peer.stall()
    await hub.publish(ROOM, "stuck")
    for text in ("1", "2", "3"):
        await hub.publish(ROOM, text, key="a")
    assert membership.dropped == 2
    assert await resumed(peer, 2) == ["stuck", "3"]


async def test_the_place_of_what_is_missing_does_not_age() -> None:
    with VirtualClock() as clock:
        hub, peer = hub_with(), Peer()
        hub.join(peer.send, ROOM)
        peer.stall()
        for text in ("stuck", "1", "2", "3", "4"):
            await hub.publish(ROOM, text)
        await clock.advance(5.0)
        assert hub.statistics().queued_messages == 0
        assert await resumed(peer, 2) == ["stuck", "gap 4 5"]


# -- what was published and did not come


async def test_a_position_tells_where_a_message_stands_and_where_a_member_joined() -> None:
    hub = Hub(history=lambda room: History(messages=2) if room == ROOM else None)
    assert await hub.publish("another", "hello") is None
    assert await hub.read("another") == HistoryPage((), None)
    first = await hub.publish(ROOM, "first")
    assert first is not None
    assert first.offset == 1
    peer = Peer()
    membership = hub.join(peer.send, ROOM)
    assert membership.position == first
    assert hub.join(peer.send, "another").position is None
    second = await membership.publish("second")
    third = await hub.room(ROOM).publish_json({"number": 3})
    assert (second, third) == (Position(first.epoch, 2), Position(first.epoch, 3))
    page = await hub.read(ROOM, first)
    assert [event.envelope.data for event in page.events] == ["second", '{"number":3}']
    assert (page.top, page.follows(first)) == (third, True)
    assert await hub.room(ROOM).read(limit=1) == HistoryPage(page.events[-1:], third)
    # A member that joins now has a position of now.
    assert hub.join(Peer().send, ROOM).position == third


@each_start
async def test_after_an_interruption_what_was_missed_is_replayed() -> None:
    broker, peer, excluded = ScriptedBroker(), Peer(), Peer()
    hub = hub_with(broker)
    hub.join(peer.send, ROOM)
    hub.join(excluded.send, ROOM)
    await hub.publish(ROOM, "1")
    broker.losing = True
    assert hub.broker_state is BrokerState.INTERRUPTED
    await hub.publish(ROOM, "2")
    await hub.publish(ROOM, "3", exclude=excluded.send)
    assert peer.taken == ["1"]
    await broker.recover()
    await until(lambda: len(peer.taken) == 3)
    # A second word of it brings nothing twice.
    await broker.recover()
    await hub.publish(ROOM, "4")
    await until(lambda: len(peer.taken) == 4)
    assert (peer.taken, excluded.taken) == (["1", "2", "3", "4"], ["1", "2", "4"])


async def test_a_connection_that_left_all_its_rooms_and_joined_again_gets_what_excluded_it_before() -> None:
    broker, peer, excluded = ScriptedBroker(), Peer(), Peer()
    hub = hub_with(broker)
    hub.join(peer.send, ROOM)
    membership = hub.join(excluded.send, "other")
    broker.losing = True
    await hub.publish(ROOM, "1", exclude=excluded.send)
    membership.leave()
    hub.join(excluded.send, ROOM)
    await hub.publish(ROOM, "2", exclude=excluded.send)
    await broker.recover()
    await until(lambda: len(peer.taken) == 2)
    assert (peer.taken, excluded.taken) == (["1", "2"], ["1"])


async def test_what_no_history_has_is_announced_before_what_it_has() -> None:
    broker = ScriptedBroker()
    hub = hub_with(broker)
    peer = await missing(hub, broker, *map(str, range(8)))
    await broker.recover()
    await until(lambda: len(peer.taken) == 6)
    assert peer.taken == ["gap 3 8", "3", "4", "5", "6", "7"]


async def test_more_than_one_page_is_read() -> None:
    broker = ScriptedBroker()
    hub = Hub(broker, history=History(messages=2000))
    peer = await missing(hub, broker, *map(str, range(1100)))
    await broker.recover()
    await until(lambda: len(peer.taken) >= 1100)
    assert peer.taken == [str(number) for number in range(1100)]


@pytest.mark.parametrize(("encoder", "notices"), [(Gaps(), ["gap None None"]), (Encoder(), [])])
async def test_after_an_interruption_a_room_without_a_history_is_told_that_nobody_knows(
    encoder: Encoder, notices: list[str]
) -> None:
    broker = ScriptedBroker()
    hub = Hub(broker, encoder=encoder)
    peer = await missing(hub, broker, "lost")
    await broker.recover()
    await hub.publish(ROOM, "2")
    await until(lambda: "2" in peer.taken)
    assert peer.taken == [*notices, "2"]


async def test_a_store_that_has_lost_its_history_is_announced_and_gone_on_with() -> None:
    store = MemoryStore()
    broker, peer = ScriptedBroker(store), Peer()
    hub = hub_with(broker)
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "1")
    broker.losing = True
    store.clear()
    await broker.recover()
    await until(lambda: len(peer.taken) == 2)
    await hub.publish(ROOM, "2")
    store.clear()
    await hub.publish(ROOM, "3")
    await until(lambda: "3" in peer.taken)
    assert peer.taken == ["1", "gap None 0", "2", "gap None 1", "3"]


@each_start
@pytest.mark.parametrize("can_read", [True, False])
async def test_a_hole_that_no_broker_speaks_of_is_found_at_the_next_message_and_filled_or_announced(
    can_read: bool, caplog: pytest.LogCaptureFixture
) -> None:
    broker = ScriptedBroker()
    hub = hub_with(broker)
    peer = await missing(hub, broker, "1")
    await broker.recover(says_so=False)
    if not can_read:
        broker.failing.add("read")
    await asyncio.wait([asyncio.create_task(hub.publish(ROOM, text)) for text in ("2", "3")])
    await hub.publish(ROOM, "4")
    assert peer.taken == (["1"] if can_read else ["gap 1 2"]) + ["2", "3", "4"]
    told = "broker failed to read the history of room 'room'; its members may miss messages"
    assert [record.message for record in caplog.records] == ([] if can_read else [told])


async def test_what_a_broker_brings_twice_comes_once() -> None:
    class Doubling(ScriptedBroker):
        def deliver(self, room: str, event: RoomEvent) -> Awaitable[None]:
            super().deliver(room, event)
            return super().deliver(room, event)

    hub, peer = hub_with(Doubling()), Peer()
    hub.join(peer.send, ROOM)
    for text in ("1", "2", "3"):
        await hub.publish(ROOM, text)
    assert peer.taken == ["1", "2", "3"]


def reading_slowly() -> ScriptedBroker:
    """Return a broker whose gate, open at first, delays histories; each is read at the time of its request."""
    broker = ScriptedBroker()
    broker.gates["read"] = asyncio.Event()
    broker.gates["read"].set()
    return broker


@each_start
@pytest.mark.parametrize("ending", ["leave", "stop", "give up"])
async def test_a_publisher_that_waits_while_a_hole_is_filled_has_published_whoever_ends(ending: str) -> None:
    broker, before = reading_slowly(), asyncio.all_tasks()
    async with hub_with(broker) as hub:
        peer = await missing(hub, broker, "1")
        broker.gates["read"].clear()
        await broker.recover(says_so=False)
        publishing = asyncio.create_task(hub.publish(ROOM, "2"))
        await asyncio.sleep(0)
        assert not publishing.done()
        if ending == "leave":
            hub.leave(peer.send, ROOM)
            assert await publishing is not None
        elif ending == "give up":
            publishing.cancel()
            broker.gates["read"].set()
            await until(lambda: peer.taken == ["1", "2"])
    await asyncio.wait([publishing])
    assert publishing.cancelled() is (ending == "give up")
    await until(lambda: asyncio.all_tasks() == before)


@each_start
@pytest.mark.parametrize("when", ["while a history is read", "while what came meanwhile is passed on"])
async def test_an_interruption_while_the_last_one_is_made_good_is_made_good_too(when: str) -> None:
    broker, peer = reading_slowly(), Peer()
    hub = hub_with(broker)
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "1")
    broker.losing = True
    if when == "while a history is read":
        broker.gates["read"].clear()
        await hub.publish(ROOM, "2")
        await broker.recover()
        await asyncio.sleep(0)
        broker.losing = True
        await hub.publish(ROOM, "3")
        await broker.recover()
        broker.gates["read"].set()
    else:
        await hub.publish(ROOM, "2")
        await broker.recover(says_so=False)
        publishing = [asyncio.create_task(hub.publish(ROOM, "3"))]
        await asyncio.sleep(0)
        broker.losing = True
        publishing.append(asyncio.create_task(hub.publish(ROOM, "4")))
        await asyncio.sleep(0)
        await broker.recover()
        await asyncio.wait(publishing)
    await until(lambda: len(peer.taken) >= 3 + (when != "while a history is read"))
    assert peer.taken == ["1", "2", "3", "4"][: len(peer.taken)]


@each_start
async def test_what_comes_while_a_room_asks_for_its_position_counts_from_there() -> None:
    broker, peer = reading_slowly(), Peer()
    broker.gates["read"].clear()
    hub = hub_with(broker)
    hub.join(peer.send, ROOM)
    for text in ("1", "2"):
        await hub.publish(ROOM, text)
    broker.gates["read"].set()
    async with hub.join(Peer().send, ROOM) as second:
        await hub.publish(ROOM, "3")
    assert peer.taken == ["1", "2", "3"]
    assert second.position is not None
    assert second.position.offset == 2
