"""Servers that say at once that a message has to wait: it waits in the outbox, and nothing is begun for it."""

import asyncio
from collections.abc import Callable

import pytest

from asgi_ws import Encoder, History, Hub, OutboxLimits
from asgi_ws._asgi import Broadcast, Event
from asgi_ws.testing import VirtualClock

from ..outcomes import until
from .peers import Narrator, Peer, accepted_by_hand

ROOM = "room"
SIZE = 1000
LIMITS = OutboxLimits(max_bytes=3 * SIZE)


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
        self.taken.append(broadcast.event["text"][:6])
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


async def published(hub: Hub, *numbers: int) -> None:
    for number in numbers:
        await hub.publish(ROOM, f"{number:<6}".ljust(SIZE, "."))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("overflow", "kept"), [("drop_oldest", [3, 4, 5]), ("drop_newest", [1, 2, 3])])
async def test_a_message_that_was_refused_waits_within_the_bounds_of_the_outbox(overflow: str, kept: list[int]) -> None:
    hub, peer = Hub(outbox=LIMITS, overflow=overflow), Pushing()
    membership = hub.join(peer.send, ROOM)
    peer.free(1)
    await published(hub, 0, 1, 2, 3, 4, 5)
    found = hub.statistics()
    assert (found.queued_bytes, found.dropped, found.slow_members) == (3 * SIZE, 2, 1)
    peer.free(2)
    await until(lambda: len(peer.taken) == 3)
    await published(hub, 6)
    peer.free(10)
    await until(lambda: not hub.statistics().slow_members)
    assert [int(text) for text in peer.taken] == [0, *kept, 6]
    assert (membership.dropped, hub.statistics().delivered, peer.sends) == (2, 5, [])
    # Nothing waits, so the next one is pushed at once.
    await published(hub, 7)
    assert int(peer.taken[-1]) == 7


@pytest.mark.usefixtures("impatient")
async def test_a_notice_of_what_was_dropped_comes_in_its_turn_too() -> None:
    for encoder, words in ((Narrator(), ["gap ro"]), (Encoder(), [])):
        hub = Hub(outbox=LIMITS, overflow="drop_oldest", history=History(), encoder=encoder)
        peer = Pushing()
        hub.join(peer.send, ROOM)
        await published(hub, 1, 2, 3, 4)
        peer.free(10)
        await until(lambda: not hub.statistics().slow_members)  # noqa: B023 -- called before the next one
        assert [text.rstrip() for text in peer.taken] == [*words, "2", "3", "4"]
        assert (hub.statistics().delivered, peer.sends) == (3, [])


async def test_what_gets_too_old_while_a_connection_ends_is_not_sent_when_its_turn_comes() -> None:
    with VirtualClock() as clock:
        hub, peer = Hub(outbox=OutboxLimits(max_age=2)), Pushing()
        ws = await accepted_by_hand(peer)
        hub.join(ws, ROOM)
        await published(hub, 1)
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
