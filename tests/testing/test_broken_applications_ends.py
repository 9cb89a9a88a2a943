"""Applications that are broken on purpose and end too soon: each fails its test where it waits, and says why."""

import asyncio
from typing import Any

import pytest

from asgi_ws import ConnectionClosed, WebSocket, websocket_app
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import ApplicationCancelled, Unanswered, WebSocketCommunicator

from .applications import accepts, fails


async def test_an_application_that_raises_before_accept_raises_where_the_test_connects() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise LookupError("no such room")

    error = await fails(LookupError, app)
    assert str(error) == "no such room"
    assert not hasattr(error, "__notes__")


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
