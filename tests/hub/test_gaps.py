"""Histories: positions, what was dropped or lost, and where a member is told so."""

import asyncio
from collections.abc import Awaitable

import pytest

from asgi_ws import Encoder, Gap, History, Hub, OutboxLimits, Position
from asgi_ws.brokers.base import BrokerState, HistoryPage, RoomEvent
from asgi_ws.testing import VirtualClock

from ..outcomes import until
from .peers import LossyBroker, Narrator, Peer, SlowBroker

ROOM = "room"

pytestmark = pytest.mark.usefixtures("impatient", "each_task_start")
LIMITS = OutboxLimits(max_messages=3)
KEPT = History(messages=5)


def hub_with(broker: LossyBroker | None = None, overflow: str = "drop_oldest", encoder: Encoder | None = None) -> Hub:
    return Hub(
        broker, history=KEPT, outbox=LIMITS, overflow=overflow, encoder=_OnlyGaps() if encoder is None else encoder
    )


class _OnlyGaps(Encoder):
    def gap(self, gap: Gap) -> str:
        assert gap.room == ROOM
        return f"gap {gap.missed} {gap.top.offset if gap.top else None}"


async def who_missed(hub: Hub, broker: LossyBroker, *texts: str) -> Peer:
    """A member of the room to whom the broker does not bring these messages."""
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


async def test_what_was_dropped_is_announced_in_its_place() -> None:
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
    peer.stall()
    for text in ("stuck", "1", "2", "3", "lost"):
        await hub.publish(ROOM, text)
    peer.take_one()
    await until(lambda: peer.taken)
    for text in ("4", "lost", "lost"):
        await hub.publish(ROOM, text)
    assert membership.dropped == 3
    assert await resumed(peer, 7) == ["stuck", "1", "2", "3", "gap 1 8", "4", "gap 2 8"]


async def test_a_notice_waits_like_a_message_where_the_server_takes_nothing() -> None:
    class Said(_OnlyGaps):
        def gap(self, gap: Gap) -> str:
            # The server of this test lets notices through, unless they look like messages.
            return super().gap(gap).upper()

    hub, peer = hub_with(encoder=Said()), Peer()
    hub.join(peer.send, ROOM)
    peer.stall()
    for text in ("stuck", "1", "2", "3", "4"):
        await hub.publish(ROOM, text)
    peer.take_one()
    await until(lambda: peer.taken)
    # What is dropped while a notice is on its way has a notice of its own.
    await hub.publish(ROOM, "5")
    assert await resumed(peer, 6) == ["stuck", "GAP 1 5", "GAP 1 6", "3", "4", "5"]


async def test_without_a_history_nothing_is_announced() -> None:
    hub, peer = Hub(outbox=LIMITS, overflow="drop_oldest", encoder=Narrator()), Peer()
    membership = hub.join(peer.send, ROOM)
    peer.stall()
    for text in ("stuck", "1", "2", "3", "4", "5"):
        await hub.publish(ROOM, text)
    assert await resumed(peer, 4) == ["stuck", "3", "4", "5"]
    assert membership.dropped == 2


async def test_an_encoder_without_a_word_for_a_gap_says_nothing() -> None:
    hub, peer = hub_with(encoder=Encoder()), Peer()
    hub.join(peer.send, ROOM)
    peer.stall()
    for text in ("stuck", "1", "2", "3", "4"):
        await hub.publish(ROOM, text)
    assert await resumed(peer, 4) == ["stuck", "2", "3", "4"]


async def test_what_is_replaced_by_its_key_is_counted_and_not_announced() -> None:
    hub, peer = hub_with(overflow="conflate"), Peer()
    membership = hub.join(peer.send, ROOM)
    peer.stall()
    await hub.publish(ROOM, "stuck")
    for text in ("1", "2", "3"):
        await hub.publish(ROOM, text, key="a")
    assert membership.dropped == 2
    assert await resumed(peer, 2) == ["stuck", "3"]


async def test_a_position_tells_where_a_message_stands_and_where_a_member_joined() -> None:
    hub = Hub(history=lambda room: History(messages=2) if room == ROOM else None)
    assert await hub.publish("another", "hello") is None
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
    assert peer.taken == ["second", '{"number":3}']
    # Who joins now has a position of now.
    assert hub.join(Peer().send, ROOM).position == third


async def test_after_an_interruption_what_was_missed_is_replayed() -> None:
    broker, peer, excluded = LossyBroker(), Peer(), Peer()
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
    assert hub.broker_state.name == "CONNECTED"
    await until(lambda: len(peer.taken) == 3)
    assert (peer.taken, excluded.taken) == (["1", "2", "3"], ["1", "2"])
    # A second word of it brings nothing twice.
    await broker.recover()
    await hub.publish(ROOM, "4")
    assert (await resumed(peer, 4), excluded.taken) == (["1", "2", "3", "4"], ["1", "2", "4"])


async def test_a_connection_that_left_all_its_rooms_and_joined_again_gets_what_excluded_it_before() -> None:
    broker, peer, excluded = LossyBroker(), Peer(), Peer()
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


async def test_after_an_interruption_what_no_history_has_is_announced_before_what_it_has() -> None:
    broker = LossyBroker()
    hub = hub_with(broker)
    peer = await who_missed(hub, broker, *map(str, range(8)))
    await broker.recover()
    await until(lambda: len(peer.taken) == 6)
    assert peer.taken == ["gap 3 8", "3", "4", "5", "6", "7"]


