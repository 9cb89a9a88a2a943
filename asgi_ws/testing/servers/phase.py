"""The phases of an imitated connection, and the steps from one to the next."""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from ...extensions import ABORT_EXTENSION, DENIAL_EXTENSION
from ...websocket.state import WebSocketState


class Phase(Enum):
    """The state of one connection, as the server has it."""

    CONNECTING = auto()
    """The application has not answered the handshake."""
    DENYING = auto()
    """The application has begun a denial response."""
    OPEN = auto()
    """The application has accepted."""
    REFUSED = auto()
    """The application has refused the handshake, by a close or a denial response."""
    CLOSED = auto()
    """The application has closed the connection."""
    LEAVING = auto()
    """The peer's close frame has come in this iteration of the event loop: the server still takes a close."""
    GONE = auto()
    """The peer has left, and the application has not ended the connection."""
    OVER = auto()
    """The application has ended the connection, and the peer is gone as well."""


# The steps that are not events of the application.
LAST_BODY: Final = "the last body of a denial response"
PEER_CLOSES: Final = "the peer's close frame"
PEER_IS_LOST: Final = "the end of the transport"
NEXT_ITERATION: Final = "the next iteration of the event loop"

# A step that leads nowhere changes nothing: the connection has ended before.
TRANSITIONS: Final[Mapping[Phase, Mapping[str, Phase]]] = MappingProxyType(
    {
        Phase.CONNECTING: {
            "websocket.accept": Phase.OPEN,
            "websocket.close": Phase.REFUSED,
            f"{DENIAL_EXTENSION}.start": Phase.DENYING,
            ABORT_EXTENSION: Phase.OVER,
            PEER_IS_LOST: Phase.GONE,
        },
        Phase.DENYING: {LAST_BODY: Phase.REFUSED, ABORT_EXTENSION: Phase.OVER, PEER_IS_LOST: Phase.GONE},
        Phase.OPEN: {
            "websocket.close": Phase.CLOSED,
            ABORT_EXTENSION: Phase.OVER,
            PEER_CLOSES: Phase.LEAVING,
            PEER_IS_LOST: Phase.GONE,
        },
        Phase.REFUSED: {ABORT_EXTENSION: Phase.OVER, PEER_IS_LOST: Phase.OVER},
        Phase.CLOSED: {ABORT_EXTENSION: Phase.OVER, PEER_CLOSES: Phase.OVER, PEER_IS_LOST: Phase.OVER},
        Phase.LEAVING: {NEXT_ITERATION: Phase.GONE},
        Phase.GONE: {},
        Phase.OVER: {},
    }
)
# The application's own state by the ASGI text. An event for a peer that has left is never out of place.
STATES: Final[Mapping[Phase, WebSocketState | None]] = MappingProxyType(
    {
        Phase.CONNECTING: WebSocketState.CONNECTING,
        Phase.DENYING: WebSocketState.RESPONSE,
        Phase.OPEN: WebSocketState.CONNECTED,
        Phase.REFUSED: WebSocketState.DISCONNECTED,
        Phase.CLOSED: WebSocketState.DISCONNECTED,
        Phase.LEAVING: None,
        Phase.GONE: None,
        Phase.OVER: WebSocketState.DISCONNECTED,
    }
)
ALIVE: Final = frozenset({Phase.CONNECTING, Phase.DENYING, Phase.OPEN})
WITHOUT_PEER: Final = frozenset({Phase.LEAVING, Phase.GONE, Phase.OVER})
