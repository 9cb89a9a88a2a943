"""The network of a WebSocket in memory: a peer that does not read, an application that does not receive, lost ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asgi_ws import ConnectionClosed, Limits, WebSocket, websocket_app
from asgi_ws._asgi import ASGIApp, Receive, Scope, Send
from asgi_ws.testing import ApplicationEnded, VirtualClock, WaitTimeout, WebSocketCommunicator

from ..outcomes import until
from .applications import ACCEPT, CLOSE, TIMEOUT, accepts, connected, echo, fails, sends, text, until_left

KIB = 1024


def sends_and_counts(sent: list[int], count: int, size: int = KIB) -> ASGIApp:
    """Return an application that sends `count` messages on request, and records each in `sent`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await receive()
        for number in range(count):
            await send(text("x" * size))
            sent.append(number)
        await until_left(receive)

    return app


# -- a peer that does not read


@asynccontextmanager
async def blocked(app: ASGIApp, **options: Any) -> AsyncIterator[WebSocketCommunicator]:
    """Open a connection whose peer does not read, and wait until a send is blocked."""
    async with connected(app, **options) as ws:
        ws.pause_reading()
        await ws.send("go")
        await ws.wait_blocked()
        yield ws


async def test_send_waits_for_a_peer_that_does_not_read_once_the_mark_is_passed() -> None:
    sent: list[int] = []
    async with blocked(sends_and_counts(sent, 10), high_water=4 * KIB) as ws:
        # The fifth message passes the mark and waits.
        assert (len(sent), ws.unread_bytes) == (4, 5 * KIB)
        ws.resume_reading()
        for _ in range(10):
            assert await ws.receive() == "x" * KIB
        assert (len(sent), ws.unread_bytes) == (10, 0)


async def test_what_came_before_the_pause_can_be_received() -> None:
    async with connected(echo) as ws:
        await ws.send("1")
        assert not await ws.receive_nothing()
        ws.pause_reading()
        assert await ws.receive() == "1"
        with pytest.raises(RuntimeError, match="call resume_reading"):
            await ws.receive()


async def test_a_time_out_tells_of_a_send_that_waits() -> None:
    sent: list[int] = []
    app = sends_and_counts(sent, 10)

    async def use(ws: WebSocketCommunicator) -> None:
        await ws.connect()
        ws.pause_reading()
        await ws.send("go")
        await ws.wait_blocked()
        await ws.wait()

    message = str(await fails(WaitTimeout, app, use, high_water=4 * KIB))
    assert "in app\n        await send(text(" in message
    assert "    waiting in send() for the peer to read\n" in message
    assert message.endswith("1 of its sends wait for the peer to read 5120 bytes: resume_reading()")


async def test_a_send_that_waits_raises_when_the_peer_leaves() -> None:
    met: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await receive()
        try:
            await send(text("x" * KIB))
        except OSError as error:
            met.append(error)

    async with blocked(app, high_water=0):
        pass
    assert [str(error) for error in met] == ["the peer has left"]


async def test_a_send_that_is_cancelled_while_it_waits_has_sent_its_message() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await receive()
        sending = asyncio.ensure_future(send(text("x")))
        await receive()
        sending.cancel()
        await asyncio.wait([sending])
        await send(text("y"))
        await until_left(receive)

    async with blocked(app, high_water=0) as ws:
        await ws.send("cancel it")
        ws.resume_reading()
        assert [await ws.receive(), await ws.receive()] == ["x", "y"]


async def test_on_daphne_send_never_waits_and_the_test_is_told_so_at_once() -> None:
    sent: list[int] = []
    async with connected(sends_and_counts(sent, 500), server="daphne", timeout=60) as ws:
        ws.pause_reading()
        await ws.send("go")
        await until(lambda: len(sent) == 500)
        assert ws.unread_bytes == 500 * KIB
        with pytest.raises(RuntimeError, match="daphne never makes a sender wait: it takes everything at once"):
            await ws.wait_blocked()


async def test_a_peer_reads_ahead_of_the_test_within_a_bound() -> None:
    sent: list[int] = []
    async with connected(sends_and_counts(sent, 2000, 16 * KIB)) as ws:
        await ws.send("go")
        await ws.wait_blocked()
        ahead = len(sent)
        assert 0 < ahead < 2000
        for _ in range(2000):
            await ws.receive()
        assert len(sent) == 2000


async def test_empty_messages_are_bounded_as_well() -> None:
    sent: list[int] = []
    async with blocked(sends_and_counts(sent, 1000, 0), high_water=100):
        assert len(sent) == 100


# -- an application that does not receive


async def test_the_peer_can_push_4_mib_and_then_waits_for_the_application() -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await go_on.wait()
        await until_left(receive)

    async with connected(app, timeout=TIMEOUT) as ws:
        for _ in range(4):
            await ws.send(bytes(KIB * KIB))
        with pytest.raises(WaitTimeout) as late:
            await ws.send("x")
        assert late.value.awaited == "room for another message"
        assert "the application was sent and has not received the last 4:" in str(late.value)
        assert "await go_on.wait()" in str(late.value)
        go_on.set()
        await ws.send("x")


