"""Connections that do not keep up: each policy at each bound, and how the connection ends."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from asgi_ws import Encoder, History, Hub, Membership, OutboxLimits
from asgi_ws._asgi import Broadcast, Event
from asgi_ws.testing import VirtualClock

from ..asgi import websocket_scope
from ..outcomes import outcome, told, until
from .peers import Narrator, Peer, accepted_by_hand

BYTES, MESSAGES, AGE = 100, 3, 10.0
LIMITS = OutboxLimits(max_bytes=BYTES, max_messages=MESSAGES, max_age=AGE)
ROOM = "room"
TOO_MANY = [str(number) for number in range(MESSAGES + 2)]

pytestmark = pytest.mark.usefixtures("impatient")


async def stalled(hub: Hub, peer: Peer, overflow: str, room: str = ROOM) -> Membership:
    """Join with a connection whose server has taken one message and takes no more."""
    membership = hub.join(peer.send, room, overflow=overflow)
    peer.stall()
    await hub.publish(room, "stuck")
    return membership


async def publish(hub: Hub, *messages: str, **more: Any) -> None:
    for message in messages:
        await hub.publish(ROOM, message, **more)


async def resumed(peer: Peer, last: str) -> list[str]:
    """Resume, and return the messages that the server has taken, up to `last`."""
    peer.resume()
    await until(lambda: last in peer.taken)
    return peer.taken


# Each bound with messages of which the last or the last two are past it, and what the policies keep.
BOUNDS = {
    "messages": (["1", "2", "3", "4", "5"], ["3", "4", "5"], ["1", "2", "3"]),
    "bytes": (["1" * 50, "2" * 50, "3" * 50], ["2" * 50, "3" * 50], ["1" * 50, "2" * 50]),
    "bytes of UTF-8": (["é" * 25, "2" * 50, "3" * 50], ["2" * 50, "3" * 50], ["é" * 25, "2" * 50]),
    "a message larger than the bound": (["small", "x" * 1000], ["x" * 1000], ["small"]),
}


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "conflate"])
async def test_messages_past_a_bound_are_dropped_and_counted(bound: str, overflow: str) -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    membership = await stalled(hub, peer, overflow)
    published, oldest_dropped, newest_dropped = BOUNDS[bound]
    await publish(hub, *published)
    kept = newest_dropped if overflow == "drop_newest" else oldest_dropped
    found = hub.statistics()
    assert (found.queued_messages, found.queued_bytes) == (len(kept), sum(len(text.encode()) for text in kept))
    assert membership.dropped == found.dropped == len(published) - len(kept)
    assert await resumed(peer, kept[-1]) == ["stuck", *kept]
    assert membership.active


@pytest.mark.parametrize("bound", BOUNDS)
async def test_past_a_bound_a_connection_is_closed_and_its_outbox_freed(bound: str) -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    other = hub.join(Peer().send, ROOM)
    ws = await peer.accepted()
    memberships = [hub.join(ws, ROOM), hub.join(ws, "another")]
    peer.stall()
    published, _, fits = BOUNDS[bound]
    await publish(hub, "stuck", *fits)
    assert [membership.active for membership in memberships] == [True, True]
    await publish(hub, published[-1])
    assert [membership.active for membership in (*memberships, other)] == [False, False, True]
    found = hub.statistics()
    assert (found.rooms, found.members, found.closed) == (1, 1, 1)
    assert (found.queued_messages, found.queued_bytes) == (0, 0)
    assert (ws.close_code, ws.close_reason) == (1013, "too slow")
    # The send that was stuck is cancelled, so that the close frame can go.
    peer.resume()
    await until(lambda: peer.close)
    assert (peer.taken, peer.close) == ([], (1013, "too slow"))
    assert peer.task is not None
    await peer.task


async def test_a_message_that_is_larger_than_the_bound_passes_when_nothing_else_waits() -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    membership = await stalled(hub, peer, "close")
    await publish(hub, "x" * 1000)
    assert await resumed(peer, "x" * 1000) == ["stuck", "x" * 1000]
    assert (membership.active, membership.dropped) == (True, 0)


@pytest.mark.parametrize("overflow", ["close", "drop_oldest", "drop_newest"])
async def test_messages_that_are_too_old_are_dropped_and_counted_or_close(overflow: str) -> None:
    with VirtualClock() as clock:
        hub, peer = Hub(outbox=LIMITS), Peer()
        membership = await stalled(hub, peer, overflow)
        await publish(hub, "1")
        await clock.advance(AGE / 2)
        await publish(hub, "2")
        await clock.advance(AGE / 2 - 0.01)
        assert (membership.active, membership.dropped) == (True, 0)
        await clock.advance(0.02)
        if overflow == "close":
            assert (membership.active, membership.dropped, hub.statistics().closed) == (False, 2, 1)
            peer.die()
            return
        assert (membership.dropped, hub.statistics().queued_messages) == (1, 1)
        await publish(hub, "3")
        await clock.advance(AGE / 2)
        assert (membership.dropped, hub.statistics().queued_messages) == (2, 1)
        peer.resume()
        await clock.settle()
        assert peer.taken == ["stuck", "3"]
        # Nothing waits, so no timer does.
        assert clock.next_timer is None


@pytest.mark.parametrize("start", [0.1, 1234.567, 1e6 / 3])
async def test_whenever_a_message_came_its_age_comes_to_an_end(start: float) -> None:
    """Check start times whose sums and differences round to different sides."""
    with VirtualClock() as clock:
        hub, peer = Hub(outbox=OutboxLimits(max_age=0.3)), Peer()
        await clock.advance(start)
        membership = await stalled(hub, peer, "drop_oldest")
        for number in range(20):
            await publish(hub, str(number))
            await clock.advance(0.07)
        assert membership.dropped == 16
        await clock.advance(0.3)
        assert (membership.dropped, hub.statistics().queued_messages) == (20, 0)


async def test_of_waiting_messages_with_one_key_the_newest_is_sent_in_its_own_place() -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    membership = await stalled(hub, peer, "conflate")
    for text, key in (("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a")):
        await publish(hub, text, key=key)
    assert (membership.dropped, hub.statistics().queued_messages, hub.statistics().queued_bytes) == (2, 2, 4)
    peer.take_one()
    await until(lambda: peer.taken == ["stuck"])
    # Once it is being sent it is not replaced any more.
    await publish(hub, "b2", key="b")
    assert (membership.dropped, hub.statistics().queued_bytes) == (2, 4)
    assert await resumed(peer, "b2") == ["stuck", "b1", "a3", "b2"]


async def test_a_key_means_nothing_in_another_room_without_conflation_and_for_a_message_that_was_dropped() -> None:
    hub, conflating, dropping = Hub(outbox=LIMITS), Peer(), Peer()
    membership = await stalled(hub, conflating, "conflate")
    hub.join(conflating.send, "another", overflow="conflate")
    hub.join(dropping.send, ROOM, overflow="drop_newest")
    dropping.stall()
    await publish(hub, "1", "2", key="a")
    await hub.publish("another", "3", key="a")
    assert membership.dropped == 1
    await publish(hub, "4", "5", "6", key="b")
    await publish(hub, "7", "8")
    await publish(hub, "9", key="a")
    assert membership.dropped == 5
    assert await resumed(conflating, "9") == ["stuck", "7", "8", "9"]
    assert await resumed(dropping, "5") == ["1", "2", "4", "5"]


@pytest.mark.parametrize(
    ("policies", "dropped"),
    [
        # A message that must not be dropped takes the place of one that may; without one it closes.
        (("close", "drop_oldest"), (0, 1)),
        (("drop_newest", "drop_oldest"), (1, 0)),
        (("drop_oldest", "drop_newest"), (1, 0)),
    ],
)
async def test_in_one_outbox_each_room_has_its_policy(policies: tuple[str, str], dropped: tuple[int, int]) -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    first = await stalled(hub, peer, policies[0])
    second = hub.join(peer.send, "another", overflow=policies[1])
    await publish(hub, "1")
    await hub.publish("another", "a")
    await publish(hub, "2", "3")
    assert (first.dropped, second.dropped) == dropped
    if policies[0] == "close":
        await publish(hub, "4")
        assert (first.active, second.active) == (False, False)


async def test_what_was_published_before_a_leave_is_still_sent_and_a_new_membership_goes_on_behind_it() -> None:
    hub, peer = Hub(), Peer()
    membership = await stalled(hub, peer, "close")
    await publish(hub, "before")
    membership.leave()
    await publish(hub, "between")
    assert (hub.statistics().connections, hub.statistics().slow_members) == (0, 1)
    again = hub.join(peer.send, ROOM)
    await publish(hub, "after")
    assert await resumed(peer, "after") == ["stuck", "before", "after"]
    # It is a member still, and can be named.
    await publish(hub, "not for it", exclude=peer.send)
    assert (membership.active, again.active, peer.taken[-1]) == (False, True, "after")


# -- how a connection that is too slow ends


async def test_the_handler_of_a_connection_that_is_too_slow_is_told_in_receive() -> None:
    hub, peer = Hub(outbox=LIMITS), Peer()
    ws = await accepted_by_hand(peer)
    hub.join(ws, ROOM)
    receiving = asyncio.ensure_future(outcome(ws.receive()))
    await asyncio.sleep(0)
    peer.stall()
    await publish(hub, *TOO_MANY)
    assert told(await receiving) == told(await outcome(ws.receive())) == (1013, "too slow")
    peer.resume()
    await until(lambda: peer.close)


@pytest.mark.parametrize("can_abort", [True, False])
async def test_a_close_frame_that_is_not_taken_is_given_up_after_a_second(can_abort: bool) -> None:
    with VirtualClock() as clock:
        hub, peer = Hub(outbox=LIMITS), Peer()
        hub.join(await peer.accepted(can_abort=can_abort), ROOM)
        peer.stall()
        await publish(hub, *TOO_MANY)
        await clock.advance(0.9)
        assert peer.task is not None
        assert not peer.task.done()
        assert hub.statistics().slow_members == 0
        await clock.advance(0.2)
        assert peer.task.done()
        assert (peer.taken, peer.close, peer.is_aborted) == ([], None, can_abort)


@pytest.mark.parametrize("takes_close", [True, False])
async def test_the_block_of_a_foreign_connection_that_is_too_slow_is_cancelled_and_ends_quietly(
    takes_close: bool,
) -> None:
    with VirtualClock() as clock:
        hub, peer, steps = Hub(outbox=LIMITS), Peer(), []
        before = asyncio.all_tasks()

        async def handler() -> None:
            async with hub.join(peer.send, ROOM):
                try:
                    await asyncio.Event().wait()
                finally:
                    steps.append("cleaned up")
            steps.append("after the block")

        handling = asyncio.create_task(handler())
        await clock.settle()
        peer.stall()
        await publish(hub, *TOO_MANY)
        await handling
        assert steps == ["cleaned up", "after the block"]
        if takes_close:
            # The send that was stuck is cancelled, so that the close frame can go.
            peer.resume()
        await clock.advance(1.0)
        assert (peer.taken, peer.close) == ([], (1013, "too slow") if takes_close else None)
        assert asyncio.all_tasks() == before


@pytest.mark.parametrize("error", [RuntimeError, OSError, ValueError])
async def test_a_foreign_server_that_fails_at_a_close_frame_is_let_alone(error: type[Exception]) -> None:
    hub, peer = Hub(), Peer()
    hub.join(peer.send, ROOM)
    peer.error = error
    peer.die()
    before = asyncio.all_tasks()
    assert hub.disconnect(room=ROOM) == 1
    await until(lambda: asyncio.all_tasks() <= before)


async def test_a_connection_that_was_too_slow_may_join_again_at_once() -> None:
    gate, taken = asyncio.Event(), []

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            await gate.wait()
            taken.append(event["text"])

    hub = Hub(outbox=OutboxLimits(max_messages=1))
    first = hub.join(send, ROOM)
    await publish(hub, "stuck", "waits", "too much")
    assert not first.active
    again = hub.join(send, ROOM)
    gate.set()
    await publish(hub, "hello")
    await until(lambda: taken)
    assert (again.active, taken, hub.statistics().connections) == (True, ["hello"], 1)


async def test_on_a_server_that_never_waits_the_rate_is_bounded_and_one_warning_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with VirtualClock() as clock:
        limits = OutboxLimits(max_messages=5, unpaced_bytes_per_second=1000)
        hub, peers = Hub(outbox=limits, overflow="drop_oldest"), [Peer(), Peer()]
        scope = websocket_scope(server="daphne")
        for peer in peers:
            hub.join(await accepted_by_hand(peer, scope), ROOM)
        (warning,) = [record.message for record in caplog.records]
        assert "to 1000 bytes a second" in warning
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
    ws = await peers["ann at work"].accepted()
    hub.leave(peers["ann at work"].send, "all")
    for room in ("all", "work"):
        hub.join(ws, room, identity="ann")
    assert hub.disconnect(identity="ann", room="work", code=4001, reason="fired") == 1
    await until(lambda: peers["ann at work"].close == (4001, "fired"))
    assert [member.connections for member in hub.members("all")] == [1, 1]
    assert hub.disconnect(room="work") == 0
    assert hub.disconnect(identity="ann") == 1
    assert hub.disconnect(room="all") == 1
    await until(lambda: all(peer.close for peer in peers.values()))
    assert [peer.close for peer in peers.values()] == [(1008, ""), (4001, "fired"), (1008, "")]
    assert hub.statistics().connections == 0


# -- servers that say at once that a message has to wait: it waits in the outbox, and nothing is begun for it


class Pushing(Peer):
    """A server whose transport is full until `space` says otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.space = 0
        self.sends: list[Event] = []
        self._may_go = asyncio.Event()

    async def send(self, event: Event) -> None:
        self.sends.append(event)

    def push_broadcast(self, broadcast: Broadcast) -> bool:
        if not self.space:
            return False
        self.space -= 1
        self.taken.append(broadcast.event["text"].rstrip("."))
        return True

    async def broadcast_in_turn(self, take: Callable[[], Broadcast | None]) -> None:
        while not self.space:
            self._may_go.clear()
            await self._may_go.wait()
        broadcast = take()
        if broadcast is not None:
            assert self.push_broadcast(broadcast)

    def free(self, space: int) -> None:
        self.space += space
        self._may_go.set()


