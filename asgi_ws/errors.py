"""Every error of the package, named by who caused it. Each carries its facts as fields, and builds its text from them.

AsgiWsError
├── ConfigurationError                   how the application was put together
│   ├── InvalidRoute                     a path, a converter or an endpoint that cannot work
│   ├── InvalidEndpoint                  a class, a handler or a hook that could serve no connection
│   ├── InvalidOrigin                    an entry of `origins=` that no browser would send
│   ├── InvalidHost                      an entry of `hosts=` that no request could carry
│   ├── InvalidLimit                     a value of `Limits`, or of another bound, out of its range
│   ├── InvalidOverflow                  a policy for slow clients that there is not
│   ├── LifespanFailed                   an application said that its start or stop failed
│   ├── RouteNotFound                    `path_for()` of a name or parameters that no route has
│   └── UnsupportedScope                 a scope type that the called application does not serve
├── UsageError                           a call that a handler made
│   ├── LifecycleError                   illegal in the state of the connection
│   │   └── ConcurrentReceiveError       a second reader
│   ├── InvalidMessage                   a payload of the wrong type
│   ├── InvalidCloseCode                 a code that may not stand in a close frame
│   ├── InvalidCloseReason               a reason that does not fit into one
│   ├── InvalidStatus                    no status that this answer may have
│   ├── InvalidSubprotocol               accepting what the client did not offer
│   ├── InvalidHeader                    a header that would break the response
│   ├── InvalidSocket                    neither a WebSocket nor an ASGI `send`
│   ├── AlreadyJoined                    joining a room twice with the same connection
│   ├── HubNotRunning                    a hub that has not started, or has stopped
│   └── WrongLoop                        a hub used from another thread or event loop
├── PeerError                            what the other side did
│   ├── ConnectionClosed                 the WebSocket has ended; also named WebSocketDisconnect
│   ├── ClientDisconnected               the HTTP client left before its request or response was complete
│   └── PayloadError                     a message that cannot be used
│       ├── InvalidRoom                  a room name that is empty, too long or not text; close code 1008
│       ├── UnexpectedMessageType        text for bytes or the reverse; close code 1003
│       └── InvalidJSON                  close code 1007
└── HTTPError                            answer the request, or the handshake, with this status
    ├── BodyTooLarge                     413
    └── InvalidBody                      400
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from ._asgi import HeadersLike

_SHOWN = 80
# Of a list that may come from a peer.
_LISTED = 8


def show(value: object, most: int = _SHOWN) -> str:
    """Return the repr of any value in ASCII and in one line, cut to `most` characters. Never raises."""
    if isinstance(value, (str, bytes, bytearray)):
        # To escape a megabyte that is cut afterwards takes milliseconds.
        value = value[: most + 1]
    try:
        text = ascii(value)
    except Exception:  # noqa: BLE001 -- a foreign repr, or an int of more digits than Python prints
        text = f"<{type(value).__name__}>"
    if not text.isprintable():
        text = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[:most])
    return text if len(text) <= most else f"{text[: most - 3]}..."


def escaped(text: str, most: int = 500) -> str:
    """Return text that may have come from a peer, in ASCII and in one line, cut to `most` characters."""
    shown = ascii(text[: most + 1])[1:-1]
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Return the exceptions in a group, at any depth, or a single exception as it is."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def end_of_program(error: BaseException) -> BaseException | None:
    """Return what is to end the program, KeyboardInterrupt or SystemExit, where `error` is that or a group with it."""
    return next((leaf for leaf in leaves(error) if isinstance(leaf, (KeyboardInterrupt, SystemExit))), None)


class AsgiWsError(Exception):
    """The base of every error that this package raises."""


class ConfigurationError(AsgiWsError):
    """The application was put together in a way that cannot work."""


class InvalidRoute(ConfigurationError, ValueError):
    """A route that could never be served: `path` as it was given, and `why`."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"route {show(self.path)}: {self.why}"


