"""Connections as a hub is given them: WebSocket objects of this package and of frameworks, or a plain ASGI `send`."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, cast

from .._asgi import Send
from ..close_codes import CloseCode
from ..errors import ConnectionClosed, InvalidSocket, LifecycleError
from ..websocket.websocket import WebSocket


class ForeignWebSocket(Protocol):
    """A framework's WebSocket object over ASGI, such as those of FastAPI, Starlette and Litestar."""

    @property
    def scope(self) -> Mapping[str, Any]:
        """Return the scope of the connection."""
        ...

    @property
    def send(self) -> Callable[..., Awaitable[None]]:
        """Send one ASGI event."""
        # Not `[Any]`: pyright takes Litestar's attribute for a method, whose first parameter is the object.
        ...


# The objects that a user joins with.
Joinable: TypeAlias = WebSocket | ForeignWebSocket | Send

# Tells connections apart by identity: a framework's object may compare equal to another one.
Key: TypeAlias = tuple[int, str]

_METHODS: Final = (MethodType, BuiltinMethodType)
_SEND: Final = "send"
# The names that frameworks give to methods that take data, not an ASGI event.
_DATA_METHODS: Final = frozenset(
    {"send_bytes", "send_data", "send_json", "send_media", "send_msgpack", "send_str", "send_text"}
)


class Candidate(NamedTuple):
    """A connection that may join.

    Attributes:
        key: the same for a WebSocket object and its `send`; no other has it while either lives.
        ws: the WebSocket object; None for a plain `send`.
        send: takes ASGI events; of a WebSocket of this package it is not used.
    """

    key: Key
    ws: WebSocket | ForeignWebSocket | None
    send: Send


def candidate_of(joinable: Joinable) -> Candidate:
    """Return the connection that is meant, accepted or not.

    Raises:
        InvalidSocket: for anything that does not name one.
    """
    given: Any = joinable
    if isinstance(given, _METHODS):
        given = _unbound(given)
    if isinstance(given, WebSocket):
        return Candidate((id(given), _SEND), given, cast("Send", given.send))
    is_object = _is_websocket(given)
    send = given.send if is_object else given
    if not _takes_event(send):
        raise InvalidSocket(joinable)
    if is_object and _states_of(given) is None and any(hasattr(given, name) for name in _DATA_METHODS):
        # A `send` beside a `send_json` takes ASGI events in some frameworks and data in others (Quart).
        raise InvalidSocket(joinable)
    key = (id(send.__self__), send.__name__) if isinstance(send, _METHODS) else (id(send), "")
    return Candidate(key, given if is_object else None, send)


def key_of(joinable: Joinable) -> Key:
    """Return the key of the connection that is meant; see `candidate_of`."""
    # `exclude=ws` comes with every message of a chat.
    return (id(joinable), _SEND) if isinstance(joinable, WebSocket) else candidate_of(joinable).key


def check_accepted(ws: ForeignWebSocket) -> None:
    """Check that a framework's WebSocket is open, where it shows that.

    Raises:
        LifecycleError: before accept.
        ConnectionClosed: after the end.
    """
    states = _states_of(ws)
    if states is None:
        return
    if states & {"DISCONNECTED", "disconnect"}:
        raise ConnectionClosed(CloseCode.ABNORMAL)
    if not states <= {"CONNECTED", "connect", "receive"}:
        raise LifecycleError("join()", "/".join(sorted(states)), "call accept() first")


def _unbound(method: Any) -> Any:
    """Return the object for the `send` of a WebSocket object, and any other bound method as it is.

    Servers' own methods have any name (uvicorn: asgi_send, hypercorn: app_send), and their objects are not accepted.

    Raises:
        InvalidSocket: for another method of a WebSocket object.
    """
    owner, name = method.__self__, method.__name__
    if name == _SEND:
        return owner if isinstance(owner, WebSocket) or _is_websocket(owner) else method
    if name in _DATA_METHODS or (_is_websocket(owner) and hasattr(owner, "accept")):
        raise InvalidSocket(method)
    return method


def _is_websocket(value: Any) -> bool:
    # A class has both names too, and a `send` that misses its first argument.
    return (
        not inspect.isclass(value)
        and isinstance(scope := getattr(value, "scope", None), Mapping)
        and scope.get("type", "websocket") == "websocket"
        and hasattr(value, _SEND)
    )


def _takes_event(send: Any) -> bool:
    """Return True unless this can be seen not to take one event and give something to wait for."""
    if not callable(send) or inspect.isclass(send):
        return False
    function = getattr(send, "__func__", send)
    if not isinstance(function, FunctionType):
        # An instance with `__call__`, a `functools.partial`, a method of a server in Rust.
        return not inspect.ismodule(getattr(send, "__self__", None))
    # `inspect.signature` says the same in ten times the time.
    code, defaults, is_bound = function.__code__, function.__defaults__ or (), function is not send
    given = 1 + is_bound
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        return False
    if code.co_kwonlyargcount > len(function.__kwdefaults__ or ()) or code.co_argcount - len(defaults) > given:
        return False
    if code.co_flags & inspect.CO_VARARGS:
        return True
    # Channels' `consumer.send(text_data=None, bytes_data=None)` could be called with an event, and takes data.
    return code.co_argcount >= given and not (is_bound and defaults)


def _states_of(ws: Any) -> set[str] | None:
    """Return the states of a connection by their names; None where the object does not show them."""
    # Starlette has two, of the client and of the application; Litestar has one, in lower case.
    for names in (("client_state", "application_state"), ("connection_state",)):
        states = [getattr(ws, name, None) for name in names]
        if None not in states:
            return {str(getattr(state, "name", state)) for state in states}
    return None
