"""The scope of a WebSocket as a server makes it from a handshake (ASGI, "WebSocket": Connection Scope)."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from ..._asgi import HeadersLike, RawHeaders, Scope
from ...headers import encode_headers
from ...security import offered_subprotocols
from .profiles import SPEC, ServerProfile

# RFC 3986 section 2: what a path and a query may have as they are; "%" since they may be encoded already.
_IN_PATH: Final = "/:@!$&'()*+,;=~%"
_IN_QUERY: Final = _IN_PATH + "?"
_PORTS: Final = MappingProxyType({"ws": 80, "wss": 443})
# The headers that make a request a handshake (RFC 6455 section 4.1), with the key of section 1.3.
HANDSHAKE: Final = (
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-version", b"13"),
)


def websocket_scope(
    target: str,
    profile: ServerProfile,
    *,
    headers: HeadersLike,
    subprotocols: Sequence[str],
    origin: str | None,
    client: tuple[str, int] | None,
    state: Mapping[str, Any] | None,
    extensions: Mapping[str, Any] | None,
    root_path: str,
) -> Scope:
    """Return the scope of one handshake.

    Raises:
        ValueError: for a target that is neither a path nor a ws:// or wss:// URL.
        InvalidHeader: for headers that no client could send.
    """
    url = urlsplit(target)
    if not ((url.scheme in _PORTS and url.netloc) or (not url.scheme and not url.netloc and target.startswith("/"))):
        raise ValueError(f"path {target!r}: expected a path that begins with '/', or a ws:// or wss:// URL")
    scheme = url.scheme or "ws"
    raw_path = quote(url.path or "/", safe=_IN_PATH)
    sent = _handshake(url.netloc.rpartition("@")[2] or "testserver", headers, subprotocols, origin)
    offered = [value.decode("latin-1") for name, value in sent if name == b"sec-websocket-protocol"]
    scope: Scope = {
        "type": "websocket",
        **paths(unquote(raw_path), raw_path.encode("ascii"), root_path, profile),
        "query_string": quote(url.query, safe=_IN_QUERY).encode("ascii"),
        "headers": sent,
        "subprotocols": offered_subprotocols({"subprotocols": offered}),
        **connection_scope(
            profile,
            spec_version=profile.spec_version,
            server=(url.hostname or "testserver", _PORTS[scheme] if url.port is None else url.port),
            client=client,
            state=state,
            offers=profile.extensions,
            extensions=extensions,
        ),
    }
    if profile.describes_connection:
        scope.update(http_version="1.1", scheme=scheme)
    return scope


def connection_scope(
    profile: ServerProfile,
    *,
    spec_version: str | None,
    server: tuple[str, int],
    client: tuple[str, int] | None,
    state: Mapping[str, Any] | None,
    offers: Iterable[str],
    extensions: Mapping[str, Any] | None,
) -> Scope:
    """Return what the scopes of HTTP and of WebSockets have in common; `offers` are the server's own extensions."""
    scope: Scope = {
        "asgi": {"version": "3.0"},
        "client": None if client is None else [client[0], profile.port_type(client[1])],
        "server": [server[0], profile.port_type(server[1])],
    }
    if spec_version is not None:
        scope["asgi"]["spec_version"] = spec_version
    if profile.describes_connection:
        scope.update(state=dict(state or {}), extensions={name: {} for name in offers})
    if extensions:
        scope["extensions"] = {**scope.get("extensions", {}), **extensions}
    return scope


def paths(path: str, raw_path: bytes, root_path: str, profile: ServerProfile) -> Scope:
    """Return `path`, `raw_path` and `root_path` of a request, as a server that was given this root path has them.

    `path` is decoded and `raw_path` is not.
    """
    if not profile.keeps_root_slash:
        root_path = root_path.rstrip("/")
    added = root_path if profile.joins_root_path else ""
    # The text has one path, and a test may give it whole; servers are told what a proxy has taken away, and add it.
    if profile is SPEC and f"{path}/".startswith(f"{unquote(root_path).rstrip('/')}/"):
        added = ""
    # A server joins a root path as it was given, which may be percent-encoded already.
    return {"path": added + path, "raw_path": quote(added, safe="/%").encode() + raw_path, "root_path": root_path}


def _handshake(host: str, headers: HeadersLike, subprotocols: Sequence[str], origin: str | None) -> RawHeaders:
    """Return the headers of a handshake (RFC 6455 section 4.1). Headers of the test replace them."""
    given = encode_headers(headers)
    usual: RawHeaders = [(b"host", host.encode("ascii")), *HANDSHAKE]
    if subprotocols:
        usual += encode_headers([("sec-websocket-protocol", ", ".join(subprotocols))])
    if origin is not None:
        usual += encode_headers([("origin", origin)])
    names = {name for name, _ in given}
    return [header for header in usual if header[0] not in names] + given
