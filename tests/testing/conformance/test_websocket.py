"""Events that break the ASGI text: the error names the clause and shows the event."""

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import pytest

from asgi_ws import ConnectionClosed
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import Accepted, ProtocolViolation, WebSocketCommunicator
from asgi_ws.testing.errors import show

from ..applications import ACCEPT, CLOSE, TIMEOUT, accepts, connected, fails, sends, until_left

CONNECT = 'ASGI, WebSocket, "Connect - receive event"'
ON_ACCEPT = 'ASGI, WebSocket, "Accept - send event"'
SEND = 'ASGI, WebSocket, "Send - send event"'
ON_CLOSE = 'ASGI, WebSocket, "Close - send event"'
DENIAL = 'ASGI, Extensions, "Websocket Denial Response"'
EVENTS = 'ASGI, "Events"'
NOT_ONE = "exactly one of text and bytes is not None; this event has"
PAIRS = "headers are pairs of a name and a value"
HANDSHAKE_IS = "websocket.accept: the handshake is"
BODY = "websocket.http.response.body"
START = {"type": "websocket.http.response.start", "status": 401, "headers": []}


class Unhashable(str):
    """A str with its own comparison, and so without a hash."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment] # as Python sets it for a class that defines __eq__


def accept(**keys: Any) -> dict[str, Any]:
    return {**ACCEPT, **keys}


def send(**keys: Any) -> dict[str, Any]:
    return {"type": "websocket.send", **keys}


def close(**keys: Any) -> dict[str, Any]:
    return {**CLOSE, **keys}


def start(**keys: Any) -> dict[str, Any]:
    return {**START, **keys}


# The events that the application sends, of which the last is invalid; the reason; the clause.
BROKEN: Mapping[str, tuple[list[Any], str, str]] = {
    "send before accept": ([send(text="x")], f"websocket.send before {HANDSHAKE_IS} not answered yet", CONNECT),
    "accept twice": ([ACCEPT, ACCEPT], f"websocket.accept after {HANDSHAKE_IS} answered already", ON_ACCEPT),
    "accept within a denial": (
        [START, ACCEPT],
        "websocket.accept in a denial response: only its body may follow its start",
        DENIAL,
    ),
    "send after close": (
        [ACCEPT, CLOSE, send(text="x")],
        "websocket.send after the application closed the connection",
        ON_CLOSE,
    ),
    "close after close": (
        [ACCEPT, CLOSE, CLOSE],
        "websocket.close after the application closed the connection",
        ON_CLOSE,
    ),
    "unknown type": (
        [ACCEPT, {"type": "websocket.sned", "text": "x"}],
        "an application does not send 'websocket.sned' over a WebSocket",
        'ASGI, "Error Handling"',
    ),
    "no type": ([ACCEPT, {"text": "x"}], "the event does not have a type", EVENTS),
    "type of another kind": ([ACCEPT, {"type": 1}], "type: expected str, got int", EVENTS),
    "type that is no key of a dict": (
        [ACCEPT, {"type": Unhashable("websocket.close")}],
        "type: expected str, got Unhashable",
        EVENTS,
    ),
    "no dict": ([ACCEPT, "websocket.close"], "event: expected a dict, got str", EVENTS),
    "text and bytes": ([ACCEPT, send(text="x", bytes=b"x")], f"{NOT_ONE} both", SEND),
    "neither text nor bytes": ([ACCEPT, send()], f"{NOT_ONE} none of them", SEND),
    "text and bytes None": ([ACCEPT, send(text=None, bytes=None)], f"{NOT_ONE} none of them", SEND),
    "bytes where text belongs": ([ACCEPT, send(text=b"x")], "text: expected str, got bytes", SEND),
    "text where bytes belong": ([ACCEPT, send(bytes="x")], "bytes: expected bytes, got str", SEND),
    "bytearray": ([ACCEPT, send(bytes=bytearray(1))], "bytes: expected bytes, got bytearray", SEND),
    "text that is no text": (
        [ACCEPT, send(text="a\ud800")],
        r"text is sent as UTF-8, which has no '\ud800' (at 1)",
        "RFC 6455 section 5.6",
    ),
    "subprotocol that was not offered": (
        [accept(subprotocol="c")],
        "subprotocol 'c' was not offered by the client, which has ['a', 'b']",
        "RFC 6455 section 4.2.2",
    ),
    "bytes for a subprotocol": ([accept(subprotocol=b"a")], "subprotocol: expected str, got bytes", ON_ACCEPT),
    "subprotocol as a header": (
        [accept(headers=[(b"sec-websocket-protocol", b"a")])],
        "sec-websocket-protocol is no header of accept: use its subprotocol",
        ON_ACCEPT,
    ),
    "str in headers": (
        [accept(headers=[("x-a", "1")])],
        "the names and values of headers are bytes, not str: 'x-a'",
        ON_ACCEPT,
    ),
    "upper case and no pair": (
        [accept(headers=[(b"X-A", b"1"), 1])],
        "a header is a pair of a name and a value, not 1",
        ON_ACCEPT,
    ),
    "line break in a header": (
        [accept(headers=[(b"x-a", b"1\r\nx-b: 2")])],
        r"header b'x-a': b'1\r\nx-b: 2': the value has a control character",
        "RFC 9110 section 5",
    ),
    "headers as a dict": ([accept(headers={b"x-a": b"1"})], f"{PAIRS}, not dict", ON_ACCEPT),
    "None for headers": ([accept(headers=None)], f"{PAIRS}, and may be left out, but are not None", ON_ACCEPT),
    "close code that no frame has": (
        [ACCEPT, close(code=1005)],
        "close code 1005 may not be sent; use 1000-1003, 1007-1014 or 3000-4999",
        "RFC 6455 section 7.4",
    ),
    "close code None": ([ACCEPT, close(code=None)], "code: expected int, got NoneType", ON_CLOSE),
    "str for a close code": ([ACCEPT, close(code="1000")], "code: expected int, got str", ON_CLOSE),
    "bytes for a reason": ([ACCEPT, close(reason=b"bye")], "reason: expected str, got bytes", ON_CLOSE),
    "reason that is too long": (
        [ACCEPT, close(reason="é" * 62)],
        f"close reason {ascii('é' * 62)[:77]}...: expected at most 123 bytes of UTF-8",
        "RFC 6455 section 5.5",
    ),
    "status that is none": ([start(status=99)], "status is the status of a response, 200-599, not 99", DENIAL),
    "str for a body": ([START, {"type": BODY, "body": "no"}], "body: expected bytes, got str", DENIAL),
    "body before its start": ([{"type": BODY, "body": b""}], f"{BODY} before {HANDSHAKE_IS} not answered yet", CONNECT),
}


async def meet(ws: WebSocketCommunicator) -> None:
    """Receive all events of the application."""
    if (await ws.connect()).accepted:
        with suppress(ConnectionClosed):
            await ws.receive()
    await ws.wait()


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_event_fails_the_test_where_it_waits_with_its_clause(name: str) -> None:
    events, why, clause = BROKEN[name]
    error = await fails(ProtocolViolation, sends(*events), meet, subprotocols=["a", "b"])
    assert str(error) == f"{why}\n  event: {show(events[-1])}\n  see:   {clause}"
    assert (error.clause, error.why) == (clause, why)
    assert not hasattr(error, "__notes__")


async def test_a_broken_event_is_raised_in_the_application_too() -> None:
    met: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        try:
            await send({"type": "websocket.send"})
        except ProtocolViolation as error:
            met.append(error)
        await send({"type": "websocket.send", "text": "goes on"})
        await until_left(receive)

    async with connected(app) as ws:
        # Events before the invalid one are delivered first.
        assert await ws.receive() == "goes on"
        with pytest.raises(ProtocolViolation) as raised:
            await ws.receive()
        assert [raised.value] == met


async def test_a_broken_event_that_nobody_waited_for_is_raised_when_the_block_is_left() -> None:
    app = sends(ACCEPT, send(text="x", bytes=b"x"))
    assert "has both" in str(await fails(ProtocolViolation, app))


async def test_of_several_broken_events_the_first_is_told() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for event in ({"type": "first"}, {"type": "second"}):
            with pytest.raises(ProtocolViolation, match=event["type"]):
                await send(event)

    error = await fails(ProtocolViolation, app)
    assert error.event == {"type": "first"}


async def test_the_event_is_shown_as_it_was_sent_whatever_the_application_does_with_the_dict_later() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        event = {"type": "websocket.sned"}
        try:
            await send(event)
        finally:
            event["type"] = "changed"

    assert "event: {'type': 'websocket.sned'}" in str(await fails(ProtocolViolation, app))


async def test_a_denial_where_the_server_has_no_denial_is_broken() -> None:
    async def use(ws: WebSocketCommunicator) -> None:
        with pytest.raises(TimeoutError):
            await ws.connect()

    assert str(await fails(ProtocolViolation, sends(START), use, server="daphne", timeout=TIMEOUT)) == (
        "this server has no 'websocket.http.response' in scope['extensions']\n"
        f"  event: {START}\n"
        '  see:   ASGI, "Extensions"'
    )


# Events that are rare, and that the ASGI text allows.
FINE: Mapping[str, list[Any]] = {
    "both keys, one None": [ACCEPT, send(text="x", bytes=None), send(text=None, bytes=b"x")],
    "empty messages": [ACCEPT, send(text=""), send(bytes=b"")],
    "keys that nobody knows": [accept(more=1, text=1), send(text="x", more=1), close(more=1)],
    "no subprotocol": [accept(subprotocol=None)],
    "headers as lists": [accept(headers=[[b"x-a", b"1"]])],
    "headers as a tuple": [accept(headers=((b"x-a", b"1"),))],
    "headers as an iterator": [accept(headers=iter([(b"x-a", b"1")]))],
    "no reason": [ACCEPT, close(reason=None)],
    "reason of 123 bytes": [ACCEPT, close(code=4999, reason="x" * 123)],
    "another mapping": [ACCEPT, MappingProxyType(send(text="x"))],
    "event of an extension": [
        {"type": "my.extension"},
        ACCEPT,
        {"type": "my.extension"},
        CLOSE,
        {"type": "my.extension"},
    ],
    "denial without headers and body": [{"type": "websocket.http.response.start", "status": 599}, {"type": BODY}],
}


@pytest.mark.parametrize("name", FINE)
async def test_what_the_text_allows_passes(name: str) -> None:
    async with connected(sends(*FINE[name]), extensions={"my.extension": {}}, timeout=TIMEOUT) as ws:
        await ws.receive_nothing(0)


async def test_headers_given_as_an_iterator_reach_the_peer() -> None:
    app = sends(accept(headers=((name, b"1") for name in (b"x-a", b"x-b"))))
    async with WebSocketCommunicator(app) as ws:
        answer = await ws.connect()
        assert isinstance(answer, Accepted)
        assert answer.headers.multi_items() == [("x-a", "1"), ("x-b", "1")]


async def test_a_dict_that_is_used_for_several_events_is_taken_as_it_was_at_each() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        event = {"type": "websocket.send", "text": ""}
        for text in "abc":
            event["text"] = text
            await send(event)
        await until_left(receive)

    async with connected(app) as ws:
        assert [await ws.receive() for _ in "abc"] == ["a", "b", "c"]


async def test_a_broken_event_for_a_peer_that_has_left_is_broken_all_the_same() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await until_left(receive)
        await send({"type": "websocket.sned"})

    assert "an application does not send 'websocket.sned'" in str(await fails(ProtocolViolation, app))


async def test_an_event_for_a_peer_that_left_before_the_handshake_was_answered_is_not_out_of_place() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await until_left(receive)
        for event in (ACCEPT, {"type": "websocket.send", "text": "x"}):
            with pytest.raises(OSError, match="the peer has left"):
                await send(event)
        # The connection is closed already, as the event asks.
        await send(CLOSE)

    async with WebSocketCommunicator(app, timeout=TIMEOUT) as ws:
        with pytest.raises(TimeoutError):
            await ws.connect()