class InvalidEndpoint(ConfigurationError, TypeError):
    """A class, handler or hook of this `name` that could serve no connection, and `why`."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name, why)
        self.name = name
        self.why = why

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


class InvalidOrigin(ConfigurationError, ValueError):
    """An entry of `origins=` that is not an origin (RFC 6454) (`scheme://host[:port]`)."""

    def __init__(self, entry: object, expected: str = "an origin") -> None:
        super().__init__(entry, expected)
        self.entry = entry
        self.expected = expected

    def __str__(self) -> str:
        return (
            f"origins: {show(self.entry)} is not {self.expected}; "
            "write 'https://example.org', 'https://example.org:8443', 'https://*.example.org', 'file://' or 'null'"
        )


class InvalidHost(ConfigurationError, ValueError):
    """An entry of `hosts=` that is not a host name."""

    def __init__(self, entry: object, expected: str = "a host") -> None:
        super().__init__(entry, expected)
        self.entry = entry
        self.expected = expected

    def __str__(self) -> str:
        return (
            f"hosts: {show(self.entry)} is not {self.expected}; "
            "write 'example.org', '*.example.org', '127.0.0.1' or '[::1]'"
        )


class InvalidLimit(ConfigurationError, ValueError):
    """A value of `Limits`, or of the class `of`, that is out of its range.

    It has the field's `name`, the `value`, and what was `expected`.
    """

    def __init__(self, name: str, value: object, expected: str, of: str = "Limits") -> None:
        super().__init__(name, value, expected, of)
        self.name = name
        self.value = value
        self.expected = expected
        self.of = of

    def __str__(self) -> str:
        return f"{self.of}({self.name}={show(self.value)}): expected {self.expected}"


class InvalidOverflow(ConfigurationError, ValueError):
    """No policy for a client that does not keep up; `known` are those there are."""

    def __init__(self, overflow: object, known: Iterable[str]) -> None:
        self.overflow = overflow
        # Plain text, whatever the policies are.
        self.known = [str(each) for each in known]
        super().__init__(overflow, self.known)

    def __str__(self) -> str:
        return f"overflow={show(self.overflow)}: expected one of {', '.join(map(repr, self.known))}"


class LifespanFailed(ConfigurationError, RuntimeError):
    """An application said that a `phase` of its lifespan failed (ASGI, "Lifespan"), with its `reason`."""

    def __init__(self, phase: str, reason: str) -> None:
        super().__init__(phase, reason)
        self.phase = phase
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.phase} of an application failed: {self.reason or 'no reason given'}"


class RouteNotFound(ConfigurationError, LookupError):
    """No route has this `name` with these `params`; `known` are the names there are."""

    def __init__(self, name: str, params: Mapping[str, object], known: Iterable[str]) -> None:
        self.name = name
        self.params = dict(params)
        self.known = sorted(known)
        super().__init__(name, self.params, self.known)

    def __str__(self) -> str:
        params = ", ".join(f"{key}={show(value)}" for key, value in self.params.items()) or "no parameters"
        return f"unknown route {show(self.name)} with {params}; names: {', '.join(self.known) or 'none'}"


class UnsupportedScope(ConfigurationError, ValueError):
    """The server, or an application above, sent a scope of a type that the called application does not serve."""

    def __init__(self, scope_type: object, supported: Sequence[str]) -> None:
        super().__init__(scope_type, supported)
        self.scope_type = scope_type
        self.supported = tuple(supported)

    def __str__(self) -> str:
        return (
            f"unsupported ASGI scope type {show(self.scope_type)}; this application serves {', '.join(self.supported)}"
        )


class UsageError(AsgiWsError):
    """A handler made a call that cannot be carried out; nothing was sent."""


class LifecycleError(UsageError, RuntimeError):
    """A call that the state of the connection does not allow: the `call`, the `state`, and `why` where it helps."""

    def __init__(self, call: str, state: str, why: str = "") -> None:
        super().__init__(call, state, why)
        self.call = call
        self.state = state
        self.why = why

    def __str__(self) -> str:
        text = f"{self.call} is not allowed in state {self.state}"
        return f"{text}: {self.why}" if self.why else text


class ConcurrentReceiveError(LifecycleError):
    """A second task read from a connection while one was reading: messages would go to either by chance."""

    def __init__(self, call: str) -> None:
        super().__init__(call, "CONNECTED", "another task is reading from this connection")


class InvalidMessage(UsageError, TypeError):
    """A payload of the wrong type: the `call`, what it `expected`, and the `data` it got."""

    def __init__(self, call: str, expected: str, data: object) -> None:
        super().__init__(call, expected, data)
        self.call = call
        self.expected = expected
        self.data = data

    def __str__(self) -> str:
        return f"{self.call}: expected {self.expected}, got {type(self.data).__name__}: {show(self.data)}"


class InvalidCloseCode(UsageError, ValueError):
    """A close code that RFC 6455 section 7.4 keeps out of close frames."""

    def __init__(self, code: object) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"close code {show(self.code)} may not be sent; use 1000-1003, 1007-1014 or 3000-4999"


class InvalidCloseReason(UsageError, ValueError):
    """A close reason that does not fit into a close frame (RFC 6455 section 5.5: 123 bytes of UTF-8)."""

    def __init__(self, reason: object) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"close reason {show(self.reason)}: expected at most 123 bytes of UTF-8"


class InvalidStatus(UsageError, ValueError):
    """A status that is none, or that the answer may not have: the `status`, and what was `expected`."""

    def __init__(self, status: object, expected: str) -> None:
        super().__init__(status, expected)
        self.status = status
        self.expected = expected

    def __str__(self) -> str:
        return f"status {show(self.status)}: expected {self.expected}"


class InvalidSubprotocol(UsageError, ValueError):
    """Accepting a `subprotocol` that is not among those `offered` (RFC 6455 section 4.2.2)."""

    def __init__(self, subprotocol: object, offered: Sequence[str]) -> None:
        super().__init__(subprotocol, offered)
        self.subprotocol = subprotocol
        self.offered = tuple(offered)

    def __str__(self) -> str:
        # A header line has place for thousands.
        shown = [show(name) for name in self.offered[:_LISTED]] + ["..."] * (len(self.offered) > _LISTED)
        offered = ", ".join(shown) or "none"
        return f"subprotocol {show(self.subprotocol)} was not offered by the client; offered: {offered}"


class InvalidHeader(UsageError, ValueError):
    """A header that would break the response, or that is not the application's to set."""

    def __init__(self, name: object, value: object, why: str) -> None:
        super().__init__(name, value, why)
        self.name = name
        self.value = value
        self.why = why

    def __str__(self) -> str:
        return f"header {show(self.name)}: {show(self.value)}: {self.why}"


