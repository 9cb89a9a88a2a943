"""A WebSocket for tests without await: the communicator in a background loop, by the names of Starlette's session."""

import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import cache
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

from .._asgi import Event, RawHeaders, Scope
from ..close_codes import CloseCode
from ..errors import ConnectionClosed, UnexpectedMessageType
from ..json_codec import STANDARD_JSON
from .communicator import WebSocketCommunicator
from .errors import ApplicationEnded, show
from .libraries import httpx2
from .portal import BlockingPortal, PortalProvider, beside
from .servers.handshake import Accepted, Answer, Denied

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True

# The exceptions that a test for Starlette's client catches, by module. The first is a subclass of the second.
_COUNTERPARTS: Final = {
    "starlette.testclient": "WebSocketDenialResponse",
    "starlette.websockets": "WebSocketDisconnect",
}

_T = TypeVar("_T")
_Data = TypeVar("_Data", str, bytes)
Mode = Literal["text", "binary"]


class WebSocketDenialResponse(httpx2.Response, ConnectionClosed):  # type: ignore[misc] # both can be pickled, in two ways
    """The handshake was denied: the response to it, and an exception that `except WebSocketDisconnect` catches.

    `code` is 1006 and `reason` is empty, as a browser has them. The code that an application sends with a
    `websocket.close` before accept does not reach the peer (ASGI, WebSocket, "Close - send event"). `unseen_code` has
    it.
    """

    def __init__(self, denied: Denied) -> None:
        headers = [(name, value) for name, value in denied.headers.raw if name != b"content-length"]
        httpx2.Response.__init__(self, denied.status, headers=headers, content=denied.body)
        ConnectionClosed.__init__(self, CloseCode.ABNORMAL)
        self.unseen_code = denied.close_code

    def __str__(self) -> str:
        text = f"the handshake was denied with HTTP {self.status_code}: a browser sees the close code {self.code}"
        if self.unseen_code is None:
            return text
        return f"{text}, and never the code {self.unseen_code} that the application gave before accept"


@cache
def _of_both(ours: Any, theirs: Any) -> Any:
    """Return one class of both families, by our name."""
    names = {"__module__": ours.__module__, "__qualname__": ours.__qualname__, "__doc__": ours.__doc__}
    return type(ours.__name__, (ours, theirs), names)


def _for_test(kind: Any) -> Any:
    """Return the class to raise in the test, which is Starlette's as well where that is imported."""
    for module, name in _COUNTERPARTS.items():
        theirs = getattr(sys.modules.get(module), name, None)
        # A test suite that is being ported may have put ours in the place of theirs.
        if theirs is None or issubclass(kind, theirs):
            continue
        if name == "WebSocketDisconnect" or issubclass(kind, WebSocketDenialResponse):
            return _of_both(kind, theirs)
    return kind


def _told_to_test(closed: ConnectionClosed) -> ConnectionClosed:
    """Return the same error in the class to raise in the test. The application may hold the original."""
    kind = _for_test(type(closed))
    if kind is type(closed):
        return closed
    told: ConnectionClosed = kind.__new__(kind, *closed.args)
    told.__dict__.update(closed.__dict__)
    return told


