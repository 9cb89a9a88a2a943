"""Admission: the time to accept, origins and hosts, and the number of connections."""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

import pytest

from asgi_ws import SAME_ORIGIN, UNSAFE_ANY, ConnectionClosed, Limits, WebSocket, websocket_app
from asgi_ws._asgi import Event, Receive, Scope, Send
from asgi_ws.testing import VirtualClock, WebSocketCommunicator

from ..asgi import websocket_scope
from ..odd_servers import Gate
from ..outcomes import outcome, refusal, told


async def test_a_handler_that_does_not_accept_in_time_is_cancelled_and_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[str] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with VirtualClock() as clock:
        async with WebSocketCommunicator(handler) as peer:
            connecting = asyncio.create_task(refusal(peer))
            await clock.advance(9.9)
            assert not connecting.done()
            await clock.advance(0.1)
            assert await connecting == (503, b"not accepted in time")
    assert seen == ["cancelled"]
    assert handler.statistics().refused == {"ACCEPT_TIMEOUT": 1}
    assert [(record.levelno, record.name) for record in caplog.records] == [(logging.WARNING, "asgi_ws")]


@pytest.mark.parametrize("answer", ["accept", "deny"])
async def test_a_handler_that_answers_while_it_is_cancelled_for_its_slowness_is_still_answered_once(
    answer: str,
) -> None:
    @websocket_app(limits=Limits(accept_timeout=1))
    async def handler(ws: WebSocket) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await getattr(ws, answer)()

    server = Gate(handler)
    server.open.set()
    with VirtualClock() as clock:
        async with WebSocketCommunicator(server) as peer:
            connecting = asyncio.create_task(peer.connect())
            await clock.advance(1)
            assert (await connecting).accepted == (answer == "accept")
            await peer.wait()
    assert [event["type"] for event in server.begun] == {
        "accept": ["websocket.accept", "websocket.close"],
        "deny": ["websocket.http.response.start", "websocket.http.response.body"],
    }[answer]


@pytest.mark.parametrize("timeout", [1, None])
async def test_the_time_to_accept_is_no_limit_after_accept(timeout: float | None) -> None:
    @websocket_app(limits=Limits(accept_timeout=timeout))
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await asyncio.sleep(60)
        await ws.send("still here")

    with VirtualClock() as clock:
        async with WebSocketCommunicator(handler) as peer:
            await peer.connect()
            await clock.advance(60)
            assert await peer.receive() == "still here"


async def test_a_handler_that_outlives_its_cancellation_for_slowness_is_not_cancelled_again() -> None:
    seen: list[int] = []

    @websocket_app(limits=Limits(accept_timeout=1))
    async def handler(ws: WebSocket) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.sleep(10)
        await ws.accept()

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(scope, receive, send)
        task = asyncio.current_task()
        assert task is not None
        seen.append(task.cancelling())

    with VirtualClock() as clock:
        async with WebSocketCommunicator(outer) as peer:
            connecting = asyncio.create_task(peer.connect())
            await clock.advance(11)
            assert (await connecting).accepted
            await peer.wait()
    # asyncio.Task.uncancel: the timeout takes its cancellation back.
    assert seen == [0]


async def test_a_server_that_stops_in_the_moment_of_the_time_limit_stops_the_handler() -> None:
    @websocket_app(limits=Limits(accept_timeout=1))
    async def handler(ws: WebSocket) -> None:
        await asyncio.Event().wait()

    events: list[str] = []

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        events.append(event["type"])

    with VirtualClock() as clock:
        task = asyncio.create_task(handler(websocket_scope(), receive, send))
        # The limit's timer is set in the second iteration of the loop.
        await clock.advance(0)
        asyncio.get_running_loop().call_later(1, task.cancel)
        await clock.advance(1)
        with pytest.raises(asyncio.CancelledError):
            await task
    assert events == ["websocket.close"]


async def test_a_handler_whose_cleanup_is_too_slow_as_well_is_refused_for_its_slowness() -> None:
    @websocket_app(limits=Limits(accept_timeout=1))
    async def handler(ws: WebSocket) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            async with asyncio.timeout(1):
                await asyncio.Event().wait()

    with VirtualClock() as clock:
        async with WebSocketCommunicator(handler) as peer:
            connecting = asyncio.create_task(refusal(peer))
            await clock.advance(1)
            await clock.advance(1)
            assert await connecting == (503, b"not accepted in time")
    assert handler.statistics().failed == 0


