"""An orderly end delivers what was published before it; what is abrupt does not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from asgi_ws import ConnectionClosed, Hub, Membership, OutboxLimits, WebSocket, websocket_app
from asgi_ws.testing import VirtualClock

from ..asgi import websocket_scope
from ..outcomes import outcome, until
from .inside import holds_nothing
from .peers import Narrator, Peer

ROOM: Final = "room"
ALL: Final = ["large", "see", "bye"]


class Served(Peer):
    """A connection that is served by a handler of the test's, which publishes and then ends as it says.

    Attributes:
        has_published: set when the handler has published everything.
        outcome: what serving it raised, or None.
    """

    def __init__(self, hub: Hub, end: Callable[[WebSocket, Membership], Awaitable[None]]) -> None:
        super().__init__()
        self.has_published = False
        self.hub = hub
        self._end_handler = end
        self._inbox.put_nowait({"type": "websocket.connect"})

    async def served(self) -> Any:
        application = websocket_app(self._handle)
        return await outcome(application(websocket_scope(), self._inbox.get, self.send))

    async def _handle(self, ws: WebSocket) -> None:
        await ws.accept()
        self.socket = ws
        async with self.hub.join(ws, ROOM) as membership:
            self.stall()
            for text in ALL:
                await membership.publish(text)
            self.has_published = True
            await self._end_handler(ws, membership)


async def returns(ws: WebSocket, membership: Membership) -> None:
    pass


async def raises(ws: WebSocket, membership: Membership) -> None:
    raise ValueError("the handler's own")


async def leaves(ws: WebSocket, membership: Membership) -> None:
    membership.leave()


async def closes(ws: WebSocket, membership: Membership) -> None:
    await ws.close(4001, "done")


async def closes_twice_and_sends(ws: WebSocket, membership: Membership) -> None:
    closing = asyncio.create_task(ws.close(4001, "done"))
    await asyncio.sleep(0)
    assert isinstance(await outcome(ws.send("too late")), ConnectionClosed)
    assert isinstance(await outcome(ws.receive()), ConnectionClosed)
    await ws.close(4002)
    await closing


ENDS: Final = [
    (returns, (1000, "")),
    (raises, (1011, "")),
    (leaves, (1000, "")),
    (closes, (4001, "done")),
    (closes_twice_and_sends, (4001, "done")),
]


@pytest.mark.parametrize("close", [True, False])
async def test_a_message_whose_turn_comes_as_the_close_begins_is_delivered_before_it(close: bool) -> None:
    async def ends_as_the_client_reads_on(ws: WebSocket, membership: Membership) -> None:
        # The task that sends the first message waits for the server.
        await asyncio.sleep(0)
        # The server takes that message, and the second is begun before any task of the close is.
        peer.resume()
        if close:
            await ws.close(4001, "done")

    peer = Served(Hub(), ends_as_the_client_reads_on)
    await peer.served()
    assert peer.taken == ALL
    assert peer.close == ((4001, "done") if close else (1000, ""))


@pytest.mark.parametrize(("end", "close"), ENDS)
async def test_what_was_published_before_an_orderly_end_is_delivered_before_the_close_frame(
    end: Callable[[WebSocket, Membership], Awaitable[None]], close: tuple[int, str]
) -> None:
    with VirtualClock() as clock:
        hub, watcher = Hub(encoder=Narrator()), Peer()
        hub.join(watcher.send, ROOM)
        peer = Served(hub, end)
        serving = asyncio.create_task(peer.served())
        await clock.advance(0.3)
        assert (peer.has_published, peer.taken, serving.done()) == (True, [], False)
        # It is a member no more, and gets nothing of what is published now.
        assert len(hub.members(ROOM)) == 1
        await hub.publish(ROOM, "late")
        with pytest.raises(ConnectionClosed):
            hub.join(peer.ws, "another")
        peer.resume()
        await clock.settle()
        assert (peer.taken, peer.close) == (ALL, close)
        assert isinstance(await serving, ValueError if end is raises else type(None))
        assert (hub.statistics().delivered, hub.statistics().dropped) == (len(ALL) * 2 + 2 + 1, 0)
        hub.leave(watcher.send, ROOM)
        assert holds_nothing(hub)
        assert clock.next_timer is None


@pytest.mark.parametrize(("end", "close"), [ENDS[0], ENDS[3]])
async def test_a_client_that_does_not_read_holds_an_orderly_end_for_the_close_time_out(
    end: Callable[[WebSocket, Membership], Awaitable[None]], close: tuple[int, str]
) -> None:
    with VirtualClock() as clock:
        hub = Hub(outbox=OutboxLimits(max_age=60))
        peer = Served(hub, end)
        serving = asyncio.create_task(peer.served())
        await clock.advance(9.9)
        assert not serving.done()
        await clock.advance(0.2)
        assert serving.done()
        assert (peer.taken, peer.close, hub.statistics().dropped) == ([], None, 2)
        assert peer.ws.close_code == close[0]
        assert hub.statistics().slow_members == 0


@pytest.mark.parametrize("how", ["abort", "expel", "overflow", "age", "leaves", "cancel"])
async def test_what_is_abrupt_drops_what_waits(how: str) -> None:
    async def waits(ws: WebSocket, membership: Membership) -> None:
        if how == "abort":
            await ws.abort()
        await ws.wait_closed()

    with VirtualClock() as clock:
        hub = Hub(outbox=OutboxLimits(max_messages=4, max_age=5))
        peer = Served(hub, waits)
        serving = asyncio.create_task(peer.served())
        await clock.settle()
        assert peer.has_published
        if how == "expel":
            assert hub.disconnect(room=ROOM) == 1
        elif how == "overflow":
            for _ in range(3):
                publishing = asyncio.create_task(hub.publish(ROOM, "more"))
                await clock.advance(0.2)
                await publishing
        elif how == "age":
            await clock.advance(5)
        elif how == "leaves":
            peer.leave()
        elif how == "cancel":
            serving.cancel()
        await clock.advance(1.1)
        assert serving.done()
        assert hub.members(ROOM) == []
        assert not set(peer.taken) - {"large"}
        assert hub.statistics().dropped >= 2


async def test_what_gets_too_old_while_a_connection_ends_is_dropped_with_the_rest_and_the_close_frame_goes() -> None:
    with VirtualClock() as clock:
        hub = Hub(outbox=OutboxLimits(max_age=2))
        peer = Served(hub, closes)
        serving = asyncio.create_task(peer.served())
        await clock.advance(2.1)
        assert (hub.statistics().dropped, hub.statistics().closed) == (2, 0)
        peer.resume()
        await clock.settle()
        assert (peer.taken, peer.close) == (["large"], (4001, "done"))
        await serving


async def test_a_client_that_goes_while_its_connection_ends_is_waited_for_no_longer() -> None:
    with VirtualClock() as clock:
        hub = Hub()
        peer = Served(hub, returns)
        serving = asyncio.create_task(peer.served())
        await clock.advance(0.3)
        peer.die()
        await clock.settle()
        assert serving.done()
        assert (hub.statistics().dropped, hub.statistics().slow_members) == (2, 0)


async def test_a_connection_in_two_hubs_ends_when_both_have_delivered() -> None:
    with VirtualClock() as clock:
        hubs = [Hub(), Hub()]

        async def in_both(ws: WebSocket, membership: Membership) -> None:
            hubs[1].join(ws, ROOM)
            await hubs[1].publish(ROOM, "of the other")

        peer = Served(hubs[0], in_both)
        serving = asyncio.create_task(peer.served())
        await clock.advance(0.3)
        peer.resume()
        await clock.settle()
        assert (sorted(peer.taken), peer.close) == (sorted([*ALL, "of the other"]), (1000, ""))
        await serving


# -- connections of other frameworks, whose server closes when the handler ends


async def foreign(hub: Hub, peer: Peer, end: Callable[[], Awaitable[None]]) -> None:
    async with hub.join(peer.send, "outer"), hub.join(peer.send, ROOM) as membership:
        peer.stall()
        for text in ALL:
            await membership.publish(text)
        await end()


async def nothing() -> None:
    pass


class Refusing(Exception):
    """As Starlette's WebSocketException, with which a handler asks for a close."""

    code = 1008


