"""A close by the application, after messages that the test has not received or the peer has not read."""

import asyncio

import pytest

from asgi_ws import ConnectionClosed
from asgi_ws._asgi import ASGIApp, Receive, Scope, Send
from asgi_ws.testing.communicator import READ_AHEAD_MESSAGES

from .applications import ACCEPT, CLOSE, accepts, connected, sends, text, until_left
from .tasks import turns

BYE = {**CLOSE, "code": 4001, "reason": "bye"}
# More than the peer reads ahead.
MANY = READ_AHEAD_MESSAGES + 10


async def sends_many(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)
    for _ in range(MANY):
        await send(text("x"))
    await send(BYE)
    await until_left(receive)


def goes_on(first: ASGIApp) -> tuple[ASGIApp, asyncio.Event]:
    """Return the application with an event, until which it does not end."""
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await first(scope, receive, send)
        await go_on.wait()

    return app, go_on


async def closes_when_asked(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)
    await receive()
    await send(text("1"))
    await send(text("2"))
    await send(BYE)
    await until_left(receive)


@pytest.mark.parametrize("call", ["wait_closed", "close", "abort"])
async def test_a_close_behind_more_messages_than_the_peer_reads_ahead_is_the_end(call: str) -> None:
    async with connected(sends_many) as ws:
        if call != "wait_closed":
            # It ends once it has sent everything and received its own disconnect event.
            await ws.wait()
            assert ws.unread_bytes
        await getattr(ws, call)()
        assert (ws.close_code, ws.close_reason) == (4001, "bye")
        assert await ws.wait_closed() == (4001, "bye")
        for _ in range(MANY):
            assert await ws.receive() == "x"
        with pytest.raises(ConnectionClosed) as closed:
            await ws.receive()
        assert (closed.value.code, closed.value.reason) == (4001, "bye")


async def test_such_a_close_is_the_end_though_the_application_goes_on() -> None:
    app, go_on = goes_on(sends_many)
    async with connected(app, timeout=600) as ws:
        assert await ws.wait_closed() == (4001, "bye")
        go_on.set()


async def test_a_close_that_the_peer_does_not_read_is_seen_once_it_reads() -> None:
    async with connected(closes_when_asked) as ws:
        ws.pause_reading()
        await ws.send("go")
        with pytest.raises(RuntimeError, match="does not read: call resume_reading\\(\\) before wait_closed\\(\\)"):
            await ws.wait_closed()
        assert ws.close_code is None
        ws.resume_reading()
        assert [await ws.receive(), await ws.receive()] == ["1", "2"]
        with pytest.raises(ConnectionClosed) as closed:
            await ws.receive()
        assert (closed.value.code, closed.value.reason) == (4001, "bye")
        assert await ws.wait_closed() == (4001, "bye")


async def test_the_peer_may_read_again_while_the_test_waits_for_the_end() -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await closes_when_asked(scope, receive, send)
        asyncio.get_running_loop().call_soon(ws.resume_reading)
        await go_on.wait()

    async with connected(app) as ws:
        ws.pause_reading()
        await ws.send("go")
        assert await ws.wait_closed() == (4001, "bye")
        go_on.set()


async def test_a_close_that_waits_unread_is_told_at_once_though_the_application_goes_on() -> None:
    app, go_on = goes_on(closes_when_asked)
    async with connected(app, timeout=60) as ws:
        ws.pause_reading()
        await ws.send("go")
        await turns()
        assert ws.unread_bytes
        with pytest.raises(RuntimeError, match="call resume_reading"):
            await ws.wait_closed()
        go_on.set()


async def test_a_peer_that_does_not_read_closes_without_knowing_of_the_applications_close() -> None:
    async with connected(closes_when_asked) as ws:
        ws.pause_reading()
        await ws.send("go")
        await ws.wait()
        await ws.close(4002)
        assert ws.close_code == 4002


async def test_a_close_into_a_lost_connection_never_arrives() -> None:
    async with connected(closes_when_asked) as ws:
        await ws.send("go")
        ws.lose_connection()
        await ws.wait()
        assert await ws.wait_closed() == (1006, "")
        with pytest.raises(ConnectionClosed) as closed:
            await ws.receive()
        assert type(closed.value) is ConnectionClosed
        assert closed.value.code == 1006


async def test_the_application_has_sent_its_close_before_the_connection_is_lost() -> None:
    async with connected(sends(ACCEPT, text("1"), BYE)) as ws:
        await ws.wait()
        ws.lose_connection()
        assert await ws.wait_closed() == (4001, "bye")