async def test_each_connection_has_its_own_time_to_accept() -> None:
    late = asyncio.Event()

    @websocket_app(limits=Limits(accept_timeout=10))
    async def handler(ws: WebSocket) -> None:
        if ws.scope["path"] != "/late":
            await asyncio.Event().wait()
        late.set()
        await asyncio.sleep(9)
        await ws.accept()
        await ws.wait_closed()

    with VirtualClock() as clock:
        async with WebSocketCommunicator(handler) as first, WebSocketCommunicator(handler, "/late") as second:
            one = asyncio.create_task(refusal(first))
            await clock.advance(5)
            two = asyncio.create_task(second.connect())
            await late.wait()
            await clock.advance(5)
            assert (await one)[0] == 503
            assert not two.done()
            await clock.advance(4)
            assert (await two).accepted
            await clock.advance(20)
            await second.close()


def test_the_time_to_accept_holds_in_every_loop_that_an_endpoint_is_used_in() -> None:
    @websocket_app(limits=Limits(accept_timeout=1))
    async def handler(ws: WebSocket) -> None:
        await asyncio.Event().wait()

    async def connect() -> int:
        with VirtualClock() as clock:
            async with WebSocketCommunicator(handler) as peer:
                connecting = asyncio.create_task(refusal(peer))
                await clock.advance(1)
                status, _ = await connecting
                return status

    assert [asyncio.run(connect()), asyncio.run(connect())] == [503, 503]


async def test_the_time_to_accept_counts_what_the_handler_does_before_it_waits() -> None:
    @websocket_app(limits=Limits(accept_timeout=0.05))
    async def handler(ws: WebSocket) -> None:
        # The handler blocks the loop, as synchronous code does.
        time.sleep(0.1)
        await asyncio.Event().wait()

    async with WebSocketCommunicator(handler) as peer:
        assert (await refusal(peer))[0] == 503
    assert handler.statistics().refused == {"ACCEPT_TIMEOUT": 1}


async def test_a_server_is_not_cancelled_after_a_handler_that_returned_without_an_answer() -> None:
    @websocket_app(limits=Limits(accept_timeout=1))
    async def handler(ws: WebSocket) -> None:
        pass

    ended: list[str] = []

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(scope, receive, send)
        await asyncio.sleep(2)
        ended.append("by itself")

    with VirtualClock() as clock:
        async with WebSocketCommunicator(outer) as peer:
            assert (await refusal(peer))[0] == 403
            await clock.advance(2)
            await peer.wait()
    assert ended == ["by itself"]


async def test_a_task_that_was_cancelled_before_is_told_from_one_that_is_cancelled_for_its_slowness() -> None:
    @websocket_app(limits=Limits(accept_timeout=1))
    async def handler(ws: WebSocket) -> None:
        await asyncio.Event().wait()

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        await handler(scope, receive, send)
        task.uncancel()

    with VirtualClock() as clock:
        async with WebSocketCommunicator(outer) as peer:
            connecting = asyncio.create_task(refusal(peer))
            await clock.advance(1)
            assert await connecting == (503, b"not accepted in time")


async def test_a_handler_whose_client_left_before_accept_is_not_cancelled_for_its_slowness() -> None:
    seen: list[str] = []

    async def receive() -> Event:
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(event: Event) -> None:
        raise AssertionError(f"{event['type']} was sent to nobody")

    @websocket_app(limits=Limits(accept_timeout=1))
    async def handler(ws: WebSocket) -> None:
        with suppress(ConnectionClosed):
            await ws.accept()
        await asyncio.sleep(2)
        seen.append("done")

    with VirtualClock() as clock:
        task = asyncio.create_task(handler(websocket_scope(), receive, send))
        await clock.advance(2)
        await task
    assert seen == ["done"]


async def test_a_time_out_of_the_handlers_own_is_its_mistake() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    async with WebSocketCommunicator(handler, raise_server_exceptions=False) as peer:
        assert (await refusal(peer))[0] == 500
    assert isinstance(peer.error, TimeoutError)


# Four labels of 63, 63, 63 and 61 characters with their dots (RFC 1035 section 2.3.4).
_LONGEST_NAME = ".".join(["a" * 63] * 3 + ["a" * 61])
HOSTS = {"hosts": ["other.example"]}


