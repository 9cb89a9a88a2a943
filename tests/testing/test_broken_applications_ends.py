"""Applications that are broken on purpose and end too soon: each fails its test where it waits, and says why."""

import asyncio
from typing import Any

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket

from asgi_ws import ConnectionClosed, WebSocket, websocket_app
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import ApplicationCancelled, ProtocolViolation, Unanswered, WebSocketCommunicator

from .applications import accepts, fails, receives


async def test_an_application_that_raises_before_accept_raises_where_the_test_connects() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise LookupError("no such room")

    error = await fails(LookupError, app)
    assert str(error) == "no such room"
    assert not hasattr(error, "__notes__")


async def test_an_application_that_raises_after_accept_raises_where_the_test_waits() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        raise LookupError("no such room")

    assert str(await fails(LookupError, app, receives)) == "no such room"


async def test_an_application_that_takes_other_arguments_raises_where_the_test_connects() -> None:
    async def app(scope: Scope) -> None:
        """As in ASGI 2, or a handler without its decorator."""

    untyped: Any = app
    assert "takes 1 positional argument but 3 were given" in str(await fails(TypeError, untyped))


async def test_an_application_that_returns_without_an_answer_fails_the_handshake() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    assert str(await fails(Unanswered, app)) == (
        "the application returned without an answer to websocket.connect (websocket.accept or websocket.close)\n"
        '  see:   ASGI, WebSocket, "Connect - receive event"'
    )


async def test_an_application_that_returns_within_its_denial_fails_the_handshake() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})

    assert str(await fails(Unanswered, app)) == (
        "the application returned without the body of its denial response\n"
        '  see:   ASGI, Extensions, "Websocket Denial Response"'
    )


async def test_an_application_that_returns_without_closing_ends_the_wait_for_a_message_at_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)

    async with WebSocketCommunicator(app, timeout=60) as ws:
        await ws.connect()
        with pytest.raises(ConnectionClosed) as closed:
            await ws.receive()
    assert str(closed.value) == (
        "the application returned without closing the connection; the peer sees close code 1006"
    )


# -- frameworks


async def test_a_starlette_handler_that_sends_bytes_as_text_is_told_of_the_clause() -> None:
    async def handler(ws: StarletteWebSocket) -> None:
        await ws.accept()
        data: Any = b"no text"
        await ws.send_text(data)

    error = await fails(ProtocolViolation, Starlette(routes=[WebSocketRoute("/", handler)]), receives)
    assert str(error).splitlines() == [
        "text is str, not bytes",
        "  event: {'type': 'websocket.send', 'text': b'no text'}",
        '  see:   ASGI, WebSocket, "Send - send event"',
    ]


async def test_a_fastapi_handler_that_accepts_what_was_not_offered_is_told_of_the_clause() -> None:
    app = fastapi.FastAPI()

    @app.websocket("/")
    async def handler(ws: fastapi.WebSocket) -> None:
        await ws.accept(subprotocol="chat")

    error = await fails(ProtocolViolation, app, subprotocols=["mqtt"])
    assert error.why == "subprotocol 'chat' was not offered by the client, which has ['mqtt']"


@pytest.mark.parametrize("is_fastapi", [False, True])
async def test_a_framework_s_handler_that_raises_raises_in_the_test(is_fastapi: bool) -> None:
    async def handler(ws: StarletteWebSocket) -> None:
        await ws.accept()
        raise LookupError("no such room")

    app = fastapi.FastAPI() if is_fastapi else Starlette()
    app.router.routes.append(WebSocketRoute("/", handler))
    assert str(await fails(LookupError, app, receives)) == "no such room"


async def test_a_handler_of_ours_that_raises_raises_in_the_test() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise LookupError("no such room")

    async def use(ws: WebSocketCommunicator) -> None:
        await ws.connect()
        with pytest.raises(ConnectionClosed) as closed:
            await ws.receive()
        assert closed.value.code == 1011

    assert str(await fails(LookupError, handler, use)) == "no such room"


async def test_a_cancellation_that_nobody_asked_for_is_no_quiet_end() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        awaited = asyncio.get_running_loop().create_future()
        awaited.cancel()
        await awaited

    with pytest.raises(ApplicationCancelled, match="with a CancelledError: what it awaited was cancelled") as failure:
        async with WebSocketCommunicator(app) as ws:
            await ws.connect()
    assert isinstance(failure.value.__cause__, asyncio.CancelledError)
