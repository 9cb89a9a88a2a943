"""The connections that a hub sends on: a WebSocket of this package, or any ASGI `send`, each as a `Socket`."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Mapping, MutableMapping
from typing import Any, Final, Protocol

from .._asgi import Event, Push, PushInTurn, Send
from ..close_codes import CloseCode, as_private_code
from ..errors import ConnectionClosed, LifecycleError, end_of_program, leaves, show
from ..limits import Refusal
from ..websocket.channel import FORCED_CLOSE_TIMEOUT, AttachedSender
from ..websocket.servers import is_of_daphne
from ..websocket.state import WebSocketState
from ..websocket.websocket import WebSocket, channel_of
from .joinable import Candidate, check_accepted

logger = logging.getLogger("asgi_ws")

_SLOW: Final = Refusal.SLOW
# These are RuntimeErrors too.
_MISTAKES: Final = (NotImplementedError, RecursionError)
# Texts of servers whose exceptions have no type of their own: the connection has ended or is being closed.
_SAYS_ENDED: Final = (
    "after sending 'websocket.close'",  # uvicorn
    "once a close message has been sent",  # Starlette
    "ASGIWebsocketState.CLOSED",  # hypercorn
    "ASGIWebsocketState.HTTPCLOSED",
    "Attempt to send on a closed protocol",  # daphne, by way of autobahn
    "Transport not initialized or closed",  # granian
    "Transport closed",
    "the handler is closed",  # uvloop
)
# In which of its phases this package's class for uvicorn refuses a message with a LifecycleError.
_ENDED_PHASES: Final = ("CLOSING", "ENDED")
_CLOSE_CODES: Final = range(1000, 5000)


class Socket(Protocol):
    """One accepted connection."""

    never_waits: bool
    """Whether its server takes everything at once, so that nothing above can know what the client has read."""

    push: Push | None
    """Sends without a coroutine, where the server can do that."""

    push_in_turn: PushInTurn | None
    """Sends a message that is chosen when it can go, where the server can do that."""

    def send(self, event: Event) -> Awaitable[None]:
        """Send one event, after those that were sent before."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Begin to close it, within a second; then it is dropped, where the server can do that."""

    def close_slow(self) -> None:
        """Begin to close the connection of a client that does not keep up."""

    def closed_error(self) -> ConnectionClosed:
        """Return the error of a call on the connection after its end."""
        ...

    def attach(self, attached: AttachedSender) -> None:
        """Notify `attached` of the end, where that can be known."""

    def detach(self, attached: AttachedSender) -> None:
        """Stop notifying `attached`."""


class OwnSocket:
    """A WebSocket of this package."""

    __slots__ = ("_channel", "_ws", "attach", "closed_error", "detach", "never_waits", "push", "push_in_turn", "send")

    def __init__(self, ws: WebSocket) -> None:
        # The key of the connection is the identity of this object, which another one would get.
        self._ws = ws
        self._channel = channel = channel_of(ws)
        self.closed_error = channel.lifecycle.closed_error
        self.send = channel.send_attached
        self.attach = channel.attach
        self.detach = channel.detach
        self.push, self.push_in_turn = _push_of(channel.send_event)
        self.never_waits = channel.on_daphne

    def close(self, code: int, reason: str) -> None:
        if not self._channel.lifecycle.closed:
            self._channel.begin_close(code, reason, FORCED_CLOSE_TIMEOUT)

    def close_slow(self) -> None:
        self._channel.close_for(_SLOW)


class ForeignSocket:
    """The `send` of another framework's connection. Only a failing `send` shows its end."""

    __slots__ = ("_closer", "_ending", "_is_sending", "_rest", "_send", "never_waits", "push", "push_in_turn")

    def __init__(self, send: Send, scope: Mapping[str, Any] | None) -> None:
        self._send = send
        self._is_sending = False
        # Set when nothing is being sent; made when a close has to wait for that.
        self._rest: asyncio.Event | None = None
        self._closer: asyncio.Task[None] | None = None
        # How it ended: with the close frame from here, or as a lost connection.
        self._ending: tuple[int, str] = CloseCode.ABNORMAL, ""
        self.push, self.push_in_turn = _push_of(send)
        # A plain `send` does not show its server.
        self.never_waits = isinstance(scope, MutableMapping) and is_of_daphne(scope)

    async def send(self, event: Event) -> None:
        self._is_sending = True
        try:
            await self._send(event)
        finally:
            self._is_sending = False
            if self._rest is not None:
                self._rest.set()

    def close(self, code: int, reason: str) -> None:
        if self.never_waits:
            # It takes none of the registered codes but 1000.
            code = as_private_code(code)
        self._ending = code, reason
        event = {"type": "websocket.close", "code": code, "reason": reason}
        self._closer = asyncio.get_running_loop().create_task(self._try(event), name="asgi_ws hub close")

    def close_slow(self) -> None:
        self.close(_SLOW.close_code, _SLOW.reason)

    async def _try(self, event: Event) -> None:
        try:
            async with asyncio.timeout(FORCED_CLOSE_TIMEOUT):
                # A cancelled send takes a moment to end.
                if self._is_sending:
                    self._rest = asyncio.Event()
                    await self._rest.wait()
                await self._send(event)
        except BaseException as error:
            # The connection may be closed already, and a server may raise any exception for that.
            logger.debug("the server refused a close frame", exc_info=True)
            if isinstance(error, asyncio.CancelledError) or end_of_program(error) is not None:
                raise

    def closed_error(self) -> ConnectionClosed:
        return ConnectionClosed(*self._ending)

    def attach(self, attached: AttachedSender) -> None:
        """Do nothing: the end of the connection is not known."""

    def detach(self, attached: AttachedSender) -> None:
        """Do nothing; see `attach`."""


