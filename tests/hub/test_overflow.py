"""What becomes of a connection that does not keep up: each policy, at each bound."""

import asyncio
from typing import Any

import pytest

from asgi_ws import ConnectionClosed, Hub, Membership, OutboxLimits
from asgi_ws._asgi import Event
from asgi_ws.testing import VirtualClock

from ..asgi import websocket_scope
from ..outcomes import outcome, told, until
from .peers import Peer, accepted_by_hand

BYTES, MESSAGES, AGE = 100, 3, 10.0
LIMITS = OutboxLimits(max_bytes=BYTES, max_messages=MESSAGES, max_age=AGE)
ROOM = "room"

pytestmark = pytest.mark.usefixtures("impatient")


async def stalled(hub: Hub, peer: Peer, overflow: str, room: str = ROOM) -> Membership:
    """A membership of a connection whose server has one message, and takes no more."""
    membership = hub.join(peer.send, room, overflow=overflow)
    peer.stall()
    await hub.publish(room, "stuck")
    return membership


async def publish(hub: Hub, *messages: str, **more: Any) -> None:
    for message in messages:
        await hub.publish(ROOM, message, **more)


async def resumed(peer: Peer, last: str) -> list[str]:
    """What the server takes when it takes messages again."""
    peer.resume()
    await until(lambda: last in peer.taken)
    return peer.taken


# What is published at the bound, and what comes of it with each policy that drops.
AT_THE_BOUND = {
    "messages": (["1", "2", "3", "4", "5"], ["3", "4", "5"], ["1", "2", "3"]),
    "bytes": (["1" * 50, "2" * 50, "3" * 50], ["2" * 50, "3" * 50], ["1" * 50, "2" * 50]),
    "bytes of UTF-8": (["é" * 25, "2" * 50, "3" * 50], ["2" * 50, "3" * 50], ["é" * 25, "2" * 50]),
}


@pytest.mark.parametrize("bound", AT_THE_BOUND)
@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "conflate"])
async def test_what_is_past_a_bound_is_dropped_and_counted(bound: str, overflow: str) -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    membership = await stalled(hub, peer, overflow)
    published, oldest_dropped, newest_dropped = AT_THE_BOUND[bound]
    await publish(hub, *published)
    kept = newest_dropped if overflow == "drop_newest" else oldest_dropped
    found = hub.statistics()
    assert (found.queued_messages, found.queued_bytes) == (len(kept), sum(len(text.encode()) for text in kept))
    assert membership.dropped == found.dropped == len(published) - len(kept)
    assert await resumed(peer, kept[-1]) == ["stuck", *kept]
    assert membership.active


@pytest.mark.parametrize("bound", AT_THE_BOUND)
async def test_up_to_a_bound_nothing_is_dropped_or_closed(bound: str) -> None:
    for overflow in ("close", "drop_oldest", "drop_newest", "conflate"):
        hub, peer = Hub(outbox=LIMITS), Peer()
        membership = await stalled(hub, peer, overflow)
        kept = AT_THE_BOUND[bound][2]
        await publish(hub, *kept)
        assert (membership.active, membership.dropped) == (True, 0)
        assert await resumed(peer, kept[-1]) == ["stuck", *kept]


@pytest.mark.parametrize("bound", AT_THE_BOUND)
async def test_past_a_bound_a_connection_is_closed_and_its_outbox_freed(bound: str) -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    other = hub.join(Peer().send, ROOM)
    ws = await peer.accepted()
    memberships = [hub.join(ws, ROOM), hub.join(ws, "another")]
    peer.stall()
    await publish(hub, "stuck", *AT_THE_BOUND[bound][0])
    assert [membership.active for membership in memberships] == [False, False]
    assert other.active
    found = hub.statistics()
    assert (found.rooms, found.members, found.closed) == (1, 1, 1)
    assert (found.queued_messages, found.queued_bytes) == (0, 0)
    assert (ws.close_code, ws.close_reason) == (1013, "too slow")
    # What was stuck is given up, so that the close frame can go.
    peer.resume()
    await until(lambda: peer.close)
    assert (peer.taken, peer.close) == ([], (1013, "too slow"))
    assert peer.task is not None
    await peer.task


async def test_the_handler_of_a_connection_that_is_too_slow_is_told_in_receive() -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    ws = await accepted_by_hand(peer)
    hub.join(ws, ROOM)
    receiving = asyncio.ensure_future(outcome(ws.receive()))
    await asyncio.sleep(0)
    peer.stall()
    await publish(hub, *map(str, range(MESSAGES + 2)))
    assert told(await receiving) == (1013, "too slow")
    assert told(await outcome(ws.receive())) == (1013, "too slow")
    peer.resume()
    await ws._finish()