class InvalidSocket(UsageError, TypeError):
    """The `socket` is not a connection that a hub can send on."""

    def __init__(self, socket: object) -> None:
        super().__init__(socket)
        self.socket = socket

    def __str__(self) -> str:
        return (
            f"cannot send with {show(self.socket)}: expected a WebSocket of asgi_ws, FastAPI, Starlette or Litestar, "
            "or an ASGI send; pass the WebSocket itself, as in join(websocket, room)"
        )


class AlreadyJoined(UsageError):
    """The connection is a member of `room` already."""

    def __init__(self, room: str) -> None:
        super().__init__(room)
        self.room = room

    def __str__(self) -> str:
        return (
            f"connection is already in room {show(self.room)}: use the membership that join() returned, or call leave()"
        )


class HubNotRunning(UsageError, RuntimeError):
    """A `call` of a hub that has not started, or has stopped, and `why`."""

    def __init__(self, call: str, why: str) -> None:
        super().__init__(call, why)
        self.call = call
        self.why = why

    def __str__(self) -> str:
        return f"{self.call}: {self.why}"


class WrongLoop(UsageError, RuntimeError):
    """A `call` of a hub from another thread, or from another event loop, than the one it runs in."""

    def __init__(self, call: str, advice: str) -> None:
        super().__init__(call, advice)
        self.call = call
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.call}: a hub belongs to one event loop; {self.advice}"