def check_open(candidate: Candidate) -> None:
    """Check that a connection is open, where it shows that.

    Raises:
        ConnectionClosed: for a WebSocket that has ended.
        LifecycleError: for a WebSocket that is not accepted.
    """
    ws = candidate.ws
    if isinstance(ws, WebSocket):
        if ws.closed:
            raise channel_of(ws).lifecycle.closed_error()
        if ws.application_state is not WebSocketState.CONNECTED:
            raise LifecycleError("join()", ws.application_state.name, "call accept() first")
    elif ws is not None:
        check_accepted(ws)


def socket_of(candidate: Candidate) -> Socket:
    """Return the socket to send on; see `check_open`."""
    ws = candidate.ws
    if isinstance(ws, WebSocket):
        return OwnSocket(ws)
    return ForeignSocket(candidate.send, None if ws is None else ws.scope)


def _push_of(send: Send) -> tuple[Push | None, PushInTurn | None]:
    """Return the methods of a server beside its `send`. A wrapper of `send` hides that: it wants to see every event."""
    server = getattr(send, "__self__", None)
    return getattr(server, "push_broadcast", None), getattr(server, "broadcast_in_turn", None)


def log_failure(error: BaseException) -> bool:
    """Log why a member's `send` failed, quietly where the connection has ended; return True if it has."""
    causes = tuple(leaves(error))
    if is_end(error):
        logger.debug("send() failed; removed the member, which has left, from its rooms", exc_info=error)
    elif all(_is_refusal(cause) or _has_left(cause) for cause in causes):
        # Without a traceback: another server may say in this way that the client has left.
        text = show("; ".join(map(_text_of, causes)), 400)
        logger.warning("send() failed; removed the member from its rooms: %s", text)
    else:
        logger.error("send() failed; removed the member from its rooms", exc_info=error)
    return is_end(error)


def is_end(error: BaseException) -> bool:
    """Return True if an error, or each in a group, only means that the connection has ended or is to end."""
    return all(_has_left(cause) for cause in leaves(error))


def is_disconnect(error: BaseException) -> bool:
    """Return True if a handler's error, or each in a group, is its framework's way to report that the client left."""
    return all(isinstance(cause, ConnectionClosed) or _is_of_disconnect(cause) for cause in leaves(error))


def _is_of_disconnect(error: BaseException) -> bool:
    # Starlette's WebSocketException has a code too, with which the handler asks for a close.
    return _has_close_code(error) and any("Disconnect" in each.__name__ for each in type(error).__mro__)


def _has_close_code(error: BaseException) -> bool:
    code = getattr(error, "code", None)
    return isinstance(code, int) and code in _CLOSE_CODES


def _is_refusal(error: BaseException) -> bool:
    """Return True for the error by which servers and frameworks refuse an event that cannot come now."""
    return isinstance(error, RuntimeError) and not isinstance(error, _MISTAKES)


def _has_left(error: BaseException) -> bool:
    """Return True for an error that only means that the connection has ended, or is being closed."""
    if isinstance(error, LifecycleError):
        return error.state in _ENDED_PHASES
    return (
        isinstance(error, (ConnectionClosed, OSError, asyncio.CancelledError))
        # Starlette's and Litestar's WebSocketDisconnect have the close code, and are not an OSError.
        or _has_close_code(error)
        or any(text in _text_of(error) for text in _SAYS_ENDED)
    )


def _text_of(error: BaseException) -> str:
    # Unlike `str(error)` this raises nothing, whatever the error's own methods do.
    return "".join(traceback.format_exception_only(error)).strip()
