"""The public API as a type checker sees it: mypy and Pyright hold every `assert_type`, and running it costs nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, assert_type

from fastapi import WebSocket as FastAPIWebSocket
from litestar import WebSocket as LitestarWebSocket
from starlette.applications import Starlette
from starlette.routing import Mount as StarletteMount
from starlette.websockets import WebSocket as StarletteWebSocket

import asgi_ws
from asgi_ws import (
    UNSAFE_ANY,
    Address,
    App,
    BodyTooLarge,
    ConnectionClosed,
    Encoder,
    Headers,
    History,
    HTMLResponse,
    HTTPApp,
    HTTPEndpoint,
    HTTPError,
    Hub,
    HubStatistics,
    JSONCodec,
    JSONResponse,
    Limits,
    Member,
    Membership,
    Mount,
    OutboxLimits,
    Overflow,
    PlainTextResponse,
    Position,
    QueryParams,
    RedirectResponse,
    Request,
    Response,
    Room,
    Route,
    State,
    Statistics,
    StreamingResponse,
    WebSocket,
    WebSocketApp,
    WebSocketDisconnect,
    WebSocketEndpoint,
    WebSocketRoute,
    http_app,
    websocket_app,
)
from asgi_ws.brokers import HistoryPage, RoomEvent

# The types of ASGI, as frameworks write them.
ASGIApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]


async def messages(ws: WebSocket) -> None:
    assert_type(await ws.receive(), str | bytes)
    assert_type(await ws.receive_text(), str)
    assert_type(await ws.receive_bytes(), bytes)
    assert_type(await ws.receive_json(), Any)
    assert_type(await ws.receive_json(mode="binary"), Any)
    async for message in ws:
        assert_type(message, str | bytes)
    async for text in ws.iter_text():
        assert_type(text, str)
    async for data in ws.iter_bytes():
        assert_type(data, bytes)
    async for value in ws.iter_json():
        assert_type(value, Any)
    await ws.send("text")
    await ws.send(b"bytes")
    await ws.send(memoryview(b"bytes"))
    await ws.send_text("text")
    await ws.send_bytes(bytearray(b"bytes"))
    await ws.send_json({"a": 1}, mode="binary")


async def handshake_and_end(ws: WebSocket) -> None:
    assert_type(ws.subprotocols, list[str])
    await ws.accept("chat.v1", headers={"x-a": "1"})
    await ws.accept(subprotocol=None, headers=[(b"x-a", b"1"), ("x-b", "2")])
    await ws.deny(401, "no", headers=[("www-authenticate", "Bearer")])
    async with ws.until_closed():
        pass
    await ws.wait_closed()
    await ws.close(4000, "reason", timeout=2.5)
    await ws.abort()
    assert_type(ws.closed, bool)
    assert_type(ws.close_code, int | None)
    assert_type(ws.close_reason, str | None)


def views(connection: WebSocket | Request) -> None:
    assert_type(connection.headers, Headers)
    assert_type(connection.headers["host"], str)
    assert_type(connection.headers.getlist("cookie"), list[str])
    assert_type(connection.query_params, QueryParams)
    assert_type(connection.query_params.get("page"), str | None)
    assert_type(connection.cookies, Mapping[str, str])
    assert_type(connection.path_params, Mapping[str, Any])
    assert_type(connection.state, State)
    assert_type(connection.client, Address | None)
    assert_type(connection.url.path, str)
    assert_type(connection.url.port, int | None)


async def requests(request: Request) -> None:
    assert_type(request.method, str)
    assert_type(await request.body(), bytes)
    assert_type(await request.text(), str)
    assert_type(await request.json(), Any)
    async for piece in request.stream():
        assert_type(piece, bytes)


class Page(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return HTMLResponse("<p>Hello")

    def post(self, request: Request) -> Response:
        return RedirectResponse("/", status=303) if request.url.query else PlainTextResponse("no", status_code=404)


class Chat(WebSocketEndpoint):
    encoding = "json"

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    async def on_connect(self, ws: WebSocket) -> None:
        await ws.accept()

    # The names of the parameters are the user's, as in a class body that comes from Starlette.
    async def on_receive(self, websocket: WebSocket, message: dict[str, Any]) -> None:
        await websocket.send_json({self.greeting: message})

    async def on_disconnect(self, websocket: WebSocket, code: int) -> None: ...


@websocket_app
async def plain(ws: WebSocket) -> None:
    await ws.accept()


@websocket_app(
    origins=["https://example.org"],
    hosts=["example.org"],
    trust_forwarded=True,
    limits=Limits(max_message_bytes=None, idle_timeout=60, messages_per_second=0.5),
    json=JSONCodec(dumps=repr, loads=str),
)
async def with_policy(ws: WebSocket) -> None:
    await ws.accept()


@http_app
def in_a_thread(request: Request) -> Response:
    return JSONResponse({"path": request.url.path})


@http_app(limits=Limits(max_body_bytes=10))
async def streamed(request: Request) -> StreamingResponse:
    return StreamingResponse(request.stream())


class Shouting(Encoder):
    def message(self, room: str, event: RoomEvent) -> str | bytes:
        return event.envelope.data.upper()


async def sockets_of_frameworks(
    hub: Hub,
    fastapi: FastAPIWebSocket,
    starlette: StarletteWebSocket,
    litestar: LitestarWebSocket[Any, Any, Any],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    assert_type(hub.join(fastapi, "a"), Membership)
    assert_type(hub.join(starlette, "a"), Membership)
    assert_type(hub.join(litestar, "a"), Membership)
    assert_type(hub.join(send, "a"), Membership)
    assert_type(hub.join(starlette.send, "a"), Membership)
    for socket in (fastapi, starlette, litestar):
        await hub.publish("a", "text", exclude=socket)
        await hub.publish_json("a", 1, exclude=socket)
        hub.publish_from_thread("a", "text", exclude=socket)
        await hub.room("a").publish("text", exclude=socket)
        hub.leave(socket, "a")
    hub.join("a", "a")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] # not a connection


async def rooms(ws: WebSocket, starlette: StarletteWebSocket, hub: Hub) -> None:
    async with hub.join(ws, "a", overflow="drop_oldest", identity="Ada", info=1) as membership:
        assert_type(membership, Membership)
        assert_type(await membership.publish("text", exclude=ws, key="k"), Position | None)
        assert_type(membership.position, Position | None)
        assert_type(membership.overflow, Overflow)
        assert_type(membership.dropped, int)
    async with hub.join(starlette, "a", overflow=Overflow.CONFLATE):
        await hub.publish("a", memoryview(b"bytes"), exclude=starlette)
    hub.leave(starlette, "a")
    assert_type(await hub.publish_json("a", {"b": 1}, exclude=membership), Position | None)
    assert_type(hub.publish_from_thread("a", b"bytes", timeout=1), Position | None)
    assert_type(hub.room("a"), Room)
    assert_type(hub.members("a"), list[Member])
    assert_type(await hub.read("a", since=None, limit=1), HistoryPage)
    assert_type(hub.disconnect(identity="Ada", room="a", code=4001, reason="bye"), int)
    assert_type(hub.statistics(), HubStatistics)


@asynccontextmanager
async def database() -> AsyncIterator[dict[str, object]]:
    yield {"database": object()}


def watch(error: Exception, scope: MutableMapping[str, Any]) -> None: ...


def test_applications_are_asgi_callables_for_a_type_checker_too() -> None:
    assert_type(plain, WebSocketApp)
    assert_type(with_policy, WebSocketApp)
    assert_type(in_a_thread, HTTPApp)
    assert_type(streamed, HTTPApp)
    assert_type(Page.as_asgi(), HTTPApp)
    assert_type(Chat.as_asgi(origins=UNSAFE_ANY, init={"greeting": "hi"}), WebSocketApp)
    app = App(
        [
            Route("/", Page.as_asgi(), methods=["GET", "POST"], name="page"),
            WebSocketRoute("/chat", Chat.as_asgi(init={"greeting": "hi"})),
            Mount("/more", routes=[WebSocketRoute("/{room}", plain)], name="more"),
            Mount("/starlette", Starlette(routes=[StarletteMount("/", plain)])),
        ],
        lifespan=[database, database(), Hub(history=lambda room: History(messages=10) if room == "a" else None)],
        on_error=watch,
    )
    assert_type(app.path_for("more:plain", room="a"), str)
    assert_type(app.statistics(), Statistics)
    assert_type(app.statistics().refused, Mapping[str, int])
    assert_type(asgi_ws.app, App)
    callables: list[ASGIApp] = [
        app,
        asgi_ws.app,
        plain,
        in_a_thread,
        Response("text"),
        Starlette(routes=[StarletteMount("/", app)]),
    ]
    assert all(callable(each) for each in callables)


def test_a_hub_takes_its_settings() -> None:
    hub = Hub(overflow="close", outbox=OutboxLimits(max_age=5), history=History(seconds=None), encoder=Shouting())
    assert_type(hub, Hub)
    assert hub.statistics().members == 0


def test_errors_carry_typed_fields() -> None:
    closed = ConnectionClosed(4000, "bye")
    assert_type(closed.code, int)
    assert_type(closed.reason, str)
    assert_type(HTTPError(401, "no").status, int)
    assert_type(BodyTooLarge(10).limit, int)
    assert WebSocketDisconnect is ConnectionClosed


def test_the_package_tells_type_checkers_that_it_is_typed() -> None:
    assert (Path(asgi_ws.__file__).parent / "py.typed").is_file()
