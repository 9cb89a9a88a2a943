"""WebSockets for any ASGI server, without a framework.

`app` is the default application: `uvicorn asgi_ws:app` serves it. It is built when it is first asked for.
"""

from typing import TYPE_CHECKING

from .application import App
from .brokers import History, MemoryBroker, Position
from .close_codes import CloseCode
from .connection import Address, Connection, QueryParams, State
from .endpoints import HTTPEndpoint, WebSocketEndpoint, http_app, websocket_app
from .errors import (
    AlreadyJoined,
    AsgiWsError,
    BodyTooLarge,
    ClientDisconnected,
    ConcurrentReceiveError,
    ConfigurationError,
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
    PayloadError,
    PeerError,
    RouteNotFound,
    UnexpectedMessageType,
    UnsupportedScope,
    UsageError,
    WebSocketDisconnect,
    WrongLoop,
)
from .headers import Headers
from .http.app import HTTPApp
from .http.request import Request
from .http.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from .hub.encoder import Encoder, Gap
from .hub.hub import Hub
from .hub.membership import Membership, Room
from .hub.overflow import OutboxLimits, Overflow
from .hub.presence import Member
from .hub.statistics import HubStatistics
from .json_codec import JSONCodec
from .limits import Limits, Refusal, Statistics
from .routing.patterns import Converter
from .routing.router import Router
from .routing.routes import Mount, Route, WebSocketRoute
from .security import SAME_ORIGIN, UNSAFE_ANY
from .websocket.app import WebSocketApp
from .websocket.state import WebSocketState
from .websocket.websocket import WebSocket

if TYPE_CHECKING:
    from .demo import app

__version__ = "0.2.0"

__all__ = [
    "SAME_ORIGIN",
    "UNSAFE_ANY",
    "Address",
    "AlreadyJoined",
    "App",
    "AsgiWsError",
    "BodyTooLarge",
    "ClientDisconnected",
    "CloseCode",
    "ConcurrentReceiveError",
    "ConfigurationError",
    "Connection",
    "ConnectionClosed",
    "Converter",
    "Encoder",
    "Gap",
    "HTMLResponse",
    "HTTPApp",
    "HTTPEndpoint",
    "HTTPError",
    "Headers",
    "History",
    "Hub",
    "HubNotRunning",
    "HubStatistics",
    "InvalidBody",
    "InvalidCloseCode",
    "InvalidCloseReason",
    "InvalidEndpoint",
    "InvalidHeader",
    "InvalidHost",
    "InvalidJSON",
    "InvalidLimit",
    "InvalidMessage",
    "InvalidOrigin",
    "InvalidOverflow",
    "InvalidRoom",
    "InvalidRoute",
    "InvalidSocket",
    "InvalidStatus",
    "InvalidSubprotocol",
    "JSONCodec",
    "JSONResponse",
    "LifecycleError",
    "LifespanFailed",
    "Limits",
    "Member",
    "Membership",
    "MemoryBroker",
    "Mount",
    "OutboxLimits",
    "Overflow",
    "PayloadError",
    "PeerError",
    "PlainTextResponse",
    "Position",
    "QueryParams",
    "RedirectResponse",
    "Refusal",
    "Request",
    "Response",
    "Room",
    "Route",
    "RouteNotFound",
    "Router",
    "State",
    "Statistics",
    "StreamingResponse",
    "UnexpectedMessageType",
    "UnsupportedScope",
    "UsageError",
    "WebSocket",
    "WebSocketApp",
    "WebSocketDisconnect",
    "WebSocketEndpoint",
    "WebSocketRoute",
    "WebSocketState",
    "WrongLoop",
    "__version__",
    "app",
    "http_app",
    "websocket_app",
]

# A type checker that sees `__getattr__` takes every name for one of the module's.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> App:
        if name == "app":
            # Import locks give threads that ask at once the same application.
            from .demo import app  # noqa: PLC0415 -- few programs serve it, and it reads its pages

            globals()["app"] = app
            return app
        import sys  # noqa: PLC0415 -- a name at the top would be one more of this module's

        # With `obj`, Python suggests the name that was meant.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
