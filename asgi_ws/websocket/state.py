"""The lifecycle of one WebSocket: states and legal transitions as tables, and the object that holds them.

Two machines run side by side, and each sees its own events:

    peer          CONNECTING ──connect──► CONNECTED ──disconnect──► DISCONNECTED      (what the server delivers)
    application   CONNECTING ──accept───► CONNECTED ──close───────► DISCONNECTED      (what we send)
                      └──response.start──► RESPONSE ──response.body──────┘

One transition joins them: once the peer is DISCONNECTED nothing can be sent, so the application is DISCONNECTED too.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from .._asgi import Event, Scope
from ..close_codes import CloseCode
from ..connection import Connection
from ..errors import ConnectionClosed, LifecycleError, show
from ..extensions import ABORT_EXTENSION


class WebSocketState(Enum):
    """Where one side of a connection stands. The names are Starlette's."""

    CONNECTING = 0
    CONNECTED = 1
    DISCONNECTED = 2
    RESPONSE = 3

    # The members are what the tables are read by, and Enum's own hash is a Python function.
    __hash__ = object.__hash__


_CONNECTING = WebSocketState.CONNECTING
_CONNECTED = WebSocketState.CONNECTED
_DISCONNECTED = WebSocketState.DISCONNECTED
_RESPONSE = WebSocketState.RESPONSE

# ASGI, "WebSocket": the events of `receive`, and where each leads.
PEER_TRANSITIONS: Final = MappingProxyType(
    {
        _CONNECTING: {"websocket.connect": _CONNECTED, "websocket.disconnect": _DISCONNECTED},
        _CONNECTED: {"websocket.receive": _CONNECTED, "websocket.disconnect": _DISCONNECTED},
        _DISCONNECTED: {},
        _RESPONSE: {},
    }
)

# ASGI, "WebSocket" and "WebSocket Denial Response": the events of `send`, and where each leads. One body ends a denial,
# since not every server takes a second one.
APPLICATION_TRANSITIONS: Final = MappingProxyType(
    {
        _CONNECTING: {
            "websocket.accept": _CONNECTED,
            "websocket.close": _DISCONNECTED,
            "websocket.http.response.start": _RESPONSE,
        },
        _CONNECTED: {
            "websocket.send": _CONNECTED,
            "websocket.close": _DISCONNECTED,
            ABORT_EXTENSION: _DISCONNECTED,
        },
        _RESPONSE: {"websocket.http.response.body": _DISCONNECTED},
        _DISCONNECTED: {},
    }
)

# After an end of our own `send` tells of it, but to answer the handshake again is a mistake.
_HANDSHAKE_CALLS: Final = ("accept()", "deny()")


class Gate(Enum):
    """What is in the place of a reader, or of an event on its way, to keep messages from passing."""

    SHUT = 0


Shut: TypeAlias = Literal[Gate.SHUT]
SHUT: Final = Gate.SHUT


# daphne's scopes have all of these and none of those; what a framework adds does not matter. The scopes of in-process
# transports that leave out what ASGI lets them differ in one of the two.
_OF_DAPHNE: Final = frozenset(
    {
        "asgi",
        "client",
        "headers",
        "path",
        "query_string",
        "root_path",
        "server",
        "subprotocols",
        "type",
    }
)
_NOT_OF_DAPHNE: Final = frozenset({"extensions", "http_version", "scheme"})


def is_of_daphne(scope: Scope) -> bool:
    """Return True if daphne made this scope."""
    keys = scope.keys()
    is_like = keys >= _OF_DAPHNE and _NOT_OF_DAPHNE.isdisjoint(keys)
    # daphne alone of the servers does not name the version of the specification.
    return is_like and dict(scope["asgi"]) == {"version": "3.0"}


# How the RuntimeErrors begin by which granian says that the peer is gone. Its flow has no other error where each event
# is sent in a state that allows it; an event that it does not know has another text.
_OF_GRANIAN: Final = ("ASGI flow error: ", "ASGI transport error: ")


def means_gone(error: Exception, scope: Scope) -> bool:
    """Return True for an exception of the server's `send` that means that the peer is gone.

    | server | what its `send` raises then |
    |---|---|
    | uvicorn, also with the class of this package; h2corn | an OSError (ASGI, "WebSocket", send: from version 2.4 on) |
    | daphne | a RuntimeError, from the peer's close frame on, which may be before the event of it came |
    | granian | a RuntimeError with one of its texts: for the body of a denial, and before 2.8.7 for any message |
    | hypercorn | nothing |

    Any other RuntimeError is somebody's mistake.
    """
    if isinstance(error, OSError):
        return True
    return isinstance(error, RuntimeError) and (is_of_daphne(scope) or str(error).startswith(_OF_GRANIAN))


class States(Connection):
    """The peer's state and ours, and what ended the connection."""

    __slots__ = ("application_state", "client_state", "close_code", "close_reason")

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        # What the server has delivered, and what we have sent.
        self.client_state = WebSocketState.CONNECTING
        self.application_state = WebSocketState.CONNECTING
        # How the connection ended; None while it has not.
        self.close_code: int | None = None
        self.close_reason: str | None = None

    def __repr__(self) -> str:
        return f"<WebSocket {show(self.scope['path'], 200)} from {self.client}, {self.application_state.name}>"

    @property
    def _extensions(self) -> Mapping[str, Any]:
        extensions: Mapping[str, Any] = self.scope.get("extensions") or {}
        return extensions

    @property
    def _on_daphne(self) -> bool:
        return is_of_daphne(self.scope)

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, on whichever side, or was refused."""
        return self.application_state is _DISCONNECTED

    def _apply(self, event_type: str, call: str) -> None:
        """Make the transition of an event that `call` is about to send.

        Raises:
            ConnectionClosed: when the connection has ended.
            LifecycleError: when the state does not allow the event.
        """
        state = APPLICATION_TRANSITIONS[self.application_state].get(event_type)
        if state is None:
            ended_by_us = self.application_state is _DISCONNECTED and call not in _HANDSHAKE_CALLS
            if ended_by_us or self.client_state is _DISCONNECTED:
                raise self._closed_error()
            raise LifecycleError(call, self.application_state.name)
        self.application_state = state

    def _seen(self, event: Event) -> None:
        """Make the transition of an event other than a message that the server delivered."""
        state = PEER_TRANSITIONS[self.client_state].get(event["type"])
        if state is None:
            raise LifecycleError(f"the server's {event['type']!r}", self.client_state.name)
        if state is _DISCONNECTED:
            # Code and reason may be absent, and daphne has a code of None where the frame had none: that is 1005
            # (RFC 6455 section 7.1.5).
            self._ended(event.get("code") or CloseCode.NO_STATUS, event.get("reason") or "")
        else:
            self.client_state = state

    def _ended(self, code: int, reason: str) -> None:
        """The peer is gone: nothing can be sent any more."""
        self.client_state = self.application_state = _DISCONNECTED
        self._told_end(code, reason)

    def _told_end(self, code: int, reason: str) -> None:
        """Remember how the connection ended. Of several endings the first is told."""
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason

    def _closed_error(self) -> ConnectionClosed:
        code = CloseCode.ABNORMAL if self.close_code is None else self.close_code
        return ConnectionClosed(code, self.close_reason)
