"""WebSockets for any ASGI server, without a framework.

`app` is the default application: `uvicorn asgi_ws:app` serves it.
"""

from .application import App
from .codec import JSONCodec
from .connection import Address, Connection, QueryParams, State
from .demo import app
from .endpoints import HTTPEndpoint, WebSocketEndpoint, http_app, websocket_app
from .errors import (
    AsgiWsError,
    BodyTooLarge,
    ClientDisconnected,
    ConcurrentReceiveError,
    ConfigurationError,
    ConnectionClosed,
    HTTPError,
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
    InvalidRoute,
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
)
from .headers import Headers
from .http import HTTPApp, Request
from .lifecycle import CloseCode, WebSocketState
from .limits import Limits, Refusal, Statistics
from .patterns import Converter
from .responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from .routing import Mount, Route, Router, WebSocketRoute
from .security import SAME_ORIGIN, UNSAFE_ANY
from .session import WebSocketApp
from .websocket import WebSocket

__version__ = "0.1.0"

__all__ = [
    "SAME_ORIGIN",
    "UNSAFE_ANY",
    "Address",
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
    "HTMLResponse",
    "HTTPApp",
    "HTTPEndpoint",
    "HTTPError",
    "Headers",
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
    "InvalidRoute",
    "InvalidStatus",
    "InvalidSubprotocol",
    "JSONCodec",
    "JSONResponse",
    "LifecycleError",
    "LifespanFailed",
    "Limits",
    "Mount",
    "PayloadError",
    "PeerError",
    "QueryParams",
    "RedirectResponse",
    "Refusal",
    "Request",
    "Response",
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
    "__version__",
    "app",
    "http_app",
    "websocket_app",
]