async def test_a_message_that_a_server_takes_for_too_long_ends_the_connection_with_1009() -> None:
    async with connected(echo, server="uvicorn") as ws:
        await ws.send(bytes(16 * KIB * KIB + 1))
        assert (await ws.wait_closed())[0] == 1009


@pytest.mark.parametrize("server", ["uvicorn", "asgi_ws"])
async def test_an_endpoint_s_own_limit_is_kept_and_counted_by_it_or_by_its_server(server: str) -> None:
    @websocket_app(limits=Limits(max_message_bytes=10))
    async def app(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(ConnectionClosed, match="1009"):
            await ws.receive()

    async with connected(app, server=server) as ws:
        await ws.send(bytes(11))
        assert (await ws.wait_closed())[0] == 1009
    assert app.statistics().refused["MESSAGE_BYTES"] == 1


# -- ends that are lost


def notes_the_end(met: list[Any]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        met.append(await until_left(receive))

    return app


@pytest.mark.parametrize(("server", "code"), [("spec", 1006), ("uvicorn", 1005), ("hypercorn", 1006)])
async def test_an_abort_reaches_the_application_as_that_server_tells_it(server: str, code: int) -> None:
    met: list[Any] = []
    async with connected(notes_the_end(met), server=server) as ws:
        await ws.abort()
        assert (ws.close_code, ws.close_reason) == (1006, "")
        with pytest.raises(ConnectionClosed):
            await ws.send("x")
        await ws.wait()
    assert met == [{"type": "websocket.disconnect", "code": code}]


async def test_an_abort_before_the_handshake_is_answered_reaches_the_application() -> None:
    met: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        met.append(await receive())

    async with WebSocketCommunicator(app) as ws:
        connecting = asyncio.create_task(ws.connect())
        await asyncio.sleep(0)
        await ws.abort()
        with pytest.raises(ConnectionClosed):
            await connecting
    assert met == [{"type": "websocket.disconnect", "code": 1006}]


async def test_a_lost_connection_is_told_to_neither_end_until_the_server_finds_out() -> None:
    met: list[Any] = []
    async with connected(notes_the_end(met), timeout=TIMEOUT) as ws:
        ws.lose_connection()
        await ws.send("lost")
        with pytest.raises(WaitTimeout):
            await ws.receive()
        with pytest.raises(WaitTimeout, match="the connection to end"):
            await ws.wait_closed()
        assert met == []
        await ws.abort()
        await ws.wait()
        assert await ws.wait_closed() == (1006, "")
    assert met == [{"type": "websocket.disconnect", "code": 1006}]


async def test_what_is_sent_into_a_lost_connection_fills_the_buffers_and_then_waits() -> None:
    sent: list[int] = []
    async with connected(sends_and_counts(sent, 10), high_water=4 * KIB) as ws:
        await ws.send("go")
        ws.lose_connection()
        await ws.wait_blocked()
        assert len(sent) == 4
        ws.resume_reading()
        assert ws.unread_bytes == 5 * KIB
        await ws.abort()
        await asyncio.wait([ws.future])
    assert isinstance(ws.error, OSError)


async def test_a_close_into_a_lost_connection_is_the_end_for_the_peer_alone() -> None:
    met: list[Any] = []
    async with connected(notes_the_end(met)) as ws:
        ws.lose_connection()
        await ws.close(4001)
        assert (ws.close_code, met) == (1006, [])
    assert met == [{"type": "websocket.disconnect", "code": 1006}]


async def test_an_extension_that_ends_the_connection_ends_it() -> None:
    app = sends(ACCEPT, {"type": "asgi_ws.abort"})
    async with connected(app, extensions={"asgi_ws.abort": {}}) as ws:
        assert await ws.wait_closed() == (1006, "")
        assert ws.extension_events == [{"type": "asgi_ws.abort"}]


# -- virtual time


async def test_a_wait_in_a_time_that_stands_still_fails_in_real_time_with_a_hint() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await asyncio.sleep(5)
        await send(text("late"))
        await asyncio.Event().wait()

    with VirtualClock() as clock:
        async with connected(app, timeout=TIMEOUT) as ws:
            with pytest.raises(WaitTimeout) as late:
                await ws.receive()
            hint = "\n  virtual time stands still (the next timer is due in 5 s): move it with advance()"
            assert str(late.value).endswith(hint)
            assert await ws.receive_nothing()
            await clock.advance(5)
            assert not await ws.receive_nothing()
            assert await ws.receive() == "late"
            with pytest.raises(WaitTimeout, match=r"stands still \(no timer is due\)"):
                await ws.receive()
            ws.stop()


async def test_in_virtual_time_nothing_is_received_of_an_application_that_was_not_looked_at_before() -> None:
    with VirtualClock():
        async with WebSocketCommunicator(sends(CLOSE)) as ws:
            await ws.send_input({"type": "websocket.connect"})
            assert not await ws.receive_nothing()


async def test_a_connection_to_an_application_that_ended_unheard_is_told() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)

    async with connected(app, server="daphne") as ws:
        with pytest.raises(ApplicationEnded, match="returned without closing the connection, which daphne leaves open"):
            await ws.receive()
