"""A client that leaves before its handler has accepted frees its place at once, and no message is lost."""

import asyncio
import gc
import logging
from typing import Any

import pytest

from asgi_ws import App, Limits, WebSocket, WebSocketEndpoint, WebSocketRoute, websocket_app
from asgi_ws._asgi import ASGIApp, Event, Scope
from asgi_ws.testing import WebSocketCommunicator

from ..asgi import websocket_scope
from ..hanging import HANGING
from ..outcomes import outcome, refusal, told

pytestmark = pytest.mark.usefixtures("each_task_start")

# granian does not send a disconnect event before accept.
TELLING = ["spec", "uvicorn", "asgi_ws", "hypercorn", "daphne"]
ONE = Limits(max_connections=1)

CONNECT: Event = {"type": "websocket.connect"}


async def forever() -> None:
    await asyncio.Event().wait()


class Server:
    """A server that runs an application for one handshake, with the events of the test."""

    def __init__(self, app: ASGIApp, first: Event = CONNECT) -> None:
        self.scope: Scope = websocket_scope()
        self.inbox: asyncio.Queue[Event] = asyncio.Queue()
        self.sent: list[Event] = []
        self.reads = 0
        self.inbox.put_nowait(first)
        self.task = asyncio.ensure_future(app(self.scope, self.receive, self.send))

    async def receive(self) -> Event:
        self.reads += 1
        return await self.inbox.get()

    async def send(self, event: Event) -> None:
        self.sent.append(event)

    async def end(self) -> list[str]:
        async with asyncio.timeout(HANGING):
            await self.task
        return [event["type"] for event in self.sent]


@pytest.mark.parametrize(
    ("server", "limits"),
    [
        *((server, ONE) for server in TELLING),
        ("spec", Limits(max_connections_per_client=1)),
        ("spec", Limits(max_connections=1, accept_timeout=None)),
    ],
)
async def test_the_place_of_a_client_that_left_is_free_for_the_next_one(
    server: str, limits: Limits, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "asgi_ws")
    working: list[WebSocket] = []
    ended = asyncio.Event()

    @websocket_app(limits=limits)
    async def handler(ws: WebSocket) -> None:
        working.append(ws)
        try:
            await forever()
        finally:
            ended.set()

    async with WebSocketCommunicator(handler, server=server) as first:
        connecting = asyncio.create_task(outcome(first.connect()))
        while not working:
            await asyncio.sleep(0)
        async with WebSocketCommunicator(handler, server=server) as second:
            assert (await refusal(second))[0] in (503, 429, 403)
        await first.abort()
        async with asyncio.timeout(HANGING):
            await ended.wait()
        assert told(await connecting)[0] == 1006
    assert working[0].close_code is not None
    statistics = handler.statistics()
    assert (statistics.open, statistics.failed, sum(statistics.refused.values())) == (0, 0, 1)
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


async def test_on_disconnect_is_called_once_for_a_client_that_left_while_on_connect_worked() -> None:
    codes: list[int] = []

    class Endpoint(WebSocketEndpoint):
        async def on_connect(self, ws: WebSocket) -> None:
            await forever()

        async def on_disconnect(self, ws: WebSocket, close_code: int) -> None:
            codes.append(close_code)

    server = Server(App([WebSocketRoute("/", Endpoint.as_asgi())]))
    server.inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
    assert await server.end() == []
    assert codes == [1006]


async def test_calls_while_a_handler_is_cancelled_for_a_client_that_left_find_it_gone() -> None:
    for call in ("accept", "deny", "close"):

        @websocket_app
        async def handler(ws: WebSocket, call: str = call) -> None:
            try:
                await forever()
            finally:
                await getattr(ws, call)()

        server = Server(handler)
        server.inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
        assert await server.end() == []
        assert handler.statistics().failed == 0


async def test_a_client_that_left_before_it_was_announced_ends_the_handler() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await forever()

    server = Server(handler, {"type": "websocket.disconnect", "code": 1006})
    assert await server.end() == []
    assert (handler.statistics().open, handler.statistics().failed) == (0, 0)


async def test_a_client_that_leaves_during_the_cleanup_of_a_late_handler_does_not_cancel_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cleaning, clean = asyncio.Event(), asyncio.Event()

    @websocket_app(limits=Limits(accept_timeout=0.01))
    async def handler(ws: WebSocket) -> None:
        try:
            await forever()
        finally:
            cleaning.set()
            await clean.wait()

    server = Server(handler)
    async with asyncio.timeout(HANGING):
        await cleaning.wait()
    server.inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
    while not server.inbox.empty():
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    clean.set()
    # The client has left, so nothing is sent.
    assert await server.end() == []
    assert (handler.statistics().refused, caplog.records) == ({}, [])


