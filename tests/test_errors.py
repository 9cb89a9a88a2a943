"""The message of every error, in one table, and the tree that they form."""

import pickle
import re
from typing import Any

import pytest

import asgi_ws
from asgi_ws import errors
from asgi_ws.errors import (
    AlreadyJoined,
    AsgiWsError,
    BodyTooLarge,
    ClientDisconnected,
    ConcurrentReceiveError,
    ConnectionClosed,
    HTTPError,
    HubNotRunning,
    InvalidBody,
    InvalidCloseCode,
    InvalidCloseReason,
    InvalidEndpoint,
    InvalidHeader,
    InvalidHost,
    InvalidJSON,
    InvalidLimit,
    InvalidMessage,
    InvalidOrigin,
    InvalidOverflow,
    InvalidRoom,
    InvalidRoute,
    InvalidSocket,
    InvalidStatus,
    InvalidSubprotocol,
    LifecycleError,
    LifespanFailed,
    RouteNotFound,
    UnexpectedMessageType,
    UnsupportedScope,
    WrongLoop,
)

MESSAGES: list[tuple[AsgiWsError, str]] = [
    (InvalidRoute("users", "must start with '/'"), "route 'users': must start with '/'"),
    (InvalidEndpoint("Chat", "init does not fit"), "Chat: init does not fit"),
    (
        InvalidOrigin("example.org"),
        (
            "origins: 'example.org' is not an origin; write 'https://example.org', 'https://example.org:8443', "
            "'https://*.example.org', 'file://' or 'null'"
        ),
    ),
    (
        InvalidOrigin("https://example.org", "a list of origins"),
        (
            "origins: 'https://example.org' is not a list of origins; write 'https://example.org', "
            "'https://example.org:8443', 'https://*.example.org', 'file://' or 'null'"
        ),
    ),
    (InvalidHost("a:1"), "hosts: 'a:1' is not a host; write 'example.org', '*.example.org', '127.0.0.1' or '[::1]'"),
    (
        InvalidLimit("idle_timeout", -1, "a positive number or None"),
        "Limits(idle_timeout=-1): expected a positive number or None",
    ),
    (
        InvalidLimit("messages", 0, "a positive whole number", of="History"),
        "History(messages=0): expected a positive whole number",
    ),
    (InvalidOverflow("drop", ["close", "drop_oldest"]), "overflow='drop': expected one of 'close', 'drop_oldest'"),
    (InvalidRoom("", "the name is empty"), "room '': the name is empty"),
    (
        InvalidSocket(3),
        (
            "cannot send with 3: expected a WebSocket of asgi_ws, FastAPI, Starlette or Litestar, or an ASGI send; "
            "pass the WebSocket itself, as in join(websocket, room)"
        ),
    ),
    (
        AlreadyJoined("lobby\n"),
        "connection is already in room 'lobby\\n': use the membership that join() returned, or call leave()",
    ),
    (HubNotRunning("join()", "it has stopped"), "join(): it has stopped"),
    (WrongLoop("join()", "make another"), "join(): a hub belongs to one event loop; make another"),
    (LifespanFailed("startup", "no database"), "startup of an application failed: no database"),
    (LifespanFailed("shutdown", ""), "shutdown of an application failed: no reason given"),
    (RouteNotFound("chat", {"room": 1}, ["b", "a"]), "unknown route 'chat' with room=1; names: a, b"),
    (RouteNotFound("chat", {}, []), "unknown route 'chat' with no parameters; names: none"),
    (
        UnsupportedScope("webtransport", ["http", "websocket"]),
        "unsupported ASGI scope type 'webtransport'; this application serves http, websocket",
    ),
    (LifecycleError("send()", "CONNECTING"), "send() is not allowed in state CONNECTING"),
    (
        LifecycleError("receive()", "CONNECTING", "call accept() first"),
        "receive() is not allowed in state CONNECTING: call accept() first",
    ),
    (
        ConcurrentReceiveError("receive()"),
        "receive() is not allowed in state CONNECTED: another task is reading from this connection",
    ),
    (InvalidMessage("send()", "str or bytes", 5), "send(): expected str or bytes, got int: 5"),
    (InvalidMessage("send()", "str", "x" * 200), f"send(): expected str, got str: 'x{'x' * 75}..."),
    (InvalidCloseCode(1005), "close code 1005 may not be sent; use 1000-1003, 1007-1014 or 3000-4999"),
    (InvalidCloseReason(b"x"), "close reason b'x': expected at most 123 bytes of UTF-8"),
    (InvalidStatus(99, "200-599"), "status 99: expected 200-599"),
    (InvalidSubprotocol("v2", ["v1", "v0"]), "subprotocol 'v2' was not offered by the client; offered: 'v1', 'v0'"),
    (InvalidSubprotocol("v2", []), "subprotocol 'v2' was not offered by the client; offered: none"),
    (InvalidHeader("a b", "c\r\n", "the name is no token"), r"header 'a b': 'c\r\n': the name is no token"),
    (ConnectionClosed(1001), "connection closed with code 1001"),
    (ConnectionClosed(4000, "bye\n"), r"connection closed with code 4000 ('bye\n')"),
    (ClientDisconnected(), "the client disconnected before the request was complete"),
    (UnexpectedMessageType("text"), "expected a text message"),
    (InvalidJSON("{\x1b"), r"not valid JSON: '{\x1b'"),
    (HTTPError(404), "404"),
    (HTTPError(401, "no token"), "401 no token"),
    (BodyTooLarge(10), "413 the request body is larger than 10 bytes"),
    (InvalidBody("JSON"), "400 the request body is not valid JSON"),
]


