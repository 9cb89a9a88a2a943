"""The calls of a WebSocket in a handler, and their results."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asgi_ws import (
    ConnectionClosed,
    Headers,
    InvalidHeader,
    InvalidJSON,
    InvalidMessage,
    InvalidStatus,
    InvalidSubprotocol,
    JSONCodec,
    UnexpectedMessageType,
    WebSocket,
    WebSocketApp,
    websocket_app,
)
from asgi_ws._asgi import Event
from asgi_ws.testing import Accepted, Denied, WebSocketCommunicator
from asgi_ws.testing.servers.profiles import PROFILES

from ..asgi import websocket_scope
from ..outcomes import outcome, refusal, told

Handler = Callable[[WebSocket], Awaitable[None]]


def results_of(calls: Callable[[WebSocket], Awaitable[Any]]) -> tuple[WebSocketApp, list[Any]]:
    """Return a handler that accepts, and the list to which it adds the result or the error of `calls`."""
    results: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            results.append(await calls(ws))
        except Exception as error:
            results.append(error)
            raise

    return handler, results


@pytest.mark.parametrize("server", PROFILES)
async def test_a_text_and_a_binary_message_arrive_as_str_and_bytes_also_empty_ones(server: str) -> None:
    messages: list[str | bytes] = ["héllo", b"\x00\xff", "", b""]

    async def calls(ws: WebSocket) -> list[str | bytes]:
        return [await ws.receive() for _ in messages]

    handler, results = results_of(calls)
    async with WebSocketCommunicator(handler, server=server) as peer:
        await peer.connect()
        for message in messages:
            await peer.send(message)
    assert results == [messages]


async def test_send_takes_text_and_anything_like_bytes() -> None:
    async def calls(ws: WebSocket) -> None:
        for data in ("text", "", b"bytes", bytearray(b"array"), memoryview(b"view")):
            await ws.send(data)

    handler, _ = results_of(calls)
    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        messages = [await peer.receive() for _ in range(5)]
    assert messages == ["text", "", b"bytes", b"array", b"view"]
    assert {type(message) for message in messages[2:]} == {bytes}


async def test_a_payload_of_the_wrong_type_is_an_error_at_the_call() -> None:
    async def calls(ws: Any) -> list[Any]:
        wrong = [
            *(ws.send(data) for data in (5, None, {"type": "websocket.send"})),
            ws.send_text(b"bytes"),
            ws.send_bytes("text"),
            ws.send_json({}, mode="blob"),
            ws.receive_json(mode="blob"),
        ]
        return [type(await outcome(call)) for call in wrong]

    handler, results = results_of(calls)
    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        assert await peer.wait_closed() == (1000, "")
    assert results == [[InvalidMessage] * 7]


async def test_starlettes_names_send_and_receive_too() -> None:
    async def calls(ws: WebSocket) -> Any:
        await ws.send_text("a")
        await ws.send_bytes(b"b")
        await ws.send_json({"é": 1})
        await ws.send_json([1], mode="binary")
        return [
            await ws.receive_text(),
            await ws.receive_bytes(),
            await ws.receive_json(),
            await ws.receive_json(mode="binary"),
            await ws.receive_json(),
        ]

    handler, results = results_of(calls)
    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        for message in ("a", b"b", "{}", b"[1]", b"2"):
            await peer.send(message)
        assert [await peer.receive() for _ in range(4)] == ["a", b"b", '{"é":1}', b"[1]"]
    assert results == [["a", b"b", {}, [1], 2]]


@pytest.mark.parametrize(
    ("receive", "message", "error"),
    [
        (lambda ws: ws.receive_text(), b"x", UnexpectedMessageType("text")),
        (lambda ws: ws.receive_bytes(), "x", UnexpectedMessageType("binary")),
        (lambda ws: ws.receive_json(mode="text"), b"1", UnexpectedMessageType("text")),
        (lambda ws: ws.receive_json(mode="binary"), "1", UnexpectedMessageType("binary")),
        (lambda ws: ws.receive_json(), "{", InvalidJSON("{")),
        (lambda ws: ws.receive_json(), b"\xff", InvalidJSON(b"\xff")),
    ],
)
async def test_a_message_that_cannot_be_used_closes_with_its_code_and_is_no_error_of_the_handler(
    receive: Callable[[WebSocket], Awaitable[Any]], message: Any, error: Any
) -> None:
    handler, results = results_of(receive)
    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.send(message)
        assert (await peer.wait_closed())[0] == error.close_code
    assert type(results[0]) is type(error)
    assert str(results[0]) == str(error)


async def test_a_handler_may_catch_a_bad_message_and_go_on() -> None:
    async def calls(ws: WebSocket) -> Any:
        with pytest.raises(InvalidJSON):
            await ws.receive_json()
        return await ws.receive_json()

    handler, results = results_of(calls)
    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.send("nonsense")
        await peer.send("7")
    assert results == [7]


async def test_json_goes_through_the_codec_of_the_endpoint() -> None:
    codec = JSONCodec(lambda value: f"<{value}>".encode(), lambda data: f"read {data!r}")

    @websocket_app(json=codec)
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_json(await ws.receive_json())

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.send("x")
        assert await peer.receive() == "<read 'x'>"


@pytest.mark.parametrize(
    ("iterate", "messages"),
    [
        (lambda ws: ws, ["a", b"b"]),
        (lambda ws: ws.iter_text(), ["a", "b"]),
        (lambda ws: ws.iter_bytes(), [b"a", b"b"]),
        (lambda ws: ws.iter_json(), ["1", b"2"]),
        (lambda ws: ws.iter_json(mode="text"), ["1", "2"]),
    ],
)
async def test_iteration_gives_every_message_and_ends_with_the_connection(iterate: Any, messages: list[Any]) -> None:
    async def calls(ws: WebSocket) -> Any:
        return [message async for message in iterate(ws)]

    handler, results = results_of(calls)
    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        for message in messages:
            await peer.send(message)
    assert results == [[1, 2] if messages[0] == "1" else messages]


# -- the handshake


async def test_accept_sends_the_subprotocol_and_the_headers() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        assert ws.subprotocols == ["v1", "v2"]
        await ws.accept("v2", headers={"X-One": "1"})

    async with WebSocketCommunicator(handler, subprotocols=["v1", "v2"]) as peer:
        assert await peer.connect() == Accepted("v2", Headers([("x-one", "1")]))
        assert await peer.wait_closed() == (1000, "")


@pytest.mark.parametrize(
    ("offered", "names"),
    [
        (["a", " b"], ["a", "b"]),
        (["a\t", "", " "], ["a"]),
        (["a, b", "c"], ["a", "b", "c"]),
        (("a", "b"), ["a", "b"]),
        ("a, b", ["a", "b"]),
        ([""], []),
        (None, []),
    ],
)
async def test_subprotocols_are_names_however_a_transport_splits_its_header(offered: object, names: list[str]) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        assert ws.subprotocols == names
        await ws.accept(subprotocol=names[-1] if names else None)

    peer = WebSocketCommunicator(handler, subprotocols=names)
    peer.scope["subprotocols"] = offered
    sent: list[Event] = []

    async def send(event: Event) -> None:
        sent.append(event)

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    await handler(peer.scope, receive, send)
    assert sent[0]["subprotocol"] == (names[-1] if names else None)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"subprotocol": "v3"}, InvalidSubprotocol),
        ({"subprotocol": "a\r\nb"}, InvalidSubprotocol),
        ({"headers": [("x", "a\r\nset-cookie: b")]}, InvalidHeader),
        ({"headers": [("bad name", "a")]}, InvalidHeader),
        ({"headers": [(b"Sec-WebSocket-Protocol", b"v1")]}, InvalidHeader),
        ({"headers": [("Connection", "close")]}, InvalidHeader),
    ],
)
async def test_accepting_what_would_break_the_handshake_is_an_error_at_the_call_and_500(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept(**arguments)

    peer = WebSocketCommunicator(handler, subprotocols=["v1"], raise_server_exceptions=False)
    peer.scope["subprotocols"].append("a\r\nb")
    async with peer:
        assert await refusal(peer) == (500, b"Internal Server Error")
    assert type(peer.error) is error


async def test_deny_answers_with_status_headers_and_one_body() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.deny(401, "Who are you?", headers={"WWW-Authenticate": "Bearer"})
        assert ws.closed
        assert ws.close_code == 1006

    async with WebSocketCommunicator(handler) as peer:
        assert await peer.connect() == Denied(
            401,
            Headers(
                [
                    ("www-authenticate", "Bearer"),
                    ("content-length", "12"),
                    ("content-type", "text/plain; charset=utf-8"),
                ]
            ),
            b"Who are you?",
        )


@pytest.mark.parametrize("server", ["spec", "daphne"])
async def test_deny_after_accept_is_refused_also_where_it_would_be_a_close(server: str) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        assert str(await outcome(ws.deny())).startswith("deny() is not allowed")
        await ws.send("still open")

    async with WebSocketCommunicator(handler, server=server) as peer:
        await peer.connect()
        assert await peer.receive() == "still open"


async def test_deny_is_a_refusal_by_close_where_the_server_has_no_denial_responses() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.deny(401)

    async with WebSocketCommunicator(handler, server="daphne") as peer:
        assert await peer.connect() == Denied(403, Headers(), close_code=1000)
        await peer.wait()
        assert await peer.receive_nothing()


async def test_a_denial_with_a_status_that_is_no_refusal_is_an_error_at_the_call() -> None:
    statuses: list[Any] = [200, 101, 600, 299, "403", True]

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        assert {type(await outcome(ws.deny(status))) for status in statuses} == {InvalidStatus}
        await ws.deny(300)

    async with WebSocketCommunicator(handler) as peer:
        assert (await refusal(peer))[0] == 300


async def test_close_before_accept_refuses_and_keeps_the_code_for_the_log() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.close(4401, "token expired")
        assert (ws.close_code, ws.close_reason) == (4401, "token expired")

    async with WebSocketCommunicator(handler) as peer:
        assert await peer.connect() == Denied(403, Headers(), close_code=4401)


async def test_accept_raises_when_the_client_left_before_it() -> None:
    raised: list[Exception] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await peer.abort()
        try:
            await ws.accept()
        except ConnectionClosed as error:
            raised.append(error)
            raise

    async with WebSocketCommunicator(handler) as peer:
        assert told(await outcome(peer.connect())) == (1006, "")
    assert [str(error) for error in raised] == ["connection closed with code 1006"]


async def test_a_client_that_left_before_the_handler_accepts_is_a_closed_connection_for_every_call() -> None:
    seen: list[int] = []

    async def receive() -> Event:
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(event: Event) -> None:
        raise AssertionError(f"{event['type']} was sent to nobody")

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        for call in (ws.accept, ws.accept, ws.receive):
            with pytest.raises(ConnectionClosed) as caught:
                await call()
            seen.append(caught.value.code)

    await handler(websocket_scope(), receive, send)
    assert seen == [1006, 1006, 1006]