@pytest.mark.parametrize("can_abort", [True, False])
async def test_a_close_frame_that_is_not_taken_is_given_up_after_a_second(can_abort: bool) -> None:
    with VirtualClock() as clock:
        hub, peer = Hub(outbox=LIMITS), Peer()
        hub.join(await peer.accepted(can_abort=can_abort), ROOM)
        peer.stall()
        await publish(hub, *map(str, range(MESSAGES + 2)))
        await clock.advance(0.9)
        assert peer.task is not None
        assert not peer.task.done()
        assert hub.statistics().slow_members == 0
        await clock.advance(0.2)
        assert peer.task.done()
        assert (peer.taken, peer.close, peer.is_aborted) == ([], None, can_abort)


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "conflate"])
async def test_what_is_too_old_is_dropped_and_counted(overflow: str) -> None:
    with VirtualClock() as clock:
        hub, peer = Hub(outbox=LIMITS), Peer()
        membership = await stalled(hub, peer, overflow)
        await publish(hub, "1")
        await clock.advance(AGE / 2)
        await publish(hub, "2")
        await clock.advance(AGE / 2 - 0.01)
        assert membership.dropped == 0
        await clock.advance(0.02)
        assert (membership.dropped, hub.statistics().queued_messages) == (1, 1)
        await publish(hub, "3")
        await clock.advance(AGE / 2)
        assert (membership.dropped, hub.statistics().queued_messages) == (2, 1)
        peer.resume()
        await clock.settle()
        assert peer.taken == ["stuck", "3"]
        # Nothing waits, so nothing watches it.
        assert clock.next_timer is None


async def test_who_has_something_too_old_is_closed() -> None:
    with VirtualClock() as clock:
        hub, peer = Hub(outbox=LIMITS), Peer()
        membership = await stalled(hub, peer, "close")
        await publish(hub, "1")
        await clock.advance(AGE - 0.01)
        assert membership.active
        await clock.advance(0.01)
        assert (membership.active, membership.dropped, hub.statistics().closed) == (False, 1, 1)


@pytest.mark.parametrize("start", [0.1, 1234.567, 98765.4321, 1e6 / 3])
async def test_whenever_a_message_came_its_age_comes_to_an_end(start: float) -> None:
    """A sum and a difference of two times may be rounded to different sides."""
    with VirtualClock() as clock:
        hub, peer = Hub(outbox=OutboxLimits(max_age=0.3)), Peer()
        await clock.advance(start)
        membership = await stalled(hub, peer, "drop_oldest")
        for number in range(20):
            await publish(hub, str(number))
            await clock.advance(0.07)
        await clock.advance(0.3)
        assert (membership.dropped, hub.statistics().queued_messages) == (20, 0)


@pytest.mark.parametrize("overflow", ["close", "drop_oldest", "drop_newest", "conflate"])
async def test_a_message_that_is_larger_than_the_bound_passes_when_nothing_else_waits(overflow: str) -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    membership = await stalled(hub, peer, overflow)
    await publish(hub, "x" * 1000)
    assert (membership.active, membership.dropped) == (True, 0)
    assert await resumed(peer, "x" * 1000) == ["stuck", "x" * 1000]


@pytest.mark.parametrize(("overflow", "kept"), [("drop_oldest", "x" * 1000), ("drop_newest", "small")])
async def test_a_message_that_is_larger_than_the_bound_is_alone_or_not_there(overflow: str, kept: str) -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    membership = await stalled(hub, peer, overflow)
    await publish(hub, "small", "x" * 1000)
    assert membership.dropped == 1
    assert await resumed(peer, kept) == ["stuck", kept]


async def test_of_waiting_messages_with_one_key_the_newest_is_sent_in_its_own_place() -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    membership = await stalled(hub, peer, "conflate")
    for text, key in (("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a")):
        await publish(hub, text, key=key)
    assert (membership.dropped, hub.statistics().queued_messages) == (2, 2)
    assert await resumed(peer, "a3") == ["stuck", "b1", "a3"]
    # What was sent is replaced no more.
    peer.stall()
    await publish(hub, "a4", key="a")
    await publish(hub, "a5", key="a")
    assert (await resumed(peer, "a5"))[-2:] == ["a4", "a5"]
    assert membership.dropped == 2