@pytest.mark.parametrize(("overflow", "kept"), [("drop_oldest", [4, 5]), ("drop_newest", [1, 2])])
async def test_a_message_that_was_refused_waits_within_the_bounds_of_the_outbox(overflow: str, kept: list[int]) -> None:
    hub, peer = Hub(outbox=LIMITS, overflow=overflow), Pushing()
    membership = hub.join(peer.send, ROOM)
    peer.free(1)
    await publish(hub, *(f"{number}".ljust(50, ".") for number in range(6)))
    found = hub.statistics()
    assert (found.queued_bytes, found.dropped, found.slow_members) == (100, 3, 1)
    peer.free(2)
    await until(lambda: not hub.statistics().slow_members)
    assert [int(text) for text in peer.taken] == [0, *kept]
    assert (membership.dropped, hub.statistics().delivered, peer.sends) == (3, 3, [])
    # Nothing waits, so the next one is pushed at once.
    peer.free(1)
    await publish(hub, "6")
    assert peer.taken[-1] == "6"


@pytest.mark.parametrize(("encoder", "words"), [(Narrator(), ["gap room 1"]), (Encoder(), [])])
async def test_a_notice_of_what_was_dropped_comes_in_its_turn_too(encoder: Encoder, words: list[str]) -> None:
    hub, peer = Hub(outbox=LIMITS, overflow="drop_oldest", history=History(), encoder=encoder), Pushing()
    hub.join(peer.send, ROOM)
    await publish(hub, "1", "2", "3", "4")
    peer.free(10)
    await until(lambda: not hub.statistics().slow_members)
    assert peer.taken[-3:] == ["2", "3", "4"]
    assert peer.taken[-4:-3] == words
    assert (hub.statistics().delivered, peer.sends) == (3, [])


async def test_a_message_that_gets_too_old_while_a_connection_ends_is_not_sent_when_its_turn_comes() -> None:
    with VirtualClock() as clock:
        hub, peer = Hub(outbox=OutboxLimits(max_age=2)), Pushing()
        ws = await accepted_by_hand(peer)
        hub.join(ws, ROOM)
        await publish(hub, "1")
        closing = asyncio.create_task(ws.close(4001))
        await clock.advance(2.1)
        assert (hub.statistics().dropped, closing.done()) == (1, False)
        peer.free(1)
        await clock.settle()
        assert closing.done()
        assert (peer.taken, peer.sends[-1]["code"]) == ([], 4001)


async def test_a_server_that_has_no_turns_to_wait_for_is_sent_what_it_refused() -> None:
    class Refusing(Peer):
        def push_broadcast(self, broadcast: Broadcast) -> bool:
            return False

    hub, peer = Hub(), Refusing()
    hub.join(peer.send, ROOM)
    await hub.publish(ROOM, "hello")
    assert (peer.taken, hub.statistics().delivered) == (["hello"], 1)
