"""The lifecycle of one WebSocket: states and legal transitions as tables, and the object that follows them.

Two machines run side by side, and each sees its own events:

    peer          CONNECTING ──connect──► CONNECTED ──disconnect──► DISCONNECTED      (what the server delivers)
    application   CONNECTING ──accept───► CONNECTED ──close───────► DISCONNECTED      (what we send)
                      └──response.start──► RESPONSE ──response.body──────┘

One transition joins them: once the peer is DISCONNECTED nothing can be sent, so the application is DISCONNECTED too.

The application's transition comes before its event is sent: a second `close()` finds the first one, however long that
takes. So DISCONNECTED says that nothing new may be sent, and the channel knows what is still on its way (`closer`).
"""

from enum import Enum
from types import MappingProxyType
from typing import Final

from .._asgi import Event
from ..close_codes import CloseCode
from ..errors import ConnectionClosed, LifecycleError
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

# The application's states in which a close is still to be sent.
CLOSABLE: Final = (_CONNECTING, _CONNECTED)
# After our own close, send() raises ConnectionClosed, but answering the handshake again is a mistake.
_HANDSHAKE_CALLS: Final = ("accept()", "deny()")


class Lifecycle:
    """The state of both sides of one connection, and how it ended.

    Attributes:
        application: the state that our events have led to.
        client: the state that the server's events have led to.
        close_code: how the connection ended; None while it has not.
        close_reason: likewise.
    """

    __slots__ = ("application", "client", "close_code", "close_reason")

    def __init__(self) -> None:
        self.application = self.client = _CONNECTING
        self.close_code: int | None = None
        self.close_reason: str | None = None

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, on whichever side, or was refused."""
        return self.application is _DISCONNECTED

    def on_send(self, event_type: str, call: str) -> None:
        """Make the transition of an event that `call` is about to send.

        Raises:
            ConnectionClosed: when the connection has ended.
            LifecycleError: when the state does not allow the event.
        """
        state = APPLICATION_TRANSITIONS[self.application].get(event_type)
        if state is None:
            ended_by_us = self.application is _DISCONNECTED and call not in _HANDSHAKE_CALLS
            if ended_by_us or self.client is _DISCONNECTED:
                raise self.closed_error()
            raise LifecycleError(call, self.application.name)
        self.application = state

    def on_receive(self, event: Event) -> None:
        """Make the transition of an event other than a message that the server delivered.

        Raises:
            LifecycleError: when the state does not allow the event.
        """
        state = PEER_TRANSITIONS[self.client].get(event["type"])
        if state is None:
            raise LifecycleError(f"the server's {event['type']!r}", self.client.name)
        if state is _DISCONNECTED:
            # Code and reason may be absent, and daphne has a code of None where the frame had none: that is 1005
            # (RFC 6455 section 7.1.5).
            self.on_lost(event.get("code") or CloseCode.NO_STATUS, event.get("reason") or "")
        else:
            self.client = state

    def on_lost(self, code: int, reason: str) -> None:
        """Make the transition of a peer that is gone, which is that of both sides."""
        self.client = self.application = _DISCONNECTED
        self.on_end(code, reason)

    def on_end(self, code: int, reason: str) -> None:
        """Keep how the connection ended. The first of several endings counts."""
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason

    def closed_error(self) -> ConnectionClosed:
        """Return the error of a call that needs the connection, which has ended."""
        code = CloseCode.ABNORMAL if self.close_code is None else self.close_code
        return ConnectionClosed(code, self.close_reason)
