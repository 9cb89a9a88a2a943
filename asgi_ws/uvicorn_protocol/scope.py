"""The ASGI scope of a handshake, and how a connection is named in the log."""

import asyncio
from typing import Any, Final
from urllib.parse import quote, unquote

from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from .._asgi import Scope
from ..errors import escaped
from ..extensions import ABORT_EXTENSION, DENIAL_EXTENSION, MESSAGE_BYTES_EXTENSION
from ..wire.handshake import Handshake

# The version of the ASGI text that this class keeps to: `send` raises an OSError after the peer left (2.4), and the
# disconnect event has the reason (2.5).
SPEC_VERSION: Final = "2.5"


def websocket_scope(
    handshake: Handshake, config: Config, app_state: dict[str, Any], transport: asyncio.Transport
) -> Scope:
    """Return the scope of a connection (ASGI, "WebSocket": Connection Scope), with paths as uvicorn has them."""
    root_path = config.root_path
    return {
        "type": "websocket",
        "asgi": {"version": config.asgi_version, "spec_version": SPEC_VERSION},
        "http_version": "1.1",
        "scheme": "wss" if is_ssl(transport) else "ws",
        "server": get_local_addr(transport),
        "client": get_remote_addr(transport),
        "root_path": root_path,
        "path": root_path + unquote(handshake.path.decode("ascii")),
        "raw_path": _encoded(root_path).encode("ascii") + handshake.path,
        "query_string": handshake.query,
        "headers": handshake.headers,
        "subprotocols": handshake.subprotocols,
        "state": app_state.copy(),
        "extensions": {DENIAL_EXTENSION: {}, ABORT_EXTENSION: {}, MESSAGE_BYTES_EXTENSION: {}},
    }


def address(transport: asyncio.Transport) -> str:
    """Return the client's host and port, or "" if it has none, as on a Unix socket."""
    client = get_remote_addr(transport)
    return "" if client is None else f"{client[0]}:{client[1]}"


def described(scope: Scope, handshake: Handshake, root_path: str) -> str:
    """Return the client and the resource as a log line has them, like uvicorn's own, escaped and cut.

    The client is that of the scope, where a middleware may have put what a proxy says.
    """
    client = scope.get("client")
    try:
        host, port = client or ("", "")
    except (TypeError, ValueError):
        host, port = client, ""
    shown = f"{host}:{port}" if port != "" else str(host)
    # A target has been found to be visible ASCII.
    target = handshake.path + (b"?" + handshake.query if handshake.query else b"")
    resource = _encoded(root_path) + target.decode("ascii")
    return f'{escaped(shown)} - "WebSocket {escaped(resource)}"'


def _encoded(root_path: str) -> str:
    """Return the path percent-encoded, whether it was configured so or decoded."""
    return quote(root_path, safe="/%")
