"""Moments that seldom come: two things that end at once, and brokers that end in the middle."""

import asyncio

import pytest

from asgi_ws import History, Hub, MemoryBroker
from asgi_ws._asgi import Event
from asgi_ws.brokers.base import HistoryPage

from ..outcomes import outcome, until
from .peers import Narrator, Peer

ROOM = "room"


class Gated(MemoryBroker):
    """A broker that changes its subscriptions when a test lets it, and then fails where that says so."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.fails = False

    async def subscribe(self, room: str) -> None:
        await self.gate.wait()
        if self.fails:
            raise OSError("no store")
        await super().subscribe(room)

    async def unsubscribe(self, room: str) -> None:
        await self.gate.wait()
        await super().unsubscribe(room)

    async def stop(self) -> None:
        await super().stop()
        if self.fails:
            raise OSError("no store")


async def test_a_hub_that_stops_during_a_message_waits_for_its_broker_and_cancels_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("asgi_ws.delivery._SLICE_SECONDS", 0.0)
    broker = Gated()
    broker.gate.set()
    async with Hub(broker) as hub:
        peers = [Peer() for _ in range(200)]
        for peer in peers:
            hub.join(peer.send, ROOM)
        publishing = [asyncio.create_task(hub.publish(ROOM, text)) for text in ("1", "2")]
        await asyncio.sleep(0)
        broker.gate.clear()
        asyncio.get_running_loop().call_later(0.01, broker.gate.set)
    assert (peers[0].taken, peers[-1].taken) == (["1"], [])
    assert [await task for task in publishing] == [None, None]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_all_who_wait_for_a_subscription_are_told_that_it_failed() -> None:
    broker = Gated()
    hub = Hub(broker)

    async def enter() -> None:
        async with hub.join(Peer().send, ROOM):
            raise AssertionError

    entering = [asyncio.create_task(enter()) for _ in range(3)]
    await until(lambda: len(hub.members(ROOM)) == 3)
    entering[2].cancel()
    broker.fails = True
    broker.gate.set()
    assert [type(await outcome(task)) for task in entering[:2]] == [OSError, OSError]
    assert hub.members(ROOM) == []
    assert hub._running is not None
    await until(lambda: hub._running is not None and not hub._running.rooms)


def test_a_broker_that_cannot_be_stopped_in_another_loop_is_started_there_all_the_same() -> None:
    broker = Gated()
    hub = Hub(broker)
    asyncio.run(hub.publish(ROOM, "hello"))
    broker.fails = True
    asyncio.run(hub.publish(ROOM, "hello"))
    assert hub.statistics().published == 2


def test_a_loop_that_ends_in_the_turn_of_a_message_is_no_error() -> None:
    async def main() -> list[str]:
        hub, peer = Hub(), Peer()
        hub.join(peer.send, ROOM)
        await hub.publish(ROOM, "hello")
        return peer.taken

    assert asyncio.run(main()) == ["hello"]


async def test_a_room_without_a_history_has_nothing_to_read() -> None:
    hub = Hub(history=lambda room: History() if room == ROOM else None)
    await hub.publish("another", "hello")
    assert await hub.read("another") == HistoryPage((), None)


async def test_a_message_that_comes_in_the_moment_of_a_failure_goes_to_those_who_are_left() -> None:
    """The one who fails leaves two rooms, and the next to fail, who is in the second, makes a message there."""
    hub, watcher = Hub(encoder=Narrator()), Peer()
    failing = [Peer(), Peer()]
    for room in ("one", "two"):
        for number, peer in enumerate(failing):
            hub.join(peer.send, room, info=number)
        hub.join(watcher.send, room, info="watcher")
    for peer in (*failing, watcher):
        peer.taken.clear()
    for peer in failing:
        peer.die()
    await hub.publish("one", "hello")
    assert sorted(watcher.taken) == ["hello", "leave one 0", "leave one 1", "leave two 0", "leave two 1"]
    assert hub.statistics().members == 2


async def test_of_two_who_disconnect_each_other_in_one_message_neither_gets_another() -> None:
    hub, watcher = Hub(), Peer()
    closes: list[str] = []

    def ending(own: str, other: str) -> None:
        async def send(event: Event) -> None:
            if event["type"] == "websocket.close":
                closes.append(own)
            else:
                hub.disconnect(identity=other)

        hub.join(send, ROOM, identity=own)

    ending("ann", "ben")
    ending("ben", "ann")
    hub.join(watcher.send, ROOM, identity="watcher")
    await hub.publish(ROOM, "hello")
    await until(lambda: closes)
    await asyncio.sleep(0)
    assert (closes, watcher.taken) == (["ben"], ["hello"])
    assert [member.identity for member in hub.members(ROOM)] == ["ann", "watcher"]