class WebSocketTestSession:
    """One WebSocket to an application, as a context manager: entering it connects, leaving it closes with 1000.

    Made by `TestClient.websocket_connect`. Every call waits at most as long as the client's `timeout`, and raises what
    the call of the same name of `WebSocketCommunicator` raises.

    Attributes:
        scope: of the handshake.
        accepted_subprotocol: that the application chose; None for none.
        extra_headers: that it accepted with.
    """

    __test__ = False

    def __init__(self, portals: PortalProvider, communicator: WebSocketCommunicator) -> None:
        self.scope: Scope = communicator.scope
        self.accepted_subprotocol: str | None = None
        self.extra_headers: RawHeaders | None = None
        self._portals = portals
        self._communicator = communicator
        # Where it runs; None before the block.
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            WebSocketDenialResponse: the handshake was denied.
            HandshakeFailed: it was accepted in a way that a client refuses.
        """
        self._portal = self._portals.running()
        self._portal.kept.add(self._communicator)
        answer: Answer | None = None
        try:
            answer = self._call(self._open, "the answer to the handshake")
        finally:
            if not isinstance(answer, Accepted):
                self._portal.kept.discard(self._communicator)
        if not isinstance(answer, Accepted):
            raise _for_test(WebSocketDenialResponse)(answer)
        self.accepted_subprotocol = answer.subprotocol
        self.extra_headers = self._communicator.accepted_headers
        return self

    async def _open(self) -> Answer:
        # Without a connection there will be no block to leave.
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._communicator)
            answer = await self._communicator.connect()
            if isinstance(answer, Accepted):
                stack.pop_all()
        return answer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection, and wait for the application to end.

        Raises:
            Exception: what went wrong in the application and the test has not met, as in `WebSocketCommunicator`.
            WaitTimeout: the event loop is blocked. Beside an error of the block's own it is a note to that.
        """
        if self._portal is None:
            return
        try:
            with beside(error):
                self._portal.call(lambda: self._communicator.__aexit__(kind, error, trace), "the application to end")
        finally:
            self._portal.kept.discard(self._communicator)

    def _call(self, work: Callable[[], Coroutine[Any, Any, _T]], awaited: str) -> _T:
        if self._portal is None:
            raise RuntimeError("not connected: with client.websocket_connect(...) as websocket: ...")
        try:
            return self._portal.call(work, awaited)
        except ConnectionClosed as closed:
            if closed is self._communicator.error:
                raise
            raise _told_to_test(closed) from closed.__cause__

    @property
    def close_code(self) -> int | None:
        """How the connection ended, as the peer sees it; None while the test has not met the end."""
        return self._communicator.close_code

    @property
    def close_reason(self) -> str | None:
        """The reason that goes with `close_code`."""
        return self._communicator.close_reason

    # -- sending

    def send_text(self, data: str) -> None:
        """Send a text message."""
        self._send(data)

    def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        self._send(data)

    def send_json(self, data: Any, mode: Mode = "text") -> None:
        """Send a value as JSON, in a text message or a binary one."""
        self._send(STANDARD_JSON.encode_text(data) if _is_text(mode) else STANDARD_JSON.encode_bytes(data))

    def _send(self, data: str | bytes) -> None:
        self._call(lambda: self._communicator.send(data), "room for a message")

    def send(self, message: Event) -> None:
        """Do what makes a server give the application this event: `websocket.receive` or `websocket.disconnect`.

        Raises:
            ValueError: no peer can bring that event about.
        """
        data = [data for data in (message.get("text"), message.get("bytes")) if data is not None]
        if message.get("type") == "websocket.disconnect":
            self.close(message.get("code", CloseCode.NORMAL), message.get("reason"))
        elif message.get("type") == "websocket.receive" and len(data) == 1:
            self._send(data[0])
        else:
            raise ValueError(f"a peer cannot cause {show(message)}")

    def close(self, code: int | None = 1000, reason: str | None = None) -> None:
        """Close the connection as the peer; None for a close frame without a code. Does nothing after an end.

        The two codes that no frame carries stand for what they report (RFC 6455 section 7.4.1): 1005 for a close frame
        without a code, 1006 for a connection that is lost, as by `abort`.
        """
        if code == CloseCode.ABNORMAL:
            self.abort()
            return
        sent = None if code == CloseCode.NO_STATUS else code
        self._call(lambda: self._communicator.close(sent, reason or ""), "the connection to close")

    # -- receiving

    def receive(self) -> Event:
        """Return the next event that the application sends to the peer: `websocket.send`, or `websocket.close`.

        Raises:
            ConnectionClosed: after that, and after the test's own `close`.
        """
        had_ended = self._communicator.close_code is not None
        try:
            data = self._receive()
        except ApplicationEnded:
            raise
        except ConnectionClosed as closed:
            if had_ended:
                raise
            return {"type": "websocket.close", "code": closed.code, "reason": closed.reason}
        return {"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data}

    def _receive(self) -> str | bytes:
        return self._call(self._communicator.receive, "a message from the application")

    def receive_text(self) -> str:
        """Return the next message, which has to be text.

        Raises:
            UnexpectedMessageType: it is binary.
            ConnectionClosed: the connection has ended.
        """
        return self._receive_as(str, "text")

    def receive_bytes(self) -> bytes:
        """Return the next message, which has to be binary.

        Raises:
            UnexpectedMessageType: it is text.
            ConnectionClosed: the connection has ended.
        """
        return self._receive_as(bytes, "bytes")

    def _receive_as(self, kind: type[_Data], name: str) -> _Data:
        data = self._receive()
        if not isinstance(data, kind):
            raise UnexpectedMessageType(name)
        return data

    def receive_json(self, mode: Mode = "text") -> Any:
        """Return the value of the next message, which has to be JSON, as text or binary.

        Raises:
            UnexpectedMessageType, InvalidJSON: it is not.
            ConnectionClosed: the connection has ended.
        """
        return STANDARD_JSON.decode(self.receive_text() if _is_text(mode) else self.receive_bytes())

    def receive_nothing(self, seconds: float = 0.05) -> bool:
        """Return True if the application sends nothing for this many seconds of real time."""
        return self._call(lambda: self._communicator.receive_nothing(seconds), "nothing from the application")

    def wait_closed(self) -> tuple[int, str]:
        """Wait for the connection to end; the close code and the reason that the peer sees. Messages are kept."""
        return self._call(self._communicator.wait_closed, "the connection to end")

    # -- the network

    def pause_reading(self) -> None:
        """Stop to read: once 64 KiB are unread the application's `send` waits, on servers that let it."""
        self._do(self._communicator.pause_reading)

    def resume_reading(self) -> None:
        """Read what has come, and everything from now on."""
        self._do(self._communicator.resume_reading)

    def wait_blocked(self) -> None:
        """Wait until a `send` of the application's waits for the peer to read."""
        self._call(self._communicator.wait_blocked, "a send that waits for the peer to read")

    def lose_connection(self) -> None:
        """Cut the network: nothing arrives at either end any more, and neither is told."""
        self._do(self._communicator.lose_connection)

    def abort(self) -> None:
        """End the connection without a close frame; the server is told at once."""
        self._call(self._communicator.abort, "the connection to end")

    def _do(self, act: Callable[[], None]) -> None:
        """Do in the loop what takes no time."""

        async def acted() -> None:
            act()

        self._call(acted, "a turn of the loop")


def _is_text(mode: str) -> bool:
    if mode not in {"text", "binary"}:
        raise ValueError(f"mode {mode!r}: expected 'text' or 'binary'")
    return mode == "text"