def test_the_message_of_every_error_shows_what_it_is_about() -> None:
    for error, text in MESSAGES:
        assert str(error) == text


# As much as a message of a client may have, with what would break a line.
_LONG = "\x1b[2J\r\n\u202e" + "\xe9" * 100_000


@pytest.mark.parametrize(
    "error",
    [
        InvalidRoom(_LONG, "too long"),
        InvalidJSON(_LONG),
        InvalidJSON(_LONG.encode()),
        InvalidMessage("send()", "bytes", _LONG),
        InvalidMessage("send()", "bytes", [_LONG]),
        InvalidSubprotocol(_LONG, [_LONG] * 1000),
        InvalidHeader(_LONG, _LONG, "the value has a line break"),
        InvalidCloseCode(_LONG),
        InvalidCloseReason(_LONG),
        InvalidStatus(_LONG, "200-599"),
        InvalidOverflow(_LONG, ["close"]),
        InvalidSocket(_LONG),
        AlreadyJoined(_LONG),
        RouteNotFound("chat", {"room": _LONG}, ["other"]),
        ConnectionClosed(4000, _LONG),
        HTTPError(400, _LONG),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_value_of_a_client_makes_a_message_long_or_breaks_its_line(error: AsgiWsError) -> None:
    text = str(error)
    assert len(text) < 1200
    assert text.isascii()
    assert text.isprintable()


def all_errors() -> dict[str, type[AsgiWsError]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, AsgiWsError) and value.__name__ == name
    }


def test_every_error_that_is_raised_stands_in_the_table() -> None:
    bases = {base for error in all_errors().values() for base in error.__bases__}
    leaves = set(all_errors().values()) - bases
    assert leaves <= {type(error) for error, _ in MESSAGES}


def test_every_error_can_be_imported_from_the_package() -> None:
    assert set(all_errors()) <= set(asgi_ws.__all__)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn: dict[str, str] = {}
    stack: list[str] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"((?:[│ ]   )*)(?:[├└]── )?(\w+)", line)
        if match and match[2] in all_errors():
            depth = 0 if match[2] == "AsgiWsError" else len(match[1]) // 4 + 1
            del stack[depth:]
            drawn[match[2]] = stack[-1] if stack else ""
            stack.append(match[2])
    real = {
        name: next((b.__name__ for b in e.__bases__ if issubclass(b, AsgiWsError)), "")
        for name, e in all_errors().items()
    }
    assert drawn == real


def test_starlettes_name_is_the_same_class() -> None:
    assert asgi_ws.WebSocketDisconnect is asgi_ws.ConnectionClosed
    error = asgi_ws.WebSocketDisconnect(1000, None)
    assert (error.code, error.reason) == (1000, "")


def test_an_http_error_takes_no_status_of_success() -> None:
    rows: list[Any] = [200, 299, 600, "404", None]
    for status in rows:
        with pytest.raises(InvalidStatus, match="expected 300-599 for an HTTPError"):
            HTTPError(status)


def test_an_error_is_also_of_the_builtin_kind_that_it_would_be_without_us() -> None:
    rows: list[tuple[Any, Any]] = [
        (LifecycleError, RuntimeError),
        (InvalidMessage, TypeError),
        (InvalidCloseCode, ValueError),
        (InvalidJSON, ValueError),
        (RouteNotFound, LookupError),
    ]
    for error, builtin in rows:
        assert issubclass(error, builtin)


def test_what_the_peer_did_survives_a_trip_to_another_process() -> None:
    rows: list[AsgiWsError] = [error for error, _ in MESSAGES if isinstance(error, (ConnectionClosed, InvalidJSON))]
    for error in rows:
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


class Odd:
    def __init__(self, shown: str | Exception) -> None:
        self.shown = shown

    def __repr__(self) -> str:
        if isinstance(self.shown, Exception):
            raise self.shown
        return self.shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Odd("a  b\n0  1"), r"a  b\n0  1"),
        (Odd("\x1b[31m\ud800"), r"\x1b[31m\ud800"),
        (Odd(RuntimeError("no repr")), "<Odd>"),
        (10**5000, "<int>"),
        ("y" * 3000, f"'{'y' * 76}..."),
    ],
    ids=["lines", "control characters", "no repr", "more digits than Python prints", "long"],
)
def test_a_value_of_any_kind_is_shown_in_one_short_line(value: object, shown: str) -> None:
    error = InvalidMessage("send()", "str", value)
    assert str(error) == f"send(): expected str, got {type(value).__name__}: {shown}"
    with pytest.raises(InvalidEndpoint, match=re.escape(f"outbox: {shown} is not an OutboxLimits object")):
        asgi_ws.Hub(outbox=value)  # type: ignore[arg-type]  # the mistake