def failing(error: type[Exception]) -> Callable[[], Awaitable[None]]:
    async def end() -> None:
        raise error

    return end


@pytest.mark.parametrize(
    ("end", "error"), [(nothing, type(None)), *((failing(each), each) for each in (ValueError, TimeoutError, Refusing))]
)
async def test_the_end_of_the_last_block_of_a_foreign_connection_waits_until_everything_is_sent(
    end: Callable[[], Awaitable[None]], error: type[object]
) -> None:
    with VirtualClock() as clock:
        hub, peer = Hub(), Peer()
        handling = asyncio.create_task(foreign(hub, peer, end))
        await clock.advance(0.3)
        assert (handling.done(), hub.statistics().members) == (False, 0)
        peer.resume()
        await clock.settle()
        assert (peer.taken, handling.done()) == (ALL, True)
        assert isinstance(await outcome(handling), error)


async def test_a_foreign_connection_that_does_not_read_holds_the_end_of_its_block_for_the_close_time_out() -> None:
    with VirtualClock() as clock:
        hub, peer = Hub(outbox=OutboxLimits(max_age=60)), Peer()
        handling = asyncio.create_task(foreign(hub, peer, nothing))
        await clock.advance(9.9)
        assert not handling.done()
        await clock.advance(0.2)
        assert handling.done()
        assert (peer.taken, hub.statistics().dropped, hub.statistics().slow_members) == ([], 2, 0)


class Disconnected(Exception):
    """As Starlette has it."""

    code = 1001


@pytest.mark.parametrize("error", [Disconnected, asyncio.CancelledError, GeneratorExit])
async def test_a_foreign_block_waits_for_no_client_that_has_left_and_no_task_that_is_cancelled(
    error: type[BaseException],
) -> None:
    async def leaving() -> None:
        raise error

    hub, peer = Hub(), Peer()
    handling = asyncio.create_task(foreign(hub, peer, leaving))
    await asyncio.wait([handling], timeout=10)
    assert handling.done()
    peer.die()
    await until(lambda: not hub.statistics().slow_members)


async def test_a_block_that_does_not_end_the_last_membership_waits_for_nothing() -> None:
    hub, peer = Hub(), Peer()
    outer = hub.join(peer.send, "outer")
    async with hub.join(peer.send, ROOM) as membership:
        peer.stall()
        await membership.publish("waits")
    assert outer.active
    peer.resume()
    await until(lambda: peer.taken)