class PeerError(AsgiWsError):
    """The other side did something that ends the handler's work. It never prints a traceback."""


class ConnectionClosed(PeerError):
    """The WebSocket has ended, on whichever side: `code` (RFC 6455 section 7.4) and `reason`.

    Raised by `receive` and `send`, and again by every later call. 1005 means a close frame without a code, 1006 no
    close frame at all; servers differ in which of the two they report for a lost connection, so treat both alike.
    """

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""
        # Of a class that is a response too, as in asgi_ws.testing, super() may be that response.
        Exception.__init__(self, code, self.reason)

    def __str__(self) -> str:
        return f"connection closed with code {self.code}" + (f" ({show(self.reason)})" if self.reason else "")


class ClientDisconnected(PeerError):
    """The HTTP client left before its request or our response was complete."""

    def __str__(self) -> str:
        return "the client disconnected before the request was complete"


class PayloadError(PeerError, ValueError):
    """A message that the handler cannot use. Left uncaught, it closes the connection with `close_code`.

    Before accept it refuses the handshake with 400. Subclass it for what your own protocol cannot use.
    """

    close_code: ClassVar[int] = 1007


class InvalidRoom(PayloadError):
    """A name that no room can have, and `why`.

    Most names come from clients, in a path or a message. Left uncaught, it closes the connection with 1008 (RFC 6455
    section 7.4.1), and before accept refuses the handshake with 400.
    """

    close_code = 1008

    def __init__(self, name: object, why: str) -> None:
        super().__init__(name, why)
        self.name = name
        self.why = why

    def __str__(self) -> str:
        return f"room {show(self.name)}: {self.why}"


class UnexpectedMessageType(PayloadError):
    """A text message where bytes were `expected`, or the reverse. Close code 1003 (RFC 6455 section 7.4.1)."""

    close_code = 1003

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected

    def __str__(self) -> str:
        return f"expected a {self.expected} message"


class InvalidJSON(PayloadError):
    """A message that is not a JSON text (RFC 8259). Close code 1007 (RFC 6455 section 7.4.1)."""

    close_code = 1007

    def __init__(self, data: str | bytes) -> None:
        super().__init__(data)
        self.data = data

    def __str__(self) -> str:
        return f"not valid JSON: {show(self.data)}"


class HTTPError(AsgiWsError):
    """Raised by a handler to answer with a status: over HTTP as the response, before `accept` as the denial.

    `detail` is the body's text and is shown to the client; `headers` are added to the response.

    Raises:
        InvalidStatus: unless the status is 300-599.
    """

    def __init__(self, status: int, detail: str = "", headers: HeadersLike = ()) -> None:
        if not isinstance(status, int) or not 300 <= status <= 599:
            raise InvalidStatus(status, "300-599 for an HTTPError")
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = headers

    def __str__(self) -> str:
        return f"{self.status} {escaped(self.detail)}".rstrip()


class BodyTooLarge(HTTPError):
    """A request body over `limit` bytes: 413 Content Too Large (RFC 9110 section 15.5.14)."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the request body is larger than {limit} bytes")
        self.limit = limit


class InvalidBody(HTTPError):
    """A request body that is not what the handler asked for: 400 Bad Request."""

    def __init__(self, expected: str) -> None:
        super().__init__(400, f"the request body is not valid {expected}")
        self.expected = expected


# Starlette's name for the same thing, so that a ported `except` clause stays as it is.
WebSocketDisconnect = ConnectionClosed
