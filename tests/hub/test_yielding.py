"""A loop around a hub yields to the event loop, whatever it publishes to."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from asgi_ws import History, Hub, OutboxLimits
from asgi_ws._asgi import Broadcast

from .peers import Peer

ROOM = "room"
CALLS = 20


class Pushing(Peer):
    def push_broadcast(self, broadcast: Broadcast) -> bool:
        return True


def publish(hub: Hub) -> Awaitable[object]:
    return hub.publish(ROOM, "hello")


def publish_json(hub: Hub) -> Awaitable[object]:
    return hub.room(ROOM).publish_json({})


def read(hub: Hub) -> Awaitable[object]:
    return hub.read(ROOM)


def read_without_history(hub: Hub) -> Awaitable[object]:
    return hub.read("without history")


def stalled(hub: Hub) -> Peer:
    peer = Peer()
    peer.stall()
    hub.join(peer.send, ROOM, overflow="drop_newest")
    return peer


MEMBERS: dict[str, Callable[[Hub], object]] = {
    "nobody": lambda _: None,
    "one that reads": lambda hub: hub.join(Peer().send, ROOM),
    "one that is pushed to": lambda hub: hub.join(Pushing().send, ROOM),
    "one that reads nothing": stalled,
}


@pytest.mark.parametrize("call", [publish, publish_json, read, read_without_history])
@pytest.mark.parametrize("members", MEMBERS)
async def test_a_loop_around_a_hub_yields_when_the_time_slice_is_over(
    members: str, call: Callable[[Hub], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asgi_ws._aio.time_slice._SLICE_SECONDS", -1.0)
    # No budget: what is full is not waited for.
    monkeypatch.setattr("asgi_ws.hub.fanout._PATIENCE_SECONDS", 0.0)
    hub = Hub(history=lambda room: History() if room == ROOM else None, outbox=OutboxLimits(max_messages=1))
    MEMBERS[members](hub)
    iterations = 0

    def count() -> None:
        nonlocal iterations
        iterations += 1
        handle[0] = loop.call_soon(count)

    loop = asyncio.get_running_loop()
    handle = [loop.call_soon(count)]
    for _ in range(CALLS):
        await call(hub)
    handle[0].cancel()
    # The slice of an iteration begins with its first call.
    assert iterations >= CALLS // 2


async def test_a_publisher_yields_also_where_its_message_is_excluded_from_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asgi_ws._aio.time_slice._SLICE_SECONDS", -1.0)
    hub = Hub()
    ran: list[bool] = []
    membership = hub.join(Peer().send, ROOM)
    asyncio.get_running_loop().call_soon(ran.append, True)
    for _ in range(2):
        await membership.publish("hello", exclude=membership)
    assert ran
