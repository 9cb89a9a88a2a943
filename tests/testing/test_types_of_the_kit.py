"""The kit as a type checker sees it: mypy and Pyright hold every `assert_type`."""

from typing import Any, assert_type

import httpx2

import asgi_ws
from asgi_ws import Headers
from asgi_ws.testing import (
    Accepted,
    Denied,
    LifespanManager,
    TestClient,
    TestClock,
    VirtualClock,
    WebSocketCommunicator,
    WebSocketDenialResponse,
    WebSocketTestSession,
    http_client,
)


async def test_the_asynchronous_kit() -> None:
    async with LifespanManager(asgi_ws.app) as lifespan, http_client(asgi_ws.app, state=lifespan.state) as client:
        assert_type(lifespan.state, dict[str, Any])
        assert_type(client, httpx2.AsyncClient)
        assert_type(await client.get("/hello"), httpx2.Response)
    async with WebSocketCommunicator(asgi_ws.app, "/ws", headers={"x-a": "b"}, server="daphne") as ws:
        answer = await ws.connect()
        assert_type(answer, Accepted | Denied)
        assert isinstance(answer, Accepted)
        assert_type(answer, Accepted)
        assert_type(answer.headers, Headers)
        await ws.send("text")
        assert_type(await ws.receive(), str | bytes)
        assert_type(await ws.receive_nothing(), bool)
        await ws.close(None)
        assert_type(await ws.wait_closed(), tuple[int, str])
        assert_type(ws.close_code, int | None)
        assert_type(ws.error, BaseException | None)


async def test_time() -> None:
    with VirtualClock() as clock:
        await clock.advance(1)
        assert_type(clock.elapsed, float)
        assert_type(clock.next_timer, float | None)


def test_the_synchronous_kit() -> None:
    with TestClient(asgi_ws.app) as client, client.virtual_time() as clock:
        assert_type(clock, TestClock)
        assert_type(client.get("/hello"), httpx2.Response)
        with client.websocket_connect("/ws") as ws:
            assert_type(ws, WebSocketTestSession)
            ws.send_text("text")
            assert_type(ws.receive_text(), str)
            assert_type(ws.accepted_subprotocol, str | None)


def test_a_denial_is_a_response_and_an_exception() -> None:
    denied = WebSocketDenialResponse(Denied(403, Headers.from_raw([])))
    assert_type(denied.status_code, int)
    assert_type(denied.code, int)
