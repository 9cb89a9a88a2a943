"""Read-only views of a scope, the same on every server: what HTTP requests and WebSockets have in common."""

import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, ClassVar, Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from ._asgi import Scope
from .errors import show
from .headers import Headers, MultiMapping
from .security import parse_authority

_IPV6: Final = re.compile(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:%[0-9a-zA-Z]+)?", re.ASCII)
_PLAIN_HOST: Final = re.compile(r"[0-9a-zA-Z._/@-]*", re.ASCII)
_ESCAPED: Final = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))", re.DOTALL)
# More than any address and any path of a Unix socket has.
_LONGEST_HOST: Final = 108
_NAT64: Final = IPv6Network("64:ff9b::/96")
# RFC 3986 section 3.3: what may stand in a path unencoded.
_PATH_SAFE: Final = "/:@!$&'()*+,;=~-._"
_STRAY_PERCENT: Final = re.compile(r"%(?![0-9a-fA-F]{2})")
# The key of a scope below one of our mounts for the `root_path` that the server was given. Starlette's `Mount` has it
# as "app_root_path", and makes URLs from it by the outermost router's routes, which are not Starlette's here.
_SERVER_ROOT: Final = "asgi_ws.server_root"


class Address(NamedTuple):
    """A peer's address. `port` is None for a socket that has no ports."""

    host: str
    port: int | None

    def __str__(self) -> str:
        host = self.host
        # A server that trusts X-Forwarded-For takes any text for an address, and this may go to a log.
        if len(host) > _LONGEST_HOST:
            host = show(host)
        elif _IPV6.fullmatch(host):
            host = f"[{host}]"
        elif not _PLAIN_HOST.fullmatch(host):
            host = ascii(host)
        return host if self.port is None else f"{host}:{self.port}"


class QueryParams(MultiMapping):
    """The query string's parameters; `[]` and `get` give the last value of a name, `getlist` all."""

    __slots__ = ()

    @classmethod
    def from_query_string(cls, query_string: bytes) -> "QueryParams":
        """Parse `a=1&b=2` (WHATWG URL, "application/x-www-form-urlencoded"); invalid UTF-8 becomes U+FFFD."""
        return cls(parse_qsl(query_string.decode(errors="replace"), keep_blank_values=True, errors="replace"))


class State:
    """The state of a connection, as Starlette's `State`: `state.user` and `state["user"]` are the same value.

    It is a view of `scope["state"]`: all that the lifespan yielded, and whatever the connection and a middleware add.
    `in`, `len()` and iteration are about the names in it. It has no methods, so that every name can be one of yours.
    A missing name is an AttributeError of `state.user` and a KeyError of `state["user"]`.
    """

    __slots__ = ("_state",)

    def __init__(self, state: MutableMapping[str, Any] | None = None) -> None:
        object.__setattr__(self, "_state", {} if state is None else state)

    def __getitem__(self, key: str) -> Any:
        return self._state[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._state[key] = value

    def __delitem__(self, key: str) -> None:
        del self._state[key]

    def __contains__(self, key: object) -> bool:
        return key in self._state

    def __iter__(self) -> Iterator[str]:
        return iter(self._state)

    def __len__(self) -> int:
        return len(self._state)

    def __reduce__(self) -> tuple[type["State"], tuple[MutableMapping[str, Any]]]:
        return State, (self._state,)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._state[name]
        except KeyError:
            raise _missing(name, self) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._state[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._state[name]
        except KeyError:
            raise _missing(name, self) from None


def _missing(name: str, state: State) -> AttributeError:
    return AttributeError(f"state has no {name!r}; it has: {', '.join(map(str, state)) or 'nothing'}")


class URL(str):
    """A URL as text, with its parts as attributes."""

    __slots__ = ()

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self)

    @property
    def scheme(self) -> str:
        return self.parts.scheme

    @property
    def netloc(self) -> str:
        return self.parts.netloc

    @property
    def hostname(self) -> str | None:
        return self.parts.hostname

    @property
    def port(self) -> int | None:
        return self.parts.port

    @property
    def path(self) -> str:
        return self.parts.path

    @property
    def query(self) -> str:
        return self.parts.query


class Connection:
    """The views. They are made when first asked for, and read the scope without changing it, `state` excepted."""

    __slots__ = ("__dict__", "__weakref__", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __getitem__(self, key: str) -> Any:
        """Return an entry of the scope, as Starlette's `websocket["user"]` does. Raises KeyError if there is none."""
        return self.scope[key]

    # Without this a loop would ask for the entries 0, 1, ... of the scope.
    __iter__: ClassVar[None] = None

    @cached_property
    def headers(self) -> Headers:
        """The request's headers."""
        return Headers.from_raw(self.scope.get("headers") or ())

    @cached_property
    def query_params(self) -> QueryParams:
        """The parameters of the query string."""
        return QueryParams.from_query_string(self.scope.get("query_string", b""))

    @cached_property
    def cookies(self) -> Mapping[str, str]:
        """The cookies of all Cookie lines (RFC 6265 section 4.2; HTTP/2 splits them), unquoted.

        The first of a name counts, which is that of the longest path (RFC 6265 section 5.4).
        """
        cookies: dict[str, str] = {}
        for line in self.headers.getlist("cookie"):
            for pair in line.split(";"):
                name, separator, value = pair.partition("=")
                if separator and name.strip():
                    cookies.setdefault(name.strip(), _unquoted(value.strip()))
        return cookies

    @cached_property
    def client(self) -> Address | None:
        """Return the peer's address; None where the server has none, as for a Unix socket."""
        return client_address(self.scope)

    @property
    def path_params(self) -> Mapping[str, Any]:
        """The converted values of the route's parameters."""
        params: Mapping[str, Any] = self.scope.get("path_params") or {}
        return params

    @cached_property
    def state(self) -> State:
        """View what the lifespan yielded, in a shallow copy for each connection (ASGI, "Lifespan State")."""
        return State(self.scope.setdefault("state", {}))

    @cached_property
    def url(self) -> URL:
        """The requested URL, from the Host header, or from the server's address if that header is not a host."""
        scope = self.scope
        scheme = scope.get("scheme") or ("ws" if scope["type"] == "websocket" else "http")
        host = self.headers.get("host", "")
        if parse_authority(host) is None:
            host = str(_address(scope.get("server")) or "")
            if parse_authority(host) is None:
                # A Unix socket has a path for an address.
                host = "localhost"
        query = scope.get("query_string", b"").decode("latin-1")
        return URL(f"{scheme}://{host}{url_path(scope, route_path(scope))}{'?' if query else ''}{query}")


def _unquoted(value: str) -> str:
    r"""Return a cookie's value as it was given to `http.cookies.SimpleCookie`, and so to most kinds of `set_cookie`.

    SimpleCookie quotes what is not a token, and writes `"a\054b\"c"` for `a,b"c`.
    """
    if len(value) < 2 or not value[0] == value[-1] == '"':
        return value
    # The standard library's own takes time by the square of the length before Python 3.11.10 and 3.12.6.
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)) if match[1] else match[2], value[1:-1])


