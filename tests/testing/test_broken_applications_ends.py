"""Applications that are broken on purpose and end too soon: each fails the test at its wait, with the reason."""

import asyncio
from typing import Any

import pytest

from asgi_ws import ConnectionClosed, WebSocket, websocket_app
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import ApplicationCancelled, Unanswered, WebSocketCommunicator

from .applications import connected, fails


async def test_an_application_that_raises_before_accept_raises_where_the_test_connects() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise LookupError("no such room")

    error = await fails(LookupError, app)
    assert str(error) == "no such room"
    assert not hasattr(error, "__notes__")


async def test_an_application_that_takes_other_arguments_raises_where_the_test_connects() -> None:
    async def app(scope: Scope) -> None:
        """Take one argument, as in ASGI 2 or as a handler without its decorator."""

    untyped: Any = app
    assert "takes 1 positional argument but 3 were given" in str(await fails(TypeError, untyped))


@pytest.mark.parametrize(
    ("events", "missing", "clause"),
    [
        (
            [],
            "an answer to websocket.connect (websocket.accept or websocket.close)",
            'ASGI, WebSocket, "Connect - receive event"',
        ),
        (
            [{"type": "websocket.http.response.start", "status": 401, "headers": []}],
            "the body of its denial response",
            'ASGI, Extensions, "Websocket Denial Response"',
        ),
    ],
    ids=["without an answer", "within its denial"],
)
async def test_an_application_that_returns_fails_the_handshake(events: list[Any], missing: str, clause: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for event in events:
            await send(event)

    assert str(await fails(Unanswered, app)) == f"the application returned without {missing}\n  see:   {clause}"


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
        async with connected(app):
            pass
    assert isinstance(failure.value.__cause__, asyncio.CancelledError)
