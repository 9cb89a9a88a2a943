"""A hub takes the WebSocket objects of frameworks themselves, and says what it cannot take."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from itertools import product
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket as FastAPIWebSocket
from litestar import Litestar, WebSocket as LitestarWebSocket, websocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute as StarletteWebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket

from asgi_ws import ConnectionClosed, Hub, InvalidSocket, LifecycleError, WebSocket, websocket_app
from asgi_ws._asgi import ASGIApp, Event
from asgi_ws.errors import leaves
from asgi_ws.testing import WebSocketCommunicator

from ..asgi import websocket_scope
from ..outcomes import until
from .peers import Peer, accepted_by_hand

Handler = Callable[[Any], Awaitable[None]]


def fastapi_app(handler: Handler) -> ASGIApp:
    app = FastAPI()

    @app.websocket("/")
    async def endpoint(websocket: FastAPIWebSocket) -> None:
        await handler(websocket)

    return app


def starlette_app(handler: Handler) -> ASGIApp:
    async def endpoint(websocket: StarletteWebSocket) -> None:
        await handler(websocket)

    return Starlette(routes=[StarletteWebSocketRoute("/", endpoint)])


def litestar_app(handler: Handler) -> ASGIApp:
    @websocket("/")
    async def endpoint(socket: LitestarWebSocket[Any, Any, Any]) -> None:
        await handler(socket)

    app: Any = Litestar([endpoint])
    return app  # type: ignore[no-any-return] # its scope is a TypedDict


def own_app(handler: Handler) -> ASGIApp:
    @websocket_app
    async def endpoint(ws: WebSocket) -> None:
        await handler(ws)

    return endpoint


frameworks = pytest.mark.parametrize("framework", [fastapi_app, starlette_app, litestar_app, own_app])


@frameworks
async def test_an_object_and_its_send_are_one_connection(framework: Callable[[Handler], ASGIApp]) -> None:
    hub = Hub()

    async def handler(ws: Any) -> None:
        await ws.accept()
        for joined, named in product((ws, ws.send), repeat=2):
            hub.join(joined, "room")
            other = hub.join(named, "other")
            assert hub.statistics().connections == 1
            await hub.publish("room", "to others", exclude=named)
            await hub.publish("room", "to all")
            hub.leave(named, "room")
            assert hub.members("room") == []
            await other.publish("to the other room")
            other.leave()
        await ws.close()

    async with WebSocketCommunicator(framework(handler), "/") as client:
        await client.connect()
        assert [await client.receive() for _ in range(8)] == ["to all", "to the other room"] * 4


@frameworks
async def test_joining_before_accept_is_refused_and_leaves_the_connection_as_it_was(
    framework: Callable[[Handler], ASGIApp],
) -> None:
    hub = Hub()

    async def handler(ws: Any) -> None:
        with pytest.raises(LifecycleError, match=r"join\(\) is not allowed in state .*: call accept\(\) first"):
            hub.join(ws, "room")
        await hub.publish("room", "too early")
        assert hub.statistics().connections == 0
        await ws.accept()
        async with hub.join(ws, "room"):
            await hub.publish("room", "hello")
        await ws.close()

    async with WebSocketCommunicator(framework(handler), "/") as client:
        await client.connect()
        assert await client.receive() == "hello"


@frameworks
async def test_joining_after_the_end_raises_connection_closed(framework: Callable[[Handler], ASGIApp]) -> None:
    hub = Hub()
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def handler(ws: Any) -> None:
        await ws.accept()
        hub.join(ws, "another room")
        try:
            await ws.receive_text()
        except Exception:  # noqa: BLE001 -- each framework has its own
            with pytest.raises(ConnectionClosed) as closed:
                hub.join(ws, "room")
            ended.set_result(closed.value)

    async with WebSocketCommunicator(framework(handler), "/") as client:
        await client.connect()
        await client.close(1001)
    assert isinstance(ended.result(), ConnectionClosed)
    assert hub.members("room") == []


async def test_a_starlette_socket_that_is_being_denied_is_not_accepted() -> None:
    async def nothing(*_: Any) -> None: ...

    ws = StarletteWebSocket(websocket_scope(), nothing, nothing)  # type: ignore[arg-type] # nobody receives
    await ws.send({"type": "websocket.http.response.start", "status": 401, "headers": []})
    with pytest.raises(LifecycleError, match="CONNECTING/RESPONSE"):
        Hub().join(ws, "room")


class Socket:
    """An object of no framework that has what an ASGI application is called with."""

    def __init__(self) -> None:
        self.scope: Any = {"type": "websocket"}
        self.texts: list[str] = []

    # Such objects may be equal, as those that are mappings of their scope are.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Socket)

    __hash__ = None  # type: ignore[assignment] # it cannot be hashed either

    async def send(self, event: Event) -> None:
        self.texts.append(event["text"])

    async def receive(self) -> Event:
        raise NotImplementedError

    async def accept(self) -> None: ...

    async def send_json(self, value: object) -> None: ...


class Plain:
    """A `send` of any other kind."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def asgi_send(self, event: Event, /) -> None:
        self.texts.append(event["text"])

    async def __call__(self, event: Event) -> None:
        self.texts.append(event["text"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain)

    __hash__ = None  # type: ignore[assignment] # it cannot be hashed either


def _wrapped(plain: Plain) -> Callable[..., Awaitable[None]]:
    @functools.wraps(plain)
    async def wrapper(*args: Any, **kwargs: Any) -> None:
        await plain(*args, **kwargs)

    return wrapper


def _closure(plain: Plain) -> Callable[..., Awaitable[None]]:
    async def send(event: Event, _note: str = "logged") -> None:
        await plain(event)

    return send


FORMS: dict[str, Callable[[Plain], Any]] = {
    "instance": lambda plain: plain,
    "method": lambda plain: plain.asgi_send,
    "partial": lambda plain: functools.partial(plain.asgi_send),
    "lambda": lambda plain: lambda event: plain(event),  # noqa: PLW0108 -- a lambda is the point
    "wraps": _wrapped,
    "closure": _closure,
}


@pytest.mark.parametrize("form", FORMS)
async def test_any_asgi_send_joins_and_is_told_from_an_equal_one(form: str) -> None:
    hub, plains = Hub(), [Plain(), Plain()]
    sends = [FORMS[form](plain) for plain in plains]
    for send in sends:
        hub.join(send, "room")
    await hub.publish("room", "to the other", exclude=sends[0])
    hub.leave(sends[1], "room")
    await hub.publish("room", "after")
    assert [plain.texts for plain in plains] == [["after"], ["to the other"]]


async def test_objects_of_an_unknown_kind_join_by_their_identity() -> None:
    class Simple(Socket):
        send_json: Any = property()  # It has none.

    hub, sockets = Hub(), [Simple(), Simple()]
    for socket in sockets:
        hub.join(socket, "room")
    await hub.publish("room", "hello", exclude=sockets[0])
    assert [socket.texts for socket in sockets] == [[], ["hello"]]


async def test_a_close_code_of_an_object_on_daphne_is_one_that_daphne_sends() -> None:
    class Simple(Socket):
        send_json: Any = property()  # It has none.

        async def send(self, event: Event) -> None:
            closes.append(event["code"])

    hub, socket, closes = Hub(), Simple(), list[int]()
    socket.scope = websocket_scope(server="daphne")
    hub.join(socket, "room")
    assert hub.disconnect(room="room", code=1008) == 1
    await until(lambda: closes)
    assert closes == [4908]


class Consumer(Socket):
    """As Channels' consumers are."""

    async def send(self, event: Any = None, bytes_data: bytes | None = None) -> None: ...


class Chatty:
    """Something else whose `send` could be called with an event, and takes data."""

    async def send(self, data: Any = None, bytes_data: bytes | None = None) -> None: ...


async def _several(event: Event, more: object) -> None: ...
async def _keyword(event: Event, *, more: object) -> None: ...
async def _nothing() -> None: ...
async def _generator(event: Event) -> Any:
    yield event


def _starlette_socket() -> StarletteWebSocket:
    async def nothing(*_: Any) -> None: ...

    return StarletteWebSocket(websocket_scope(), nothing, nothing)  # type: ignore[arg-type] # nobody receives


REFUSED: list[Callable[[], Any]] = [
    lambda: _starlette_socket().send_json,
    lambda: _starlette_socket().send_text,
    lambda: _starlette_socket().receive,
    lambda: _starlette_socket().close,
    lambda: StarletteWebSocket.send,
    lambda: StarletteWebSocket,
    lambda: WebSocket.send,
    Socket,
    lambda: Socket().send,
    lambda: Socket().send_json,
    Consumer,
    lambda: Consumer().send,
    lambda: Chatty().send,
    lambda: Hub().publish,
    lambda: _several,
    lambda: _keyword,
    lambda: _nothing,
    lambda: _generator,
    lambda: print,
    lambda: {"type": "websocket", "send": _nothing},
    lambda: "Ada",
    lambda: None,
    lambda: 7,
    object,
    list,
]


async def test_whatever_does_not_send_asgi_events_is_refused_by_every_call() -> None:
    hub = Hub()
    for make in REFUSED:
        socket = make()
        told = r"pass the WebSocket itself, as in join\(websocket, room\)"
        with pytest.raises(InvalidSocket, match=told):
            hub.join(socket, "room")
        with pytest.raises(InvalidSocket, match=told):
            hub.leave(socket, "room")
        if socket is not None:
            with pytest.raises(InvalidSocket, match=told):
                await hub.publish("room", "hello", exclude=socket)
    assert (hub.statistics().rooms, hub.statistics().connections) == (0, 0)


async def test_of_a_wrapper_that_passes_everything_on_the_wrapped_connection_is_meant() -> None:
    class Proxy:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    hub = Hub()

    async def handler(ws: Any) -> None:
        await ws.accept()
        proxy: Any = Proxy(ws)
        async with hub.join(proxy, "room"):
            await hub.publish("room", "to others", exclude=ws)
            await hub.publish("room", "to all")
        await ws.close()

    async with WebSocketCommunicator(starlette_app(handler), "/") as client:
        await client.connect()
        assert await client.receive() == "to all"


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (ConnectionResetError("gone"), logging.DEBUG),
        (type("Left", (Exception,), {"code": 1006})(), logging.DEBUG),
        (RuntimeError("Unexpected ASGI message 'websocket.send', after sending 'websocket.close'."), logging.DEBUG),
        (LifecycleError("the event 'websocket.send'", "CLOSING"), logging.DEBUG),
        (ExceptionGroup("two", [OSError(), RuntimeError("Transport not initialized or closed")]), logging.DEBUG),
        (RuntimeError("ASGI flow error: Transport closed"), logging.DEBUG),
        (RuntimeError("Expected ASGI message 'websocket.accept', but got 'websocket.send'"), logging.WARNING),
        (ExceptionGroup("two", [RuntimeError("odd\nlines"), OSError()]), logging.WARNING),
        (LifecycleError("the event 'websocket.send'", "CONNECTING"), logging.WARNING),
        (RecursionError("deep"), logging.ERROR),
        (type("QueryFailed", (Exception,), {"code": "e3q8"})(), logging.ERROR),
        (type("NotFound", (Exception,), {"code": 404})(), logging.ERROR),
    ],
    ids=repr,
)
async def test_a_send_that_fails_removes_the_member_and_is_logged_unless_the_client_has_left(
    error: Exception, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "asgi_ws")
    stays = Plain()

    async def fails(event: Event) -> None:
        raise error

    async with Hub() as hub:
        hub.join(fails, "room")
        hub.join(stays, "room")
        await hub.publish("room", "one")
        await hub.publish("room", "two")
        assert len(hub.members("room")) == 1
    assert stays.texts == ["one", "two"]
    (record,) = [record for record in caplog.records if record.name == "asgi_ws"]
    assert record.levelno == level
    if level == logging.WARNING:
        assert record.exc_info is None
        assert ascii(next(leaves(error)).args[0])[1:-1] in record.getMessage()


async def test_a_connection_is_not_taken_for_one_whose_websocket_only_the_hub_keeps() -> None:
    hub = Hub()
    # Without a reference, the next object would have the identity of the last one.
    memberships = [hub.join(await accepted_by_hand(Peer()), "room") for _ in range(20)]
    assert len(hub.members("room")) == len(memberships)
