"""Who is let in: the time to accept, origins and hosts, and how many at once."""

import asyncio
import logging
from typing import Any

import pytest

from asgi_ws import (
    UNSAFE_ANY,
    Limits,
    WebSocket,
    websocket_app,
)

from .conversation import Conversation, websocket_scope


async def test_a_handler_that_does_not_accept_in_time_is_cancelled_and_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []

    @websocket_app(limits=Limits(accept_timeout=0.01))
    async def handler(ws: WebSocket) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    async with Conversation(handler) as peer:
        assert await peer.denied() == (503, b"not accepted in time")
    assert told == ["cancelled"]
    assert peer.error is None
    assert handler.statistics().refused == {"ACCEPT_TIMEOUT": 1}
    assert [(record.levelno, record.name) for record in caplog.records] == [(logging.WARNING, "asgi_ws")]


@pytest.mark.parametrize("answer", ["accept", "deny"])
async def test_a_handler_that_answers_while_it_is_cancelled_for_its_slowness_is_still_answered_once(
    answer: str,
) -> None:
    @websocket_app(limits=Limits(accept_timeout=0.01))
    async def handler(ws: WebSocket) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await getattr(ws, answer)()

    async with Conversation(handler) as peer:
        await peer.ended()
    types = [event["type"] for event in peer.begun]
    assert (
        types
        == {
            "accept": ["websocket.accept", "websocket.close"],
            "deny": ["websocket.http.response.start", "websocket.http.response.body"],
        }[answer]
    )
    assert peer.error is None


@pytest.mark.parametrize("timeout", [0.01, None])
async def test_the_time_to_accept_is_no_limit_after_accept(timeout: float | None) -> None:
    @websocket_app(limits=Limits(accept_timeout=timeout))
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        loop = asyncio.get_running_loop()
        passed = loop.create_future()
        loop.call_later(0.03, passed.set_result, None)
        await passed
        await ws.send("still here")

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert (await peer.sent())["text"] == "still here"
    assert peer.error is None


async def test_a_time_out_of_the_handlers_own_is_its_mistake() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    async with Conversation(handler) as peer:
        assert (await peer.denied())[0] == 500
    assert isinstance(peer.error, TimeoutError)


def from_origin(origin: bytes, **more: Any) -> Any:
    return websocket_scope(headers=[(b"origin", origin)], **more)


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (
            b"https://evil.example",
            "refused WebSocket from origin 'https://evil.example'; to let it in: origins=['https://evil.example']",
        ),
        (b"null", "refused WebSocket from origin 'null'; to let it in: origins=['null']"),
        (b"https://evil.example\x1b[31m\n", "refused WebSocket from origin 'https://evil.example\\x1b[31m\\n'"),
    ],
)
async def test_a_foreign_origin_is_refused_with_403_and_one_escaped_line_says_how_to_let_it_in(
    origin: bytes, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asgi_ws")

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        raise AssertionError

    async with Conversation(handler, from_origin(origin)) as peer:
        assert await peer.denied() == (403, b"origin not allowed")
    assert peer.error is None
    assert handler.statistics().refused == {"ORIGIN": 1}
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.INFO, line)]


@pytest.mark.parametrize(
    ("host", "line"),
    [
        (b"chat.Example.:80", "refused WebSocket for host 'chat.Example.:80'; to let it in: hosts=['chat.example']"),
        (b"a b", "refused WebSocket for host 'a b'"),
    ],
)
async def test_a_foreign_host_is_refused_with_400_and_one_line_says_how_to_let_it_in(
    host: bytes, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asgi_ws")

    @websocket_app(hosts=["other.example"])
    async def handler(ws: WebSocket) -> None:
        raise AssertionError

    scope = websocket_scope()
    scope["headers"] = [(b"host", host)]
    async with Conversation(handler, scope) as peer:
        assert await peer.denied() == (400, b"host not allowed")
    assert handler.statistics().refused == {"HOST": 1}
    assert [record.getMessage() for record in caplog.records] == [line]


@pytest.mark.parametrize("origins", [UNSAFE_ANY, ["https://evil.example"], ["https://*.example"]])
async def test_an_origin_that_is_let_in_is_accepted(origins: Any) -> None:
    @websocket_app(origins=origins)
    async def handler(ws: WebSocket) -> None:
        await ws.accept()

    async with Conversation(handler, from_origin(b"https://evil.example")) as peer:
        await peer.accepted()


async def test_a_refusal_of_a_client_that_has_left_is_no_error() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        raise AssertionError

    peer = Conversation(handler, from_origin(b"null"))
    peer.break_send(ConnectionResetError())
    async with peer:
        pass
    assert peer.error is None


async def test_no_more_connections_are_let_in_than_the_limit_and_a_place_is_free_again_after() -> None:
    @websocket_app(limits=Limits(max_connections=1))
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()

    async with Conversation(handler) as first:
        await first.accepted()
        assert handler.statistics().open == 1
        async with Conversation(handler) as second:
            assert await second.denied() == (503, b"too many connections")
        first.leave()
    async with Conversation(handler) as third:
        await third.accepted()
        third.leave()
    statistics = handler.statistics()
    assert (statistics.open, statistics.accepted, statistics.refused) == (0, 2, {"CONNECTIONS": 1})


async def test_one_address_is_let_in_as_often_as_its_limit_says_and_others_are_not_counted_with_it() -> None:
    @websocket_app(limits=Limits(max_connections_per_client=1))
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()

    async with Conversation(handler) as first:
        await first.accepted()
        async with Conversation(handler, websocket_scope(client=("192.0.2.7", 50001))) as same:
            assert await same.denied() == (429, b"too many connections from this address")
        for client in (("192.0.2.8", "50000"), None):
            async with Conversation(handler, websocket_scope(client=client)) as other:
                await other.accepted()
                other.leave()
        first.leave()
    async with Conversation(handler) as again:
        await again.accepted()
        again.leave()