def client_address(scope: Scope) -> Address | None:
    """Return the peer's address; the port is an int although granian gives text and daphne a list."""
    return _address(scope.get("client"))


def client_key(scope: Scope) -> str | None:
    """Return the client whose connections are counted together; None where the server names no address.

    That is an IPv4 address, however it is written, or the /64 of an IPv6 one, since that is the least that a network
    gives to one customer. IPv4 behind an IPv6 address is told apart where a /64 would be all of the IPv4 internet:
    mapped (`::ffff:192.0.2.7`) and behind NAT64 (`64:ff9b::/96`, RFC 6052). Anything else that a server has for an
    address, such as the path of a socket, counts as it is.
    """
    address = client_address(scope)
    if address is None:
        return None
    host = address.host
    try:
        # Some proxies write X-Forwarded-For with a port, and with brackets.
        parsed = parse_authority(host)
        ip = ip_address(host if parsed is None else parsed.host.strip("[]"))
    except ValueError:
        return host
    if isinstance(ip, IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None or ip in _NAT64:
        return str(IPv4Address(int(ip) & 0xFFFFFFFF))
    # The same link-local address is another machine on another interface.
    return f"{IPv6Address(int(ip) >> 64 << 64)}/64{'%' if ip.scope_id else ''}{ip.scope_id or ''}"


def _address(value: Sequence[Any] | None) -> Address | None:
    # granian has ("", "0") for the client of a Unix socket, the others None.
    if not value or not value[0]:
        return None
    host, port = value
    return Address(host, None if port is None else int(port))


def route_path(scope: Scope) -> str:
    """Return the part of `path` below `root_path`; the measure is Starlette's `get_route_path`.

    uvicorn puts its root path before `path` exactly as it was given, so `/api/` gives `/api//x`. The other servers do
    not. A proxy that passes the whole path on gives `/api/x`, decoded. Starlette's `Mount` adds to `root_path` alone.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path") or ""
    if not root:
        return path
    if path.startswith(root) and path.startswith("/", len(root)):
        return path[len(root) :]
    server, mounted = _split_root(scope)
    server = server.rstrip("/")
    for prefix in (server + mounted, unquote(server) + mounted, mounted):
        if prefix and f"{path}/".startswith(f"{prefix}/"):
            return path[len(prefix) :]
    return path


def mounted_root(scope: Scope, prefix: str) -> Scope:
    """Return what a mount at `prefix` changes in a scope: its `root_path`, and the part of it that is the server's."""
    server, mounted = _split_root(scope)
    server = server.rstrip("/")
    return {"root_path": server + mounted + prefix, _SERVER_ROOT: server}


def url_path(scope: Scope, path: str) -> str:
    """Return `path`, which stands below the scope's `root_path`, as a client asks for it: whole and percent-encoded."""
    server, mounted = _split_root(scope)
    # A server's root path may be configured as it stands in a URL: uvicorn takes nothing but ASCII.
    root = quote(_STRAY_PERCENT.sub("%25", server.rstrip("/")), safe=f"{_PATH_SAFE}%")
    whole = root + quote(mounted + path, safe=_PATH_SAFE)
    # `--root-path api`, and the `*` of OPTIONS, would otherwise become a part of the host.
    return whole if whole.startswith("/") or not whole else f"/{whole}"


def _split_root(scope: Scope) -> tuple[str, str]:
    """Return the server's part of `root_path` as it was configured, and what mounts have added to it."""
    root: str = scope.get("root_path") or ""
    server: str = scope.get(_SERVER_ROOT, scope.get("app_root_path", root))
    return (server, root[len(server) :]) if root.startswith(server) else (root, "")