async def test_a_handler_that_fails_in_its_cleanup_is_a_failure() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        try:
            await forever()
        finally:
            raise TimeoutError("cleanup")

    server = Server(handler)
    server.inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
    with pytest.raises(TimeoutError, match="cleanup"):
        await server.end()
    assert handler.statistics().failed == 1


async def test_a_cancellation_of_the_server_goes_through_though_the_client_left_too() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await forever()

    server = Server(handler)
    await asyncio.sleep(0)
    server.inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
    server.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server.end()


@pytest.mark.parametrize("waits", range(3))
async def test_no_message_is_lost_between_looking_for_the_leaving_and_receiving(waits: int) -> None:
    received: list[str | bytes] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        for _ in range(waits):
            await asyncio.sleep(0)
        await ws.accept()
        async for message in ws:
            received.append(message)

    server = Server(handler)
    for number in range(4):
        # uvicorn's default class passes on what a client sends before it is accepted.
        server.inbox.put_nowait({"type": "websocket.receive", "text": str(number)})
    server.inbox.put_nowait({"type": "websocket.disconnect", "code": 1001})
    assert await server.end() == ["websocket.accept"]
    assert received == ["0", "1", "2", "3"]


async def test_an_endpoint_gets_a_message_that_came_before_accept_once() -> None:
    received: list[str] = []

    class Endpoint(WebSocketEndpoint):
        async def on_connect(self, ws: WebSocket) -> None:
            await asyncio.sleep(0.01)
            await ws.accept()

        async def on_receive(self, ws: WebSocket, data: str) -> None:
            received.append(data)

    server = Server(Endpoint.as_asgi())
    for number in range(2):
        server.inbox.put_nowait({"type": "websocket.receive", "text": str(number)})
    server.inbox.put_nowait({"type": "websocket.disconnect", "code": 1001})
    assert await server.end() == ["websocket.accept"]
    assert received == ["0", "1"]


async def test_a_handler_that_accepts_before_it_waits_costs_no_reading_ahead() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await asyncio.sleep(0)

    server = Server(handler)
    assert await server.end() == ["websocket.accept", "websocket.close"]
    assert server.reads == 1


@pytest.mark.parametrize("server", ["granian", "spec", "daphne"])
@pytest.mark.parametrize("waits", [0, 1, 7])
async def test_a_handler_that_works_before_it_answers_is_served_as_one_that_does_not(server: str, waits: int) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        for _ in range(waits):
            await asyncio.sleep(0)
        if ws.query_params.get("deny"):
            await ws.deny(401)
            return
        await ws.accept()
        async for message in ws:
            await ws.send(message)

    async with WebSocketCommunicator(handler, server=server) as peer:
        await peer.connect()
        await peer.send("one")
        assert await peer.receive() == "one"
        await peer.send("two")
        assert await peer.receive() == "two"
    async with WebSocketCommunicator(handler, "/?deny=1", server=server) as peer:
        assert (await refusal(peer))[0] in (401, 403)


async def test_accept_waits_for_the_connect_event_that_was_asked_for_already() -> None:
    # If each call of `receive` makes its own future, as in granian, a call that is cancelled loses its event.
    connect: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
    calls = 0

    def receive() -> asyncio.Future[Event]:
        nonlocal calls
        calls += 1
        return connect if calls == 1 else asyncio.get_running_loop().create_future()

    sent: list[Event] = []

    async def send(event: Event) -> None:
        sent.append(event)

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await asyncio.sleep(0)
        await ws.accept()

    task = asyncio.ensure_future(handler(websocket_scope(), receive, send))
    for _ in range(5):
        await asyncio.sleep(0)
    connect.set_result({"type": "websocket.connect"})
    async with asyncio.timeout(HANGING):
        await task
    assert ([event["type"] for event in sent], calls) == (["websocket.accept", "websocket.close"], 1)


async def test_an_error_of_the_server_while_its_handler_works_before_accept_is_not_left_unseen(
    reports: list[dict[str, Any]],
) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await failed.wait()
        await ws.accept()

    class Failing(Server):
        async def receive(self) -> Event:
            if self.reads:
                failed.set()
                raise RuntimeError("receive() of the server")
            return await super().receive()

    failed = asyncio.Event()
    server = Failing(handler)
    assert await server.end() == ["websocket.accept", "websocket.close"]
    gc.collect()
    assert reports == []
