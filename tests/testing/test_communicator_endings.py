"""How a WebSocket in memory ends: by the application, by the peer, or with neither."""

import asyncio
from typing import Any

import pytest

from asgi_ws import ConnectionClosed, InvalidCloseCode, InvalidCloseReason, WebSocket, websocket_app
from asgi_ws._asgi import ASGIApp, Receive, Scope, Send
from asgi_ws.testing import ApplicationEnded, ProtocolViolation, WaitTimeout, WebSocketCommunicator

from .applications import ACCEPT, CLOSE, TIMEOUT, accepts, connected, echo, sends, text, until_left

# -- the application's end


async def test_what_the_application_sent_comes_before_its_exception() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await send(text("1"))
        await send(text("2"))
        raise LookupError

    async with connected(app) as ws:
        assert [await ws.receive(), await ws.receive()] == ["1", "2"]
        with pytest.raises(LookupError):
            await ws.receive()
        # The failure is raised once. From now on the connection has ended like any other.
        with pytest.raises(ApplicationEnded, match="raised LookupError without closing the connection") as ended:
            await ws.receive()
        assert (ended.value.code, ws.close_code) == (1006, 1006)


async def test_the_applications_close_comes_after_its_messages_and_again_at_every_receive() -> None:
    async with connected(sends(ACCEPT, text("1"), {**CLOSE, "code": 4001, "reason": "bye"})) as ws:
        assert await ws.receive() == "1"
        assert (ws.close_code, ws.close_reason) == (None, None)
        for _ in range(2):
            with pytest.raises(ConnectionClosed) as closed:
                await ws.receive()
            assert (closed.value.code, closed.value.reason) == (4001, "bye")
        assert (ws.close_code, ws.close_reason) == (4001, "bye")
        with pytest.raises(ConnectionClosed):
            await ws.send("x")


async def test_wait_closed_tells_the_end_and_keeps_messages() -> None:
    async with connected(sends(ACCEPT, text("1"), CLOSE)) as ws:
        assert await ws.wait_closed() == (1000, "")
        assert await ws.wait_closed() == (1000, "")
        assert await ws.receive() == "1"
        with pytest.raises(ConnectionClosed):
            await ws.receive()


async def returns(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)
    raise LookupError


async def hides_a_breach(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)
    with pytest.raises(ProtocolViolation):
        await send({})
    await until_left(receive)


@pytest.mark.parametrize("call", ["receive", "wait_closed", "wait_blocked", "wait", "receive_output"])
@pytest.mark.parametrize(
    ("app", "error"), [(returns, ApplicationEnded), (raises, LookupError), (hides_a_breach, ProtocolViolation)]
)
async def test_every_wait_ends_at_once_with_the_application_or_its_failure(
    app: ASGIApp, error: type[Exception], call: str
) -> None:
    async with connected(app, timeout=60) as ws:
        if app is returns and call in {"wait_closed", "wait"}:
            assert await getattr(ws, call)() == {"wait_closed": (1006, ""), "wait": None}[call]
            return
        expected = EOFError if app is returns and call == "receive_output" else error
        with pytest.raises(expected):
            await getattr(ws, call)()


async def test_receive_nothing_raises_a_breach_of_the_text_that_the_application_hides() -> None:
    async with connected(hides_a_breach) as ws:
        with pytest.raises(ProtocolViolation):
            await ws.receive_nothing()


async def test_a_breach_that_was_met_does_not_end_further_waits() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        with pytest.raises(ProtocolViolation):
            await send({})
        assert (await receive())["text"] == "x"
        await send(text("y"))
        await until_left(receive)

    async with connected(app) as ws:
        with pytest.raises(ProtocolViolation):
            await ws.receive()
        with pytest.raises(WaitTimeout):
            await ws.receive_output(0.01)
        await ws.send("x")
        assert await ws.receive() == "y"


async def test_sending_to_an_application_that_raised_raises_it_once() -> None:
    async with connected(raises) as ws:
        await asyncio.wait([ws.future])
        with pytest.raises(LookupError):
            await ws.send("x")
        # The event is not read, as with a server.
        await ws.send("x")


# -- the peer's end


@pytest.mark.parametrize(
    ("code", "reason", "told", "seen"),
    [(1000, "", 1000, 1000), (4999, "bye", 4999, 4999), (1001, "é" * 61, 1001, 1001), (None, "", 1005, 1005)],
)
async def test_the_peers_close_reaches_the_application(code: int | None, reason: str, told: int, seen: int) -> None:
    met: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        met.append(await receive())

    async with connected(app) as ws:
        await ws.close(code, reason)
        assert (ws.close_code, ws.close_reason) == (seen, reason)
        assert await ws.wait_closed() == (seen, reason)
        await ws.wait()
    assert met == [{"type": "websocket.disconnect", "code": told, "reason": reason}]


async def test_a_second_close_changes_nothing() -> None:
    async with connected(echo) as ws:
        await ws.close(4001, "first")
        await ws.close(4002, "second")
        assert (ws.close_code, ws.close_reason) == (4001, "first")
        with pytest.raises(ConnectionClosed):
            await ws.send("x")
        with pytest.raises(ConnectionClosed):
            await ws.receive()


@pytest.mark.parametrize("call", ["close", "abort"])
async def test_the_applications_close_that_was_there_first_stays_the_end(call: str) -> None:
    async with connected(sends(ACCEPT, {**CLOSE, "code": 4001, "reason": "bye"})) as ws:
        assert not await ws.receive_nothing()
        await getattr(ws, call)()
        assert (ws.close_code, ws.close_reason) == (4001, "bye")


async def test_what_no_close_frame_may_carry_is_refused() -> None:
    async with connected(echo) as ws:
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000):
            with pytest.raises(InvalidCloseCode):
                await ws.close(code)
        with pytest.raises(InvalidCloseReason):
            await ws.close(1000, "x" * 124)
        assert ws.close_code is None


async def test_the_connection_closes_with_1000_when_the_block_is_left() -> None:
    met: list[int | None] = []

    @websocket_app
    async def app(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        met.append(ws.close_code)

    async with connected(app) as ws:
        pass
    assert (met, ws.close_code) == ([1000], 1000)


async def test_a_handshake_that_was_not_waited_for_is_given_up_when_the_block_is_left() -> None:
    met: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        met.append(await receive())

    async with WebSocketCommunicator(app, timeout=TIMEOUT) as ws:
        with pytest.raises(WaitTimeout):
            await ws.connect()
    assert met == [{"type": "websocket.disconnect", "code": 1006}]


async def test_a_block_without_a_handshake_runs_nothing() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    async with WebSocketCommunicator(app) as ws:
        assert ws.error is None


async def test_an_application_that_the_test_has_stopped_is_said_to_be_stopped() -> None:
    async with connected(echo) as ws:
        ws.stop()
        with pytest.raises(ApplicationEnded, match="the application was stopped without closing the connection"):
            await ws.receive()