async def test_after_an_interruption_a_room_without_a_history_is_told_that_nobody_knows() -> None:
    broker = LossyBroker()
    hub = Hub(broker, encoder=_OnlyGaps())
    peer = await who_missed(hub, broker, "lost")
    await broker.recover()
    await until(lambda: peer.taken)
    assert peer.taken == ["gap None None"]


async def test_a_store_that_has_lost_its_history_is_announced_and_gone_on_with() -> None:
    broker, peer = LossyBroker(), Peer()
    hub = hub_with(broker)
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "1")
    broker.losing = True
    broker._store.clear()
    await broker.recover()
    await until(lambda: len(peer.taken) == 2)
    await hub.publish(ROOM, "2")
    broker._store.clear()
    await hub.publish(ROOM, "3")
    await until(lambda: "3" in peer.taken)
    assert peer.taken == ["1", "gap None 0", "2", "gap None 1", "3"]


async def test_a_hole_that_no_broker_speaks_of_is_found_and_filled_at_the_next_message() -> None:
    broker = LossyBroker()
    hub = hub_with(broker)
    peer = await who_missed(hub, broker, "1")
    await broker.recover(says_so=False)
    publishing = [asyncio.create_task(hub.publish(ROOM, text)) for text in ("2", "3")]
    await asyncio.wait(publishing)
    assert peer.taken == ["1", "2", "3"]


@pytest.mark.parametrize("ending", ["leave", "stop"])
async def test_who_publishes_while_a_hole_is_filled_is_not_cancelled_when_the_members_go(ending: str) -> None:
    broker, peer = SlowBroker(), Peer()
    broker.gate.set()
    async with hub_with(broker) as hub:
        membership = hub.join(peer.send, ROOM)
        broker.gate.clear()
        broker.losing = True
        await hub.publish(ROOM, "1")
        await broker.recover(says_so=False)
        publishing = asyncio.create_task(hub.publish(ROOM, "2"))
        await asyncio.sleep(0.0)
        assert not publishing.done()
        if ending == "leave":
            membership.leave()
            assert (await publishing) is not None
    assert (await publishing) is not None
    assert not asyncio.all_tasks() - {asyncio.current_task()}


async def test_a_history_that_cannot_be_read_is_a_hole_that_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(LossyBroker):
        async def read(self, room: str, since: Position | None, limit: int) -> HistoryPage:
            if since is not None:
                raise OSError("no store")
            return await super().read(room, since, limit)

    broker = Broken()
    hub = hub_with(broker)
    peer = await who_missed(hub, broker, "1")
    await broker.recover(says_so=False)
    await hub.publish(ROOM, "2")
    await hub.publish(ROOM, "3")
    assert peer.taken == ["gap 1 2", "2", "3"]
    assert [record.message for record in caplog.records] == [
        "broker failed to read the history of room 'room'; its members may miss messages"
    ]


async def test_more_than_one_page_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asgi_ws.hub.recovery._PAGE", 2)
    broker = LossyBroker()
    hub = hub_with(broker)
    peer = await who_missed(hub, broker, *map(str, range(5)))
    await broker.recover()
    await until(lambda: len(peer.taken) == 5)
    assert peer.taken == ["0", "1", "2", "3", "4"]


async def test_what_a_broker_brings_twice_comes_once() -> None:
    class Doubling(LossyBroker):
        def deliver(self, room: str, event: RoomEvent) -> Awaitable[None] | None:
            super().deliver(room, event)
            return super().deliver(room, event)

    hub, peer = hub_with(Doubling()), Peer()
    hub.join(peer.send, ROOM)
    for text in ("1", "2", "3"):
        await hub.publish(ROOM, text)
    assert peer.taken == ["1", "2", "3"]


async def test_a_publisher_who_gives_up_while_a_hole_is_filled_has_published() -> None:
    broker = SlowBroker()
    hub = hub_with(broker)
    broker.gate.set()
    peer = await who_missed(hub, broker, "1")
    broker.gate.clear()
    await broker.recover(says_so=False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await hub.publish(ROOM, "2")
    broker.gate.set()
    await until(lambda: len(peer.taken) == 2)
    assert peer.taken == ["1", "2"]


async def test_after_an_interruption_an_encoder_without_a_word_for_it_says_nothing() -> None:
    broker = LossyBroker()
    hub = Hub(broker)
    peer = await who_missed(hub, broker, "lost")
    await broker.recover()
    await hub.publish(ROOM, "2")
    await until(lambda: peer.taken)
    assert peer.taken == ["2"]


async def test_what_comes_while_a_room_asks_for_its_position_counts_from_there() -> None:
    broker, peer = SlowBroker(), Peer()
    hub = hub_with(broker)
    hub.join(peer.send, ROOM)
    for text in ("1", "2"):
        await hub.publish(ROOM, text)
    broker.gate.set()
    async with hub.join(Peer().send, ROOM) as second:
        await hub.publish(ROOM, "3")
    assert peer.taken == ["1", "2", "3"]
    assert second.position is not None
    assert second.position.offset == 2


async def test_the_place_of_what_is_missing_does_not_age() -> None:
    limits = OutboxLimits(max_messages=2, max_age=5.0)
    with VirtualClock() as clock:
        hub, peer = Hub(history=KEPT, outbox=limits, overflow="drop_oldest", encoder=_OnlyGaps()), Peer()
        hub.join(peer.send, ROOM)
        peer.stall()
        for text in ("stuck", "1", "2", "3"):
            await hub.publish(ROOM, text)
        await clock.advance(5.0)
        assert hub.statistics().queued_messages == 0
        assert await resumed(peer, 2) == ["stuck", "gap 3 4"]
