"""What a hub sends on: a WebSocket of this package, or any ASGI `send`, each as a `Socket`."""

import asyncio
import inspect
import logging
from collections.abc import MutableMapping
from typing import Final, Protocol, TypeAlias

from ._asgi import Event, Push, Send
from .channel import FORCED_CLOSE_TIMEOUT, Attached
from .errors import ConnectionClosed, InvalidSocket, LifecycleError, leaves
from .lifecycle import CloseCode, WebSocketState, as_private_code
from .limits import Refusal
from .states import is_of_daphne
from .websocket import WebSocket

logger = logging.getLogger("asgi_ws")

# What a user joins with: a WebSocket of this package, or the `send` of an accepted connection.
Joinable: TypeAlias = WebSocket | Send

_SLOW: Final = Refusal.SLOW
# These are RuntimeErrors too.
_MISTAKES: Final = (NotImplementedError, RecursionError)


class Socket(Protocol):
    """One accepted connection."""

    never_waits: bool
    """Whether its server takes everything at once, so that nothing above can know what the client has read."""

    push: Push | None
    """Sends without a coroutine, where the server can do that."""

    async def send(self, event: Event) -> None:
        """Send one event, after those that were sent before."""

    def close(self, code: int, reason: str) -> None:
        """Begin to close it, within a second; then it is dropped, where the server can do that."""

    def close_slow(self) -> None:
        """The same, for a client that does not keep up."""

    def closed_error(self) -> ConnectionClosed:
        """Return the error of a call on the connection after its end."""
        ...

    def attach(self, attached: Attached) -> None:
        """Tell of the end, where that can be known."""

    def detach(self, attached: Attached) -> None:
        """Tell no more."""


class OwnSocket:
    """A WebSocket of this package."""

    __slots__ = ("_ws", "attach", "closed_error", "detach", "never_waits", "push", "send")

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws
        self.closed_error = ws._closed_error
        self.send = ws._in_turn
        self.attach = ws._attach
        self.detach = ws._detach
        self.push = _push_of(ws._send_event)
        self.never_waits = ws._on_daphne

    def close(self, code: int, reason: str) -> None:
        self._ws._begin_close(code, reason, FORCED_CLOSE_TIMEOUT)

    def close_slow(self) -> None:
        self._ws._end(_SLOW)


class ForeignSocket:
    """The `send` of somebody else's connection; of its end only a failing `send` tells."""

    __slots__ = ("_closer", "_ending", "_is_sending", "_rest", "_send", "never_waits", "push")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_sending = False
        # Set when nothing is being sent; made when a close has to wait for that.
        self._rest: asyncio.Event | None = None
        self._closer: asyncio.Task[None] | None = None
        # How it ended: with the close frame from here, or as a lost connection.
        self._ending: tuple[int, str] = CloseCode.ABNORMAL, ""
        self.push = _push_of(send)
        # The sockets of frameworks show their scope; of a plain `send` nobody can tell.
        scope = getattr(getattr(send, "__self__", None), "scope", None)
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
                # What was given up takes a moment to end.
                if self._is_sending:
                    self._rest = asyncio.Event()
                    await self._rest.wait()
                await self._send(event)
        except Exception:
            # It may be closed already, and what a server makes of that is its own affair.
            logger.debug("the server did not take a close frame", exc_info=True)

    def closed_error(self) -> ConnectionClosed:
        return ConnectionClosed(*self._ending)

    def attach(self, attached: Attached) -> None:
        """Nothing tells of its end."""

    def detach(self, attached: Attached) -> None:
        """Nobody is told."""


def socket_of(joinable: Joinable) -> Socket:
    """The socket to send on.

    Raises:
        ConnectionClosed: for a WebSocket that has ended.
        LifecycleError: for one that is not accepted.
        InvalidSocket: for anything else that is no ASGI `send`.
    """
    if isinstance(joinable, WebSocket):
        if joinable.closed:
            raise joinable._closed_error()
        if joinable.application_state is not WebSocketState.CONNECTED:
            raise LifecycleError("join()", joinable.application_state.name, "call accept() first")
        return OwnSocket(joinable)
    # More than that it can be called is not to be seen without calling it.
    if not callable(joinable) or inspect.isclass(joinable):
        raise InvalidSocket(joinable)
    return ForeignSocket(joinable)


def _push_of(send: Send) -> Push | None:
    """What the server has beside its `send`, if this is the server's own: who wraps it wants to see what is sent."""
    push: Push | None = getattr(getattr(send, "__self__", None), "push_broadcast", None)
    return push


def has_left(error: BaseException) -> bool:
    """Whether a failed `send` tells of no more than the peer's leaving, or of a close that came before.

    Frameworks make an exception of their own of the first, which has the close code (Starlette: WebSocketDisconnect),
    and a RuntimeError of the second.
    """
    return all(
        not isinstance(cause, _MISTAKES)
        and (isinstance(cause, (ConnectionClosed, OSError, RuntimeError)) or hasattr(cause, "code"))
        for cause in leaves(error)
    )
