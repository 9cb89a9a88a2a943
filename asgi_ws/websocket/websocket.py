"""WebSocket: one connection, as a handler sees it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, Literal, Self, TypeAlias

from .._aio.futures import outlived
from .._aio.scopes import EndingWith
from .._asgi import Event, HeadersLike, Receive, Scope, Send
from ..close_codes import CloseCode, check_close
from ..errors import (
    ConnectionClosed,
    InvalidHeader,
    InvalidMessage,
    InvalidStatus,
    LifecycleError,
    UnexpectedMessageType,
    leaves,
)
from ..extensions import ABORT_EXTENSION, DENIAL_EXTENSION, MESSAGE_BYTES_EXTENSION
from ..headers import encode_body, encode_headers
from ..json_codec import STANDARD_JSON, JSONCodec
from ..limits import Limits, Usage
from ..security import check_subprotocol, offered_subprotocols
from .channel import FORCED_CLOSE_TIMEOUT, Channel
from .queues import Kept
from .state import WebSocketState

JSONMode: TypeAlias = Literal["text", "binary"]

CLOSE_TIMEOUT: Final = 10.0

_BYTES_LIKE: Final = (bytes, bytearray, memoryview)
_CONNECTED: Final = WebSocketState.CONNECTED
_CLOSABLE: Final = (WebSocketState.CONNECTING, WebSocketState.CONNECTED)
# RFC 6455 section 4.2.2: what the server answers a handshake with.
_HANDSHAKE_HEADERS: Final = frozenset(
    {
        b"connection",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"upgrade",
    }
)


class WebSocket(Channel):
    """The whole lifecycle of a WebSocket as an async API, over one ASGI `scope`, `receive` and `send`.

    Handlers get one from `websocket_app` or `WebSocketEndpoint`, which check the origin and close it in every ending.
    Made by hand it does neither: then `close()` is yours to call.

    The peer's leaving is `ConnectionClosed` from `receive` and from `send`, and again from every later call; iteration
    ends instead. Sends are in order under concurrency; a second concurrent reader is refused.

    Attributes:
        scope: the ASGI scope, for what has no view of its own.
        application_state: what we have sent of the lifecycle.
        client_state: what the peer has.
        close_code: how the connection ended; None while it has not.
        close_reason: likewise, "" where no reason was given.
    """

    __slots__ = ("_json",)

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        limits: Limits = Limits(),
        json: JSONCodec = STANDARD_JSON,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(scope, receive, send, limits, Usage(limits) if usage is None else usage)
        self._json = json

    @property
    def subprotocols(self) -> list[str]:
        """The subprotocols that the client offers, in its order of preference (RFC 6455 section 4.1)."""
        return offered_subprotocols(self.scope)

    # -- the handshake and the end

    async def accept(self, subprotocol: str | None = None, headers: HeadersLike | None = None) -> None:
        """Accept the handshake, with a subprotocol that the client offered and with headers of the application's.

        daphne and granian drop the headers. Cancelling the call while the server answers ends the connection.

        Raises:
            InvalidSubprotocol: when the client did not offer it (RFC 6455 section 4.2.2).
            InvalidHeader: for a header that is malformed or belongs to the handshake itself.
            LifecycleError: when the connection was accepted or refused before.
            ConnectionClosed: when the client is gone.
        """
        if subprotocol is not None:
            check_subprotocol(subprotocol, self.scope)
        raw_headers = encode_headers(headers) if headers else []
        for name, value in raw_headers:
            if name in _HANDSHAKE_HEADERS:
                raise InvalidHeader(name, value, "the server sets this header of the handshake")
        await self._connect()
        self._apply("websocket.accept", "accept()")
        accept: Event = {"type": "websocket.accept", "subprotocol": subprotocol, "headers": raw_headers}
        if self._limits.max_message_bytes is not None and MESSAGE_BYTES_EXTENSION in self._extensions:
            accept[MESSAGE_BYTES_EXTENSION] = self._limits.max_message_bytes
        try:
            await self._in_turn(accept)
        except asyncio.CancelledError:
            # The server may have accepted or not. A close ends the connection in either case.
            if not self.closed:
                self._begin_close(CloseCode.INTERNAL_ERROR, "", FORCED_CLOSE_TIMEOUT)
            raise
        self._usage.accepted += 1
        if self._limits.idle_timeout is not None:
            self._watch_idle(self._limits.idle_timeout)

    async def deny(self, status: int = 403, body: str | bytes = b"", headers: HeadersLike = ()) -> None:
        """Refuse the handshake with an HTTP response (ASGI extension "WebSocket Denial Response").

        A server without the extension (daphne) answers 403, whatever the status. `close_code` is 1006, which is what
        the client's side reports. Cancelling the call does not take the response back.

        Raises:
            InvalidStatus: unless the status is 300-599.
            InvalidHeader: for a malformed header.
            LifecycleError: when the connection was accepted or refused before.
            ConnectionClosed: when the client is gone.
        """
        if not isinstance(status, int) or not 300 <= status <= 599:
            raise InvalidStatus(status, "300-599 for a denial")
        raw_body, raw_headers = encode_body(body, headers)
        if self.application_state is _CONNECTED:
            # What stands for a denial below, a close, would be legal here.
            raise LifecycleError("deny()", self.application_state.name)
        if DENIAL_EXTENSION in self._extensions:
            self._apply("websocket.http.response.start", "deny()")
            start: Event = {"type": "websocket.http.response.start", "status": int(status), "headers": raw_headers}
            denial = self._send_denial(start, {"type": "websocket.http.response.body", "body": raw_body})
        else:
            self._apply("websocket.close", "deny()")
            self._told_end(CloseCode.ABNORMAL, "")
            denial = self._send_denial({"type": "websocket.close", "code": CloseCode.NORMAL, "reason": ""}, None)
        await outlived(self._start_closer(denial, "asgi_ws denial"))

    async def _send_denial(self, first: Event, body: Event | None) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._in_turn(first, control=True)
                if body is not None:
                    self._apply(body["type"], "deny()")
                    self._told_end(CloseCode.ABNORMAL, "")
                    await self._in_turn(body, control=True)
        except TimeoutError:
            await self._drop()
        # uvicorn's websockets-sansio class logs an error when an application returns before the transport, which is
        # closed now, has told so: that is what the loop does next.
        await asyncio.sleep(0)

    async def close(self, code: int = 1000, reason: str | None = "", timeout: float = CLOSE_TIMEOUT) -> None:  # noqa: ASYNC109 -- bounds the frame, not the caller
        """Close the connection; before accept, refuse it (HTTP 403, the code is kept for the log).

        Does nothing after an end, whatever the arguments, and raises nothing when the peer is gone. Messages that wait
        to be sent go first, those in the outbox of a hub included. A peer that does not read can hold this for
        `timeout` seconds; then the connection is dropped, with what is left of them. A task that waits in `receive`
        gets `ConnectionClosed` with this code. Cancelling the call does not take the close frame back.

        On a server that sends only 1000 and 3000-4999 (daphne), 1001-1014 go out as 4901-4914.

        Raises:
            InvalidCloseCode: unless the code may be sent (RFC 6455 section 7.4).
            InvalidCloseReason: when the reason takes more than 123 bytes of UTF-8 (section 5.5).
        """
        # First, so that a handler may pass on what ended the connection, such as 1005, which cannot be sent.
        if self.application_state not in _CLOSABLE:
            return
        reason = "" if reason is None else reason
        check_close(code, reason)
        await outlived(self._begin_close(int(code), reason, timeout))

    async def abort(self) -> None:
        """End the connection at once, without waiting for what is still to be sent.

        Where the server has the extension `asgi_ws.abort` the connection is dropped there and then, and `close_code` is
        1006 unless a close came first. Elsewhere this is `close(1011)` with one second to go, also for a close that is
        under way, and what is stuck stays with the server.
        """
        is_closing = self._closer is not None and not self._closer.done()
        if (self.application_state is _CONNECTED or is_closing) and ABORT_EXTENSION in self._extensions:
            if not is_closing:
                self._apply(ABORT_EXTENSION, "abort()")
            await self._drop()
        elif is_closing:
            await self._finish(FORCED_CLOSE_TIMEOUT)
        else:
            await self.close(CloseCode.INTERNAL_ERROR, timeout=FORCED_CLOSE_TIMEOUT)

    # -- messages in

    async def receive_text(self) -> str:
        """The next message, which has to be text.

        Raises:
            UnexpectedMessageType: when it is binary; left uncaught, it closes the connection with 1003.
        """
        data = await self.receive()
        if isinstance(data, str):
            return data
        raise UnexpectedMessageType("text")

    async def receive_bytes(self) -> bytes:
        """The next message, which has to be binary.

        Raises:
            UnexpectedMessageType: when it is text; left uncaught, it closes the connection with 1003.
        """
        data = await self.receive()
        if isinstance(data, bytes):
            return data
        raise UnexpectedMessageType("binary")

    async def receive_json(self, mode: JSONMode | None = None) -> Any:
        """The value of the next message, which has to be JSON, in text or in binary unless `mode` says in which.

        Raises:
            InvalidJSON: when it is not; left uncaught, it closes the connection with 1007.
            UnexpectedMessageType: when it is not what `mode` says; left uncaught: 1003.
        """
        _check_mode("receive_json()", mode)
        data = await self.receive()
        if mode is not None and isinstance(data, str) != (mode == "text"):
            raise UnexpectedMessageType(mode)
        return self._json.decode(data)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        """The next message; iteration ends with the connection."""
        try:
            return await self.receive()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    async def iter_text(self) -> AsyncIterator[str]:
        """Iterate over text messages, as `receive_text` gives them, to the end of the connection."""
        try:
            while True:
                yield await self.receive_text()
        except ConnectionClosed:
            return

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Iterate over binary messages, as `receive_bytes` gives them, to the end of the connection."""
        try:
            while True:
                yield await self.receive_bytes()
        except ConnectionClosed:
            return

    async def iter_json(self, mode: JSONMode | None = None) -> AsyncIterator[Any]:
        """Iterate over JSON messages, as `receive_json` gives them, to the end of the connection."""
        try:
            while True:
                yield await self.receive_json(mode)
        except ConnectionClosed:
            return

    async def wait_closed(self) -> None:
        """Wait for the end of the connection. It reads meanwhile, since ASGI tells of the end only there.

        Up to 1,024 messages and 256 KiB that come meanwhile are kept for a later `receive`; what is past that is
        dropped and counted (`Statistics.dropped_messages`).

        Raises:
            ConcurrentReceiveError: when another task is receiving.
            LifecycleError: before accept.
        """
        if self.application_state is WebSocketState.CONNECTING:
            raise LifecycleError("wait_closed()", self.application_state.name, "call accept() first")
        # Out of the way of `receive`, which would give them back.
        kept, self._kept = self._kept, Kept()
        self._come_to_rest()
        try:
            while True:
                if not kept.put(await self.receive()):
                    self._usage.dropped_messages += 1
        except ConnectionClosed:
            return
        finally:
            self._kept = kept
            self._come_to_rest()

    def until_closed(self) -> EndingWith:
        """A block (`async with`) that is cancelled when the connection ends, and ends quietly: for who only sends.

        It reads meanwhile, as `wait_closed` does. A `ConnectionClosed` of this connection ends the block quietly too.

        Raises:
            ConcurrentReceiveError: when another task is receiving.
            LifecycleError: before accept.
        """
        return EndingWith(
            self.wait_closed,
            name="asgi_ws until_closed",
            is_quiet=lambda error: self.closed and all(isinstance(each, ConnectionClosed) for each in leaves(error)),
        )

    # -- messages out

    async def send(self, data: str | bytes | bytearray | memoryview) -> None:
        """Send one message: str as text, bytes as binary. It waits while the server's buffers are full.

        Raises:
            ConnectionClosed: when the connection has ended.
            LifecycleError: before accept.
            InvalidMessage: for any other type.
        """
        # The first question is the cheaper one, and nearly always answers.
        if type(data) is str or isinstance(data, str):
            event: Event = {"type": "websocket.send", "text": data}
        elif isinstance(data, _BYTES_LIKE):
            event = {"type": "websocket.send", "bytes": bytes(data)}
        else:
            raise InvalidMessage("send()", "str or bytes", data)
        if self._sending is not None:
            await self._in_turn(event)
            return
        # The rest is `_in_turn` where nobody else sends, without the cost of another call for each message.
        self._sending = event
        try:
            await self._send_event(event)
        except (OSError, RuntimeError) as error:
            self._check_lost(error)
            raise
        finally:
            if self._turns is None:
                self._sending = self._at_rest
            else:
                self._pass_on()

    async def send_text(self, data: str) -> None:
        """Send one text message; errors as of `send`."""
        if not isinstance(data, str):
            raise InvalidMessage("send_text()", "str", data)
        await self.send(data)

    async def send_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """Send one binary message; errors as of `send`."""
        if not isinstance(data, _BYTES_LIKE):
            raise InvalidMessage("send_bytes()", "bytes", data)
        await self.send(data)

    async def send_json(self, data: Any, mode: JSONMode = "text") -> None:
        """Send a value as JSON, in a text message or in a binary one; errors as of `send`, and the encoder's."""
        _check_mode("send_json()", mode)
        await self.send(self._json.encode_text(data) if mode == "text" else self._json.encode_bytes(data))


def _check_mode(call: str, mode: JSONMode | None) -> None:
    if mode not in ("text", "binary", None):
        raise InvalidMessage(call, 'a mode of "text" or "binary"', mode)
