"""An application's events held against the ASGI text: each rule beside the clause that makes it one."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeGuard

from ..._asgi import Scope
from ...close_codes import check_close
from ...errors import InvalidCloseCode, InvalidCloseReason, InvalidHeader
from ...extensions import DENIAL_EXTENSION
from ...headers import encode_headers
from ...websocket.state import WebSocketState
from ..errors import ProtocolViolation

EVENTS: Final = 'ASGI, "Events"'
INVALID: Final = 'ASGI, "Error Handling"'
EXTENSIONS: Final = 'ASGI, "Extensions"'
CONNECT: Final = 'ASGI, WebSocket, "Connect - receive event"'
ACCEPT: Final = 'ASGI, WebSocket, "Accept - send event"'
SEND: Final = 'ASGI, WebSocket, "Send - send event"'
CLOSE: Final = 'ASGI, WebSocket, "Close - send event"'
DENIAL: Final = 'ASGI, Extensions, "Websocket Denial Response"'
RFC_TEXT: Final = "RFC 6455 section 5.6"
RFC_CLOSE_CODE: Final = "RFC 6455 section 7.4"
RFC_CLOSE_REASON: Final = "RFC 6455 section 5.5"
RFC_SUBPROTOCOL: Final = "RFC 6455 section 4.2.2"
RFC_HEADER: Final = "RFC 9110 section 5"
FETCH_SUBPROTOCOL: Final = 'the Fetch standard, "Establish a WebSocket connection"'

_CONNECTING: Final = WebSocketState.CONNECTING
_CONNECTED: Final = WebSocketState.CONNECTED
_RESPONSE: Final = WebSocketState.RESPONSE
_DISCONNECTED: Final = WebSocketState.DISCONNECTED

# Why an event is out of place, by the state in which the application sent it.
_OUT_OF_PLACE: Final = MappingProxyType(
    {
        _CONNECTING: (CONNECT, "{type} before websocket.accept: the handshake is not answered yet"),
        _CONNECTED: (ACCEPT, "{type} after websocket.accept: the handshake is answered already"),
        _RESPONSE: (DENIAL, "{type} in a denial response: only its body may follow its start"),
        _DISCONNECTED: (CLOSE, "{type} after the application closed the connection"),
    }
)
_ALLOWED: Final = MappingProxyType(
    {
        _CONNECTING: {"websocket.accept", "websocket.close", "websocket.http.response.start"},
        _CONNECTED: {"websocket.send", "websocket.close"},
        _RESPONSE: {"websocket.http.response.body"},
        _DISCONNECTED: set[str](),
    }
)
_Rule = Callable[[Mapping[str, Any]], None]


class Broken(Exception):
    """A rule that an event breaks."""

    def __init__(self, clause: str, why: str) -> None:
        super().__init__(clause, why)
        self.clause = clause
        self.why = why


def violation(event: object, state: WebSocketState | None, scope: Scope) -> ProtocolViolation | None:
    """Return the breach of an event that an application sends in this state, or None.

    Without a state the event is looked at alone, whether or not it is in its place.
    """
    return held_against(partial(_check, event, state, scope), event)


def held_against(check: Callable[[], None], event: object) -> ProtocolViolation | None:
    """Return the breach that `check` finds in an event, or None."""
    try:
        check()
    except Broken as broken:
        return ProtocolViolation(event, broken.clause, broken.why)
    return None


def typed(event: object) -> tuple[str, Mapping[str, Any]]:
    """Return the type of an event, and the event.

    Raises:
        Broken: it is not an event, or has no type.
    """
    if not isinstance(event, Mapping):
        raise Broken(EVENTS, f"event: expected a dict, got {type(event).__name__}")
    kind = event.get("type")
    if kind is None:
        raise Broken(EVENTS, "the event does not have a type")
    # A type that is compared with those that there are has to be hashable, as every str is.
    if not isinstance(kind, str) or not isinstance(kind, Hashable):
        raise Broken(EVENTS, f"type: expected str, got {type(kind).__name__}")
    return kind, event


def _check(event: object, state: WebSocketState | None, scope: Scope) -> None:
    kind, fields = typed(event)
    rule = _RULES.get(kind)
    if rule is None:
        if kind in (scope.get("extensions") or {}):
            return
        raise Broken(INVALID, f"an application does not send {kind!r} over a WebSocket")
    if kind.startswith(DENIAL_EXTENSION) and DENIAL_EXTENSION not in (scope.get("extensions") or {}):
        raise Broken(EXTENSIONS, f"this server has no {DENIAL_EXTENSION!r} in scope['extensions']")
    if state is not None and kind not in _ALLOWED[state]:
        clause, why = _OUT_OF_PLACE[state]
        raise Broken(clause, why.format(type=kind))
    if kind == "websocket.close" and state is _CONNECTING:
        # It stands for a response with the status 403: its code and its reason go nowhere.
        return
    rule(fields)
    if kind == "websocket.accept":
        _check_offered(fields.get("subprotocol"), scope)


def _check_accept(event: Mapping[str, Any]) -> None:
    headers = event.get("headers", ())
    check_headers(headers, ACCEPT)
    if any(name.lower() == b"sec-websocket-protocol" for name, _ in headers):
        why = "sec-websocket-protocol is no header of accept: use its subprotocol"
        raise Broken(ACCEPT, why)
    subprotocol = event.get("subprotocol")
    if subprotocol is not None and not isinstance(subprotocol, str):
        raise Broken(ACCEPT, f"subprotocol: expected str, got {type(subprotocol).__name__}")


def _check_offered(subprotocol: str | None, scope: Scope) -> None:
    offered = list(scope.get("subprotocols") or ())
    if subprotocol is not None and subprotocol not in offered:
        why = f"subprotocol {subprotocol!r} was not offered by the client, which has {offered}"
        raise Broken(RFC_SUBPROTOCOL, why)


def _check_send(event: Mapping[str, Any]) -> None:
    text, data = event.get("text"), event.get("bytes")
    rule = "exactly one of text and bytes is not None"
    if text is not None and data is not None:
        raise Broken(SEND, f"{rule}; this event has both")
    if text is None and data is None:
        raise Broken(SEND, f"{rule}; this event has none of them")
    if data is None:
        _check_text(text)
    elif not isinstance(data, bytes):
        raise Broken(SEND, f"bytes: expected bytes, got {type(data).__name__}")


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise Broken(SEND, f"text: expected str, got {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        why = f"text is sent as UTF-8, which has no {text[error.start]!r} (at {error.start})"
        raise Broken(RFC_TEXT, why) from None


def _check_close(event: Mapping[str, Any]) -> None:
    code, reason = event.get("code", 1000), event.get("reason") or ""
    if not isinstance(code, int):
        raise Broken(CLOSE, f"code: expected int, got {type(code).__name__}")
    if not isinstance(reason, str):
        raise Broken(CLOSE, f"reason: expected str, got {type(reason).__name__}")
    try:
        check_close(code, reason)
    except InvalidCloseCode as error:
        raise Broken(RFC_CLOSE_CODE, str(error)) from None
    except InvalidCloseReason as error:
        raise Broken(RFC_CLOSE_REASON, str(error)) from None


def check_response_start(clause: str, event: Mapping[str, Any]) -> None:
    """Check the start of a response, over HTTP or to a handshake. Raises Broken."""
    status = event.get("status")
    # RFC 9110 section 15.2: a status below 200 is an interim response.
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise Broken(clause, f"status is the status of a response, 200-599, not {status!r}")
    check_headers(event.get("headers", ()), clause)


def check_response_body(clause: str, event: Mapping[str, Any]) -> None:
    """Check the body of a response. Raises Broken."""
    body = event.get("body", b"")
    if not isinstance(body, bytes):
        raise Broken(clause, f"body: expected bytes, got {type(body).__name__}")


def is_buffer(body: object) -> TypeGuard[bytearray | memoryview]:
    """Return True if most servers write this as they write bytes. Of wider items they count a wrong length."""
    return isinstance(body, bytearray) or (isinstance(body, memoryview) and body.itemsize == body.ndim == 1)


def check_headers(headers: object, clause: str) -> None:
    """Hold headers of any event against the rules. Raises Broken.

    Names may be in capitals: the ASGI text asks for lower case, and every server takes them as they are.
    """
    if headers is None:
        raise Broken(clause, "headers are pairs of a name and a value, and may be left out, but are not None")
    if not isinstance(headers, Iterable) or isinstance(headers, Mapping | str | bytes):
        raise Broken(clause, f"headers are pairs of a name and a value, not {type(headers).__name__}")
    for pair in headers:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise Broken(clause, f"a header is a pair of a name and a value, not {pair!r}")
        for part in pair:
            if not isinstance(part, bytes):
                why = f"the names and values of headers are bytes, not {type(part).__name__}: {part!r}"
                raise Broken(clause, why)
        try:
            encode_headers([(pair[0], pair[1])])
        except InvalidHeader as error:
            raise Broken(RFC_HEADER, str(error)) from None


_RULES: Final[Mapping[str, _Rule]] = MappingProxyType(
    {
        "websocket.accept": _check_accept,
        "websocket.send": _check_send,
        "websocket.close": _check_close,
        "websocket.http.response.start": partial(check_response_start, DENIAL),
        "websocket.http.response.body": partial(check_response_body, DENIAL),
    }
)
