"""A WebSocket in memory: the handshake and messages, as the test sees them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asgi_ws import ConnectionClosed, InvalidJSON, InvalidMessage
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import Accepted, Denied, HandshakeDenied, HandshakeFailed, WaitTimeout, WebSocketCommunicator

from .applications import ACCEPT, CLOSE, TIMEOUT, accepts, connected, echo, sends, until_left

START = {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"token")]}
BODY = "websocket.http.response.body"

ANSWER = "an answer to websocket.connect (websocket.accept or websocket.close)"


# -- the handshake


async def test_an_accepted_handshake_has_its_subprotocol_and_headers() -> None:
    app = sends({**ACCEPT, "subprotocol": "b", "headers": [(b"x-room", b"1"), (b"x-room", b"2")]})
    async with WebSocketCommunicator(app, subprotocols=["a", "b"]) as ws:
        before = ws.accepted_subprotocol
        answer = await ws.connect()
        assert before is None
        assert isinstance(answer, Accepted)
        assert answer.accepted
        assert (answer.subprotocol, ws.accepted_subprotocol) == ("b", "b")
        assert answer.headers.getlist("X-Room") == ["1", "2"]


async def test_a_handshake_without_a_choice_of_subprotocol_is_accepted_by_a_client_that_is_no_browser() -> None:
    async with WebSocketCommunicator(sends(ACCEPT), subprotocols=["a"]) as ws:
        assert (await ws.connect()).accepted
        assert ws.accepted_subprotocol is None


@pytest.mark.parametrize("options", [{"origin": "https://example.org"}, {"headers": {"Origin": "null"}}])
async def test_a_browser_refuses_a_handshake_that_selects_none_of_its_subprotocols(options: dict[str, Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        assert (await until_left(receive))["code"] == 1006

    async with WebSocketCommunicator(app, subprotocols=["a", "b"], **options) as ws:
        with pytest.raises(HandshakeFailed) as failed:
            await ws.connect()
        assert str(failed.value) == (
            "the application accepted none of the subprotocols ['a', 'b']: a browser fails this handshake\n"
            '  see:   the Fetch standard, "Establish a WebSocket connection"'
        )
        assert failed.value.clause == 'the Fetch standard, "Establish a WebSocket connection"'
        with pytest.raises(ConnectionClosed):
            await ws.receive()


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([{"type": BODY, "body": b"no"}], b"no"),
        ([{"type": BODY, "body": b"n", "more_body": True}, {"type": BODY, "body": b"o"}], b"no"),
        ([{"type": BODY, "more_body": True}, {"type": BODY, "body": b"no", "more_body": True}, {"type": BODY}], b"no"),
        ([{"type": BODY}], b""),
    ],
)
async def test_a_denied_handshake_has_its_status_headers_and_whole_body(parts: list[Any], body: bytes) -> None:
    async with WebSocketCommunicator(sends(START, *parts)) as ws:
        answer = await ws.connect()
        assert isinstance(answer, Denied)
        assert not answer.accepted
        assert (answer.status, answer.headers["x-why"], answer.body, answer.close_code) == (401, "token", body, None)


async def test_a_refused_handshake_is_a_403() -> None:
    async with WebSocketCommunicator(sends(CLOSE)) as ws:
        answer = await ws.connect()
        assert isinstance(answer, Denied)
        assert (answer.status, len(answer.headers), answer.body, answer.close_code) == (403, 0, b"", 1000)


USES: dict[str, Callable[[WebSocketCommunicator], Awaitable[object]]] = {
    "receive": lambda ws: ws.receive(),
    "receive_json": lambda ws: ws.receive_json(),
    "close": lambda ws: ws.close(),
    "wait_closed": lambda ws: ws.wait_closed(),
    "wait_blocked": lambda ws: ws.wait_blocked(),
    "send": lambda ws: ws.send("x"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_a_call_that_needs_a_connection_says_that_there_is_none_yet_or_that_it_was_denied(
    use: Callable[[WebSocketCommunicator], Awaitable[object]],
) -> None:
    async with WebSocketCommunicator(sends(CLOSE)) as ws:
        with pytest.raises(RuntimeError, match="call connect"):
            await use(ws)
        await ws.connect()
        with pytest.raises(HandshakeDenied) as denied:
            await use(ws)
        assert str(denied.value) == "the handshake was denied with HTTP 403, so the connection does not exist"
        assert (denied.value.status, denied.value.code) == (403, 1006)


async def test_a_communicator_is_one_block_and_one_connection_within_it() -> None:
    ws = WebSocketCommunicator(echo)
    with pytest.raises(RuntimeError, match="enter the block first: async with WebSocketCommunicator"):
        await ws.connect()
    async with ws:
        with pytest.raises(RuntimeError, match="call connect"):
            await ws.abort()
        await ws.connect()
        with pytest.raises(RuntimeError, match="is one connection"):
            await ws.connect()
        with pytest.raises(RuntimeError, match="a WebSocketCommunicator can be used once: make another one"):
            await ws.__aenter__()
    with pytest.raises(RuntimeError, match="used once"):
        await ws.__aenter__()


@pytest.mark.parametrize("timeout", [None, 0, float("inf"), float("nan")])
async def test_a_wait_has_a_bound(timeout: Any) -> None:
    with pytest.raises(ValueError, match="expected a positive number of seconds"):
        WebSocketCommunicator(echo, timeout=timeout)


@pytest.mark.parametrize("first", [ACCEPT, START])
async def test_after_a_time_out_the_handshake_can_be_waited_for_again(first: dict[str, Any]) -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if first is START:
            await send(START)
        await go_on.wait()
        await send({"type": BODY, "body": b"no"} if first is START else ACCEPT)
        await until_left(receive)

    async with WebSocketCommunicator(app, timeout=TIMEOUT) as ws:
        with pytest.raises(WaitTimeout) as late:
            await ws.connect()
        awaited = "the body of its denial response" if first is START else ANSWER
        assert (late.value.awaited, late.value.seconds) == (awaited, TIMEOUT)
        go_on.set()
        answer = await ws.connect()
        assert answer.accepted == (first is ACCEPT)


async def test_an_exception_that_the_test_does_not_want_is_the_servers_answer() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("no such room")

    async with WebSocketCommunicator(app, raise_server_exceptions=False) as ws:
        answer = await ws.connect()
        assert isinstance(answer, Denied)
        assert answer.status == 500
        assert isinstance(ws.error, LookupError)


# -- messages


@pytest.mark.parametrize("data", ["", "é\N{SNOWMAN}", b"\x00\xff", "x" * 3_000_000])
async def test_a_message_goes_there_and_back(data: str | bytes) -> None:
    async with connected(echo) as ws:
        await ws.send(data)
        assert await ws.receive() == data


@pytest.mark.parametrize("mode", ["text", "binary"])
async def test_json_goes_there_and_back_as_text_or_binary(mode: Any) -> None:
    async with connected(echo) as ws:
        await ws.send_json({"a": [1, None]}, mode)
        await ws.send_json({"a": "é"}, mode)
        assert await ws.receive() == ('{"a":[1,null]}' if mode == "text" else b'{"a":[1,null]}')
        assert await ws.receive_json() == {"a": "é"}


@pytest.mark.parametrize("data", ["{", b"\xff", ""])
async def test_what_is_no_json_is_told(data: str | bytes) -> None:
    async with connected(echo) as ws:
        await ws.send(data)
        with pytest.raises(InvalidJSON):
            await ws.receive_json()


async def test_what_is_no_message_is_not_sent() -> None:
    async with connected(echo) as ws:
        data: Any
        for data in (1, None, {"a": 1}, bytearray(1)):
            with pytest.raises(InvalidMessage, match=r"send\(\): expected str or bytes"):
                await ws.send(data)
        await ws.send("x")
        assert await ws.receive() == "x"


async def test_a_time_out_of_the_test_itself_leaves_the_application_alone() -> None:
    async with connected(echo) as ws:
        with pytest.raises(TimeoutError) as late:
            async with asyncio.timeout(0.01):
                await ws.receive()
        assert not isinstance(late.value, WaitTimeout)
        await ws.send("x")
        assert await ws.receive() == "x"


async def test_two_that_wait_for_messages_get_one_each() -> None:
    async with connected(echo) as ws:
        waiting = [asyncio.create_task(ws.receive()) for _ in range(2)]
        await asyncio.sleep(0)
        await ws.send("1")
        await ws.send("2")
        assert await asyncio.gather(*waiting) == ["1", "2"]