async def test_a_key_means_nothing_without_conflation_and_no_key_nothing_with_it() -> None:
    hub, conflating, dropping = Hub(outbox=LIMITS), Peer(), Peer()
    await stalled(hub, conflating, "conflate")
    hub.join(dropping.send, ROOM, overflow="drop_newest")
    dropping.stall()
    await publish(hub, "1", "2")
    await publish(hub, "3", "4", key="a")
    assert await resumed(conflating, "4") == ["stuck", "1", "2", "4"]
    assert await resumed(dropping, "4") == ["1", "2", "3", "4"]


async def test_a_key_belongs_to_one_room() -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    await stalled(hub, peer, "conflate")
    hub.join(peer.send, "another", overflow="conflate")
    await publish(hub, "1", key="a")
    await hub.publish("another", "2", key="a")
    assert await resumed(peer, "2") == ["stuck", "1", "2"]


async def test_a_message_that_was_dropped_is_not_replaced_by_one_with_its_key() -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    membership = await stalled(hub, peer, "conflate")
    await publish(hub, "a1", key="a")
    await publish(hub, "1", "2", "3")
    await publish(hub, "a2", key="a")
    assert membership.dropped == 2
    assert await resumed(peer, "a2") == ["stuck", "2", "3", "a2"]


async def mixed(hub: Hub, first: str, second: str) -> tuple[Peer, Membership, Membership]:
    peer = Peer()
    membership = await stalled(hub, peer, first)
    return peer, membership, hub.join(peer.send, "another", overflow=second)


async def test_in_one_outbox_a_message_that_must_not_be_dropped_takes_the_place_of_one_that_may() -> None:
    hub = Hub(outbox=LIMITS)
    _, strict, loose = await mixed(hub, "close", "drop_oldest")
    await publish(hub, "1")
    await hub.publish("another", "a")
    await publish(hub, "2", "3")
    assert (strict.active, strict.dropped, loose.dropped) == (True, 0, 1)
    # Now there is nothing of the kind.
    await publish(hub, "4")
    assert (strict.active, loose.active, strict.dropped) == (False, False, 3)


async def test_in_one_outbox_a_message_that_may_be_dropped_makes_way_for_those_that_must_not() -> None:
    hub = Hub(outbox=LIMITS)
    peer, strict, loose = await mixed(hub, "close", "conflate")
    await publish(hub, "1", "2", "3")
    await hub.publish("another", "a", key="a")
    assert (strict.active, loose.dropped) == (True, 1)
    assert await resumed(peer, "3") == ["stuck", "1", "2", "3"]


async def test_in_one_outbox_a_refused_message_leaves_what_others_have_there() -> None:
    hub = Hub(outbox=LIMITS)
    peer, oldest, newest = await mixed(hub, "drop_oldest", "drop_newest")
    await publish(hub, "1", "2", "3")
    await hub.publish("another", "a")
    assert (oldest.dropped, newest.dropped) == (0, 1)
    assert await resumed(peer, "3") == ["stuck", "1", "2", "3"]


async def test_messages_of_several_rooms_keep_their_order_on_one_connection() -> None:
    hub = Hub()
    peer, _, _ = await mixed(hub, "close", "drop_newest")
    for number in range(20):
        await hub.publish(("room", "another")[number % 3 == 0], str(number))
    assert await resumed(peer, "19") == ["stuck", *map(str, range(20))]


async def test_what_was_published_before_someone_left_is_still_sent_to_him() -> None:
    hub, peer = Hub(), Peer()
    membership = await stalled(hub, peer, "close")
    await publish(hub, "before")
    membership.leave()
    await publish(hub, "after")
    assert (hub.statistics().connections, hub.statistics().slow_members) == (0, 1)
    assert await resumed(peer, "before") == ["stuck", "before"]
    await until(lambda: hub.statistics().slow_members == 0)


async def test_who_comes_back_gets_what_still_waits_and_what_is_new_in_order() -> None:
    hub, peer = Hub(), Peer()
    membership = await stalled(hub, peer, "close")
    await publish(hub, "before")
    membership.leave()
    again = hub.join(peer.send, ROOM)
    await publish(hub, "after")
    assert await resumed(peer, "after") == ["stuck", "before", "after"]
    assert (membership.active, again.active) == (False, True)


async def test_the_block_of_a_foreign_connection_that_is_too_slow_is_cancelled_and_ends_quietly() -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    reached: list[str] = []

    async def handler() -> None:
        async with hub.join(peer.send, ROOM) as membership:
            reached.append("in")
            await asyncio.Event().wait()
            reached.append("never")
        assert not membership.active
        reached.append("out")

    handling = asyncio.create_task(handler())
    await until(lambda: reached)
    peer.stall()
    await publish(hub, *map(str, range(MESSAGES + 2)))
    await handling
    assert reached == ["in", "out"]
    # What was stuck is given up, so that the close frame can go.
    peer.resume()
    await until(lambda: peer.close)
    assert (peer.taken, peer.close) == ([], (1013, "too slow"))


