"""WebSocket: one connection, as a handler sees it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, Literal, Self, TypeAlias

from .._aio.futures import outlived
from .._aio.scopes import EndingWith
from .._asgi import Event, HeadersLike, Receive, Scope, Send
from ..close_codes import check_close
from ..connection import Connection
from ..errors import (
    ConnectionClosed,
    InvalidHeader,
    InvalidMessage,
    InvalidStatus,
    LifecycleError,
    UnexpectedMessageType,
    leaves,
    show,
)
from ..headers import encode_body, encode_headers
from ..json_codec import STANDARD_JSON, JSONCodec
from ..limits import Limits, Usage
from ..security import check_subprotocol, offered_subprotocols
from .channel import CLOSE_TIMEOUT, Channel, no_task
from .state import CLOSABLE, WebSocketState

JSONMode: TypeAlias = Literal["text", "binary"]

_BYTES_LIKE: Final = (bytes, bytearray, memoryview)
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


class WebSocket(Connection):
    """The whole lifecycle of a WebSocket as an async API, over one ASGI `scope`, `receive` and `send`.

    Handlers get one from `websocket_app` or `WebSocketEndpoint`, which check the origin and close it in every ending.
    Made by hand it does neither: then `close()` is yours to call.

    The peer's leaving is `ConnectionClosed` from `receive` and from `send`, and again from every later call; iteration
    ends instead. Sends are in order under concurrency; a second concurrent reader is refused.

    Attributes:
        scope: the ASGI scope, for what has no view of its own.
    """

    __slots__ = ("_channel", "_json")

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
        super().__init__(scope)
        self._channel = Channel(scope, receive, send, limits, Usage(limits) if usage is None else usage)
        self._json = json

    def __repr__(self) -> str:
        return f"<WebSocket {show(self.scope['path'], 200)} from {self.client}, {self.application_state.name}>"

    @property
    def application_state(self) -> WebSocketState:
        """The state that our part of the lifecycle has reached: what we have sent."""
        return self._channel.lifecycle.application

    @property
    def client_state(self) -> WebSocketState:
        """The state that the client's part of the lifecycle has reached."""
        return self._channel.lifecycle.client

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, on whichever side, or was refused."""
        return self._channel.lifecycle.closed

    @property
    def close_code(self) -> int | None:
        """The code with which the connection ended; None while it has not."""
        return self._channel.lifecycle.close_code

    @property
    def close_reason(self) -> str | None:
        """The reason with which the connection ended, "" where none was given; None while it has not."""
        return self._channel.lifecycle.close_reason

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
        await self._channel.accept(subprotocol, raw_headers)

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
        await self._channel.deny(int(status), raw_headers, raw_body)

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
        if self.application_state not in CLOSABLE:
            return
        reason = "" if reason is None else reason
        check_close(code, reason)
        await outlived(self._channel.begin_close(int(code), reason, timeout))

    async def abort(self) -> None:
        """End the connection at once, without waiting for what is still to be sent.

        Where the server has the extension `asgi_ws.abort` the connection is dropped there and then, and `close_code` is
        1006 unless a close came first. Elsewhere this is `close(1011)` with one second to go, also for a close that is
        under way, and what is stuck stays with the server.
        """
        await self._channel.abort()

    # -- messages in

    async def receive(self) -> str | bytes:
        """Return the next message: text as str, binary as bytes.

        Raises:
            ConnectionClosed: when the connection has ended; also when a message broke a limit, with that limit's code.
            ConcurrentReceiveError: when another task is receiving.
            LifecycleError: before accept.
        """
        channel = self._channel
        if channel.reader is not None or not channel.is_ready:
            return channel.unread_message()
        # With the loop at hand this costs half as much on Python 3.11.
        channel.reader = reader = asyncio.current_task(channel.loop) or no_task()
        cancellations = reader.cancelling()
        try:
            event = await channel.receive_event()
        except asyncio.CancelledError:
            channel.raise_if_interrupted(reader, cancellations)
            raise
        finally:
            channel.reader = None
        data: str | bytes | None = event.get("text")
        if data is None or len(data) > channel.unmeasured:
            data = channel.admit(event, data)
        if channel.measure is not None and (refusal := channel.measure(data)) is not None:
            channel.refuse(refusal)
        return data

    async def receive_text(self) -> str:
        """Return the next message, which has to be text.

        Raises:
            UnexpectedMessageType: when it is binary; left uncaught, it closes the connection with 1003.
        """
        data = await self.receive()
        if isinstance(data, str):
            return data
        raise UnexpectedMessageType("text")

    async def receive_bytes(self) -> bytes:
        """Return the next message, which has to be binary.

        Raises:
            UnexpectedMessageType: when it is text; left uncaught, it closes the connection with 1003.
        """
        data = await self.receive()
        if isinstance(data, bytes):
            return data
        raise UnexpectedMessageType("binary")

    async def receive_json(self, mode: JSONMode | None = None) -> Any:
        """Return the value of the next message, which has to be JSON, as text or binary unless `mode` chooses one.

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
        """Return the next message. Iteration ends with the connection."""
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
        unread = self._channel.take_unread()
        try:
            while True:
                if not unread.put(await self.receive()):
                    self._channel.on_dropped()
        except ConnectionClosed:
            return
        finally:
            self._channel.keep_unread(unread)

    def until_closed(self) -> EndingWith:
        """Return a block (`async with`) that the end of the connection cancels quietly, for handlers that only send.

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
        channel = self._channel
        if channel.is_sending or not channel.is_ready:
            await channel.send(event)
            return
        channel.is_sending = True
        try:
            await channel.send_event(event)
        except (OSError, RuntimeError) as error:
            channel.raise_if_lost(error)
            raise
        finally:
            if channel.senders is None:
                channel.is_sending = False
            else:
                channel.pass_on()

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


def channel_of(ws: WebSocket) -> Channel:
    """Return the channel of a WebSocket, for the modules of this package that close it and send on it themselves."""
    return ws._channel  # noqa: SLF001 -- not an attribute without underscore: those are the users' to set