REFUSED: list[tuple[dict[str, Any], bytes, bytes, str]] = [
    (
        {}, b"origin", b"https://evil.example",
        "from origin 'https://evil.example'; to let it in: origins=['https://evil.example']",
    ),
    ({}, b"origin", b"null", "from origin 'null'; to let it in: origins=['null']"),
    ({}, b"origin", b"https://evil.example\x1b[31m\r\n", "from origin 'https://evil.example\\x1b[31m\\r\\n'"),
    # A hint that is cut could not be copied, and no host name is as long as that.
    ({}, b"origin", b"https://" + b"a" * 8000, f"from origin 'https://{'a' * 268}..."),
    ({}, b"origin", b"\xe9" * 8000, "from origin '" + r"\xe9" * 69 + "..."),
    (
        {}, b"origin", f"https://{_LONGEST_NAME}:8443".encode(),
        "from origin '{0}'; to let it in: origins=['{0}']".format(f"https://{_LONGEST_NAME}:8443"),
    ),
    (HOSTS, b"host", b"chat.Example.:80", "for host 'chat.Example.:80'; to let it in: hosts=['chat.example']"),
    (HOSTS, b"host", b"a b", "for host 'a b'"),
    (HOSTS, b"host", b"a" * 8000, f"for host '{'a' * 276}..."),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "name", "value", "line"), REFUSED)
async def test_a_foreign_origin_or_host_is_refused_and_one_escaped_line_says_how_to_let_it_in(
    policy: dict[str, Any], name: bytes, value: bytes, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asgi_ws")

    @websocket_app(**policy)
    async def handler(ws: WebSocket) -> None:
        raise AssertionError

    peer = WebSocketCommunicator(handler)
    peer.scope["headers"] = [*((key, text) for key, text in peer.scope["headers"] if key != name), (name, value)]
    async with peer:
        assert await refusal(peer) == (
            (403, b"origin not allowed") if name == b"origin" else (400, b"host not allowed")
        )
    statistics = handler.statistics()
    assert statistics.refused == {name.decode().upper(): 1}
    assert (statistics.accepted, statistics.open, statistics.failed) == (0, 0, 0)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.INFO, f"refused WebSocket {line}")
    ]


async def test_a_server_without_denial_closes_a_foreign_origin_instead() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        raise AssertionError

    async with WebSocketCommunicator(handler, origin="http://evil.example", server="daphne") as peer:
        assert await refusal(peer) == (403, b"")


@pytest.mark.parametrize("origins", [UNSAFE_ANY, ["https://evil.example"], ["https://*.example"], SAME_ORIGIN])
async def test_an_origin_that_is_let_in_is_accepted(origins: Any) -> None:
    @websocket_app(origins=origins)
    async def handler(ws: WebSocket) -> None:
        await ws.accept()

    origin = "http://testserver" if origins is SAME_ORIGIN else "https://evil.example"
    async with WebSocketCommunicator(handler, origin=origin) as peer:
        assert (await peer.connect()).accepted


async def test_a_refusal_of_a_client_that_has_left_is_no_error() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        raise AssertionError

    async with WebSocketCommunicator(handler, origin="null") as peer:
        connecting = asyncio.create_task(outcome(peer.connect()))
        await asyncio.sleep(0)
        await peer.abort()
        assert told(await connecting) == (1006, "")
    assert handler.statistics().refused == {"ORIGIN": 1}


async def test_no_more_connections_are_let_in_than_the_limit_and_a_place_is_free_again_after() -> None:
    @websocket_app(limits=Limits(max_connections=1))
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()

    async with WebSocketCommunicator(handler) as first:
        await first.connect()
        assert handler.statistics().open == 1
        async with WebSocketCommunicator(handler) as second:
            assert await refusal(second) == (503, b"too many connections")
    async with WebSocketCommunicator(handler) as third:
        assert (await third.connect()).accepted
    statistics = handler.statistics()
    assert (statistics.open, statistics.accepted, statistics.refused) == (0, 2, {"CONNECTIONS": 1})


async def test_one_address_is_let_in_as_often_as_its_limit_says_and_others_are_not_counted_with_it() -> None:
    @websocket_app(limits=Limits(max_connections_per_client=1))
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()

    async with WebSocketCommunicator(handler, client=("192.0.2.7", 50000)) as first:
        await first.connect()
        # granian has the port as str.
        for server in ("spec", "granian"):
            async with WebSocketCommunicator(handler, client=("192.0.2.7", 50001), server=server) as same:
                assert await refusal(same) == (429, b"too many connections from this address")
        for client in (("192.0.2.8", 50000), None):
            async with WebSocketCommunicator(handler, client=client) as other:
                assert (await other.connect()).accepted
    async with WebSocketCommunicator(handler, client=("192.0.2.7", 50000)) as again:
        assert (await again.connect()).accepted