async def test_a_foreign_server_that_takes_no_close_frame_is_let_alone_after_a_second() -> None:
    with VirtualClock() as clock:
        before = asyncio.all_tasks()
        hub, peer = Hub(outbox=LIMITS), Peer()
        await stalled(hub, peer, "close")
        await publish(hub, *map(str, range(MESSAGES + 1)))
        await clock.advance(1.0)
        assert asyncio.all_tasks() == before
        assert (peer.taken, peer.close) == ([], None)


@pytest.mark.parametrize("error", [RuntimeError, OSError, ValueError])
async def test_a_foreign_server_that_fails_at_a_close_frame_is_let_alone(error: type[Exception]) -> None:
    hub, peer = Hub(), Peer()
    hub.join(peer.send, ROOM, identity="ann")
    peer.error = error
    peer.die()
    assert hub.disconnect(identity="ann") == 1
    before = asyncio.all_tasks()
    await until(lambda: len(asyncio.all_tasks()) < len(before))


async def test_on_a_server_that_never_waits_the_rate_is_bounded_and_one_warning_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with VirtualClock() as clock:
        limits = OutboxLimits(max_messages=5, unpaced_bytes_per_second=1000)
        hub, peers = Hub(outbox=limits, overflow="drop_oldest"), [Peer(), Peer()]
        scope = websocket_scope(server="daphne")
        for peer in peers:
            hub.join(await accepted_by_hand(peer, scope), ROOM)
        warnings = [record.message for record in caplog.records]
        assert len(warnings) == 1
        assert "at most 1000 bytes a second" in warnings[0]
        for number in range(10):
            await publish(hub, f"{number}".ljust(500, "."))
        # One second's worth goes at once.
        assert [len(peer.taken) for peer in peers] == [2, 2]
        assert (hub.statistics().queued_messages, hub.statistics().dropped) == (10, 4)
        await clock.advance(1.0)
        assert [len(peer.taken) for peer in peers] == [4, 4]
        await clock.advance(10.0)
        assert [text[0] for text in peers[0].taken] == ["0", "1", "2", "5", "6", "7", "8", "9"]
        assert hub.statistics().slow_members == 0


async def test_disconnect_closes_the_connections_of_an_identity_a_room_or_both() -> None:
    hub = Hub()
    peers = {name: Peer() for name in ("ann at home", "ann at work", "ben")}
    for name, peer in peers.items():
        hub.join(peer.send, "all", identity=name.split()[0])
    hub.join(peers["ann at work"].send, "work", identity="ann")
    assert hub.disconnect(identity="ann", room="work", code=4001, reason="fired") == 1
    await until(lambda: peers["ann at work"].close == (4001, "fired"))
    assert [member.connections for member in hub.members("all")] == [1, 1]
    assert hub.disconnect(room="work") == 0
    assert hub.disconnect(identity="ann") == 1
    assert hub.disconnect(room="all") == 1
    await until(lambda: all(peer.close for peer in peers.values()))
    assert [peer.close for peer in peers.values()] == [(1008, ""), (4001, "fired"), (1008, "")]
    assert hub.statistics().connections == 0


async def test_disconnect_closes_a_websocket_whose_handler_is_told_so() -> None:
    hub, peer = Hub(), Peer()
    ws = await peer.accepted()
    membership = hub.join(ws, ROOM, identity="ann")
    assert hub.disconnect(identity="ann", code=4001, reason="out") == 1
    assert not membership.active
    with pytest.raises(ConnectionClosed) as closed:
        hub.join(ws, ROOM)
    assert closed.value.code == 4001
    assert peer.task is not None
    await peer.task
    assert peer.close == (4001, "out")


async def test_who_was_too_slow_may_join_again_at_once() -> None:
    gate = asyncio.Event()
    taken: list[str] = []

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            await gate.wait()
            taken.append(event["text"])

    hub = Hub(outbox=OutboxLimits(max_messages=1))
    first = hub.join(send, ROOM)
    for text in ("stuck", "waits", "too much"):
        await hub.publish(ROOM, text)
    assert not first.active
    again = hub.join(send, ROOM)
    gate.set()
    await hub.publish(ROOM, "hello")
    await until(lambda: taken)
    assert again.active
    assert taken == ["hello"]
    assert hub.statistics().connections == 1
