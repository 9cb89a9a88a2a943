"""One connection's exchange with its server: events in the right state, sent in order, read by one task.

`WebSocket` has one of these. It hides the differences between servers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from types import CoroutineType
from typing import Any, Final, NoReturn, Protocol, TypeVar

from .._aio.deadline import Deadline
from .._aio.fair_lock import FairLock
from .._aio.futures import ended, ended_within, outlived, retrieve_exception
from .._asgi import Event, Receive, Scope, Send
from ..close_codes import CloseCode, as_private_code
from ..errors import ConcurrentReceiveError, ConnectionClosed, LifecycleError
from ..extensions import ABORT_EXTENSION, DENIAL_EXTENSION, MESSAGE_BYTES_EXTENSION
from ..limits import Limits, Refusal, Usage
from ..sizes import size_of
from .idle import IdleTimer, measure_of
from .pending_receive import PendingReceive
from .servers import is_of_daphne, means_gone
from .state import CLOSABLE, Lifecycle, WebSocketState
from .unread import UnreadMessages

logger = logging.getLogger("asgi_ws")

# Seconds that a close frame or a denial may take.
CLOSE_TIMEOUT: Final = 10.0
# Seconds that a close frame may take where the handler did not ask for it.
FORCED_CLOSE_TIMEOUT: Final = 1.0

_CONNECTING: Final = WebSocketState.CONNECTING
_CONNECTED: Final = WebSocketState.CONNECTED
_DISCONNECTED: Final = WebSocketState.DISCONNECTED
# No UTF-8 character is longer, so a text of a quarter of the limit needs no counting.
_LONGEST_CHARACTER: Final = 4
_UNLIMITED: Final = 2**63

_W = TypeVar("_W")


class AttachedSender(Protocol):
    """Sends on a connection besides its handler: the outbox of a hub."""

    def on_end(self) -> None:
        """Take no more messages: the connection has ended, or is about to. Pending messages are still sent."""

    async def flush(self) -> None:
        """Wait until pending messages are sent. The close time-out cancels this."""

    def on_gone(self) -> None:
        """Drop everything, including the message that is being sent."""


class Channel:
    """Order and endings of one WebSocket, over the `receive` and `send` of its server.

    The attributes are for `WebSocket`, in which `receive` and `send` are written out: to await a method of the channel
    for each answer costs a class endpoint a quarter more (0.69 instead of 0.54 µs, `python -m benchmarks inprocess`).

    Attributes:
        lifecycle: the state of both sides. Its transitions are made here.
        is_ready: whether a message may go either way at once: the connection is accepted and open, and no unread
            message goes first.
        reader: the task that waits for a message now. An ending of ours cancels it and sets this to None.
        is_sending: whether an event is being sent.
        senders: the senders that wait for their turn after it; None while nobody does.
        loop: the event loop that the connection belongs to.
        receive_event: `receive` of the server. It is replaced only before accept.
        send_event: `send` of the server.
        measure: counts each message received, and returns the limit that it exceeds; None where no limit needs it.
        unmeasured: a text up to this length is within the limit of its size.
        on_disconnect: called with the close code after the end; set by an endpoint before its `on_connect`.
        deadline: the time to accept; None without one, and after accept or refusal.
    """

    __slots__ = (
        "_attached",
        "_closer",
        "_idle",
        "_is_flushing",
        "_limits",
        "_pending",
        "_scope",
        "_unread",
        "_usage",
        "deadline",
        "is_ready",
        "is_sending",
        "lifecycle",
        "loop",
        "measure",
        "on_disconnect",
        "reader",
        "receive_event",
        "send_event",
        "senders",
        "unmeasured",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits, usage: Usage) -> None:
        self._scope = scope
        self._limits = limits
        self._usage = usage
        self.loop = asyncio.get_running_loop()
        self.lifecycle = Lifecycle()
        self.is_ready = False
        self.reader: asyncio.Task[Any] | None = None
        self.is_sending = False
        self.senders: FairLock | None = None
        self.receive_event = receive
        self.send_event = send
        self.measure = measure_of(limits, self.loop)
        largest = _UNLIMITED if limits.max_message_bytes is None else limits.max_message_bytes
        self.unmeasured = largest // _LONGEST_CHARACTER
        self.on_disconnect: Callable[[int], Awaitable[None]] | None = None
        self.deadline: Deadline | None = None
        # Keeps what was received when the reader is cancelled, on a server that would lose it; None on the others.
        self._pending: PendingReceive | None = None
        # Messages that came while nobody received; None while there are none.
        self._unread: UnreadMessages | None = None
        # Runs from accept to the end where there is an idle limit.
        self._idle: IdleTimer | None = None
        if limits.idle_timeout is not None:
            self._idle = IdleTimer(limits.idle_timeout, partial(self.close_for, Refusal.IDLE))
            self.send_event = self._idle.noting_sends(send)
            self.measure = self._idle.noting_messages(self.measure)
        # Sends the close frame, or the denial; None until there is one.
        self._closer: asyncio.Task[None] | None = None
        self._attached: tuple[AttachedSender, ...] = ()
        # Whether these may still send, though the end has begun: their messages go before the close frame.
        self._is_flushing = False

    # -- states

    @property
    def on_daphne(self) -> bool:
        """Whether the server is daphne."""
        return is_of_daphne(self._scope)

    @property
    def is_settled(self) -> bool:
        """Whether the connection has ended and nothing is left to wait for: most were closed by the peer."""
        return self.lifecycle.closed and self._closer is None and self._pending is None

    @property
    def _extensions(self) -> Mapping[str, Any]:
        extensions: Mapping[str, Any] = self._scope.get("extensions") or {}
        return extensions

    def _on_send(self, event_type: str, call: str) -> None:
        """Make the transition of an event that `call` is about to send; errors as of `Lifecycle.on_send`."""
        self.lifecycle.on_send(event_type, call)
        self._update_ready()
        self._stop_deadline()

    def _on_receive(self, event: Event) -> None:
        """Make the transition of an event other than a message that the server delivered."""
        self.lifecycle.on_receive(event)
        if MESSAGE_BYTES_EXTENSION in event:
            # The server has ended the connection for our limit, before the message was whole.
            self._usage.refused[Refusal.MESSAGE_BYTES.name] += 1
        if self.lifecycle.closed:
            self._on_gone()

    def _on_lost(self) -> None:
        """Make the transition of a lost connection."""
        self.lifecycle.on_lost(CloseCode.ABNORMAL, "")
        self._on_gone()

    def _on_gone(self) -> None:
        """Notify everyone that nothing can be sent any more."""
        self._on_end()
        self._update_ready()
        self._stop_deadline()
        if self.senders is not None:
            self.senders.fail(self.lifecycle.closed_error())
        self._interrupt()
        for attached in self._attached:
            attached.on_gone()

    def _on_end(self) -> None:
        """Notify everyone that the connection has ended, or is about to."""
        if self._idle is not None:
            self._idle.stop()
        for attached in self._attached:
            attached.on_end()

    def _update_ready(self) -> None:
        self.is_ready = self.lifecycle.application is _CONNECTED and self._unread is None

    def _stop_deadline(self) -> None:
        if self.deadline is not None:
            self.deadline.stop()
            self.deadline = None

    # -- the handshake

    def watch_handshake(self, seconds: float | None) -> Deadline:
        """Cancel the current task when it does not answer the handshake in time, or its client leaves before."""
        self.deadline = Deadline(asyncio.current_task(self.loop) or no_task(), seconds, self._client_leaves)
        return self.deadline

    async def accept(self, subprotocol: str | None, headers: list[tuple[bytes, bytes]]) -> None:
        """Accept the handshake. Cancelling the call while the server answers ends the connection.

        Raises:
            LifecycleError: when the connection was accepted or refused before.
            ConnectionClosed: when the client is gone.
        """
        if self.deadline is not None:
            watcher = self.deadline.stop_watching(cancel=self.lifecycle.client is not _CONNECTING)
            if watcher is not None:
                await ended(watcher)
        await self._take_connect()
        if self.lifecycle.client is _DISCONNECTED:
            raise self.lifecycle.closed_error()
        self._on_send("websocket.accept", "accept()")
        event: Event = {"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers}
        if self._limits.max_message_bytes is not None and MESSAGE_BYTES_EXTENSION in self._extensions:
            event[MESSAGE_BYTES_EXTENSION] = self._limits.max_message_bytes
        try:
            await self.send(event)
        except asyncio.CancelledError:
            # The server may have accepted or not. A close ends the connection in either case.
            if not self.lifecycle.closed:
                self.begin_close(CloseCode.INTERNAL_ERROR, "", FORCED_CLOSE_TIMEOUT)
            raise
        self._usage.accepted += 1
        if self._idle is not None and not self.lifecycle.closed:
            self._idle.start()

    async def deny(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Refuse the handshake with an HTTP response. Cancelling the call does not take it back.

        Raises:
            LifecycleError: when the connection was accepted or refused before.
            ConnectionClosed: when the client is gone.
        """
        if self.lifecycle.application is _CONNECTED:
            # The close that stands for a denial below would be legal here.
            raise LifecycleError("deny()", self.lifecycle.application.name)
        if DENIAL_EXTENSION in self._extensions:
            self._on_send("websocket.http.response.start", "deny()")
            start: Event = {"type": "websocket.http.response.start", "status": status, "headers": headers}
            denial = self._send_denial(start, {"type": "websocket.http.response.body", "body": body})
        else:
            self._on_send("websocket.close", "deny()")
            self._on_denied()
            denial = self._send_denial({"type": "websocket.close", "code": CloseCode.NORMAL, "reason": ""}, None)
        await outlived(self._start_closer(denial, "asgi_ws denial"))

    async def _send_denial(self, first: Event, body: Event | None) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.send(first, is_control=True)
                if body is not None:
                    self._on_send(body["type"], "deny()")
                    self._on_denied()
                    await self.send(body, is_control=True)
        except TimeoutError:
            await self._drop()
        # uvicorn's websockets-sansio class logs an error when an application returns before the transport, which is
        # closed now, has notified it: that is what the loop does next.
        await asyncio.sleep(0)

    def _on_denied(self) -> None:
        self.lifecycle.on_end(CloseCode.ABNORMAL, "")
        self._on_end()

    async def _take_connect(self) -> None:
        """Take the connect event, which comes first (ASGI, "WebSocket": Connect)."""
        if self.lifecycle.client is not _CONNECTING:
            return
        connect = self.receive_event()
        if not isinstance(connect, CoroutineType | Coroutine):
            # granian gives a future of its own: once that was asked for, the next message is lost with it.
            self._pending = PendingReceive(self.receive_event, connect)
            self.receive_event = self._pending.receive
            connect = self.receive_event()
        self._on_receive(await connect)

    async def _client_leaves(self) -> bool:
        """Wait for the client to leave before its handshake is answered. False if that cannot be seen any more.

        A connection that is not open any more would keep its place, and its handler running, until the time to accept
        is over. granian sends no event before accept.
        """
        await self._take_connect()
        if self.lifecycle.client is not _DISCONNECTED:
            if self._pending is not None or self.deadline is None or self.deadline.is_in_vain is None:
                return False
            event = await self.receive_event()
            if event["type"] != "websocket.disconnect":
                # No client may send yet (RFC 6455 section 4.1), but uvicorn's default class lets it.
                self.receive_event = _beginning_with(event, self.receive_event)
                return False
            self._on_receive(event)
        return True

    # -- events out

    async def send(self, event: Event, *, is_control: bool = False) -> None:
        """Send an event after those that wait already: not every server keeps concurrent sends in order.

        A message needs an open connection; an event whose transition was made already is `is_control`.

        Raises:
            ConnectionClosed: when the peer is gone (ASGI, "WebSocket": send raises an OSError from version 2.4 on).
            LifecycleError: for a message before accept.
        """
        if self.lifecycle.application is not _CONNECTED and not is_control:
            self._on_send(event["type"], "send()")
        if self.is_sending:
            if self.senders is None:
                self.senders = FairLock()
            await self.senders.wait(self._on_idle)
        self.is_sending = True
        try:
            await self.send_event(event)
        except (OSError, RuntimeError) as error:
            self.raise_if_lost(error)
            raise
        finally:
            self.pass_on()

    def pass_on(self) -> None:
        """Let the next sender send, after an event was sent."""
        if self.senders is None or not self.senders.pass_on():
            self.senders = None
            self._on_idle()

    def _on_idle(self) -> None:
        self.is_sending = False

    def raise_if_lost(self, error: Exception) -> None:
        """Raise ConnectionClosed if the server could not send because the peer is gone."""
        if means_gone(error, self._scope):
            self._on_lost()
            raise self.lifecycle.closed_error() from None

    def attach(self, attached: AttachedSender) -> None:
        """Notify another sender of the end. It sends with `send_attached`."""
        self._attached = (*self._attached, attached)

    def detach(self, attached: AttachedSender) -> None:
        """Stop notifying a sender."""
        # Most connections have one, and many may be disconnected in one iteration of the loop.
        is_only = self._attached == (attached,)
        self._attached = () if is_only else tuple(other for other in self._attached if other is not attached)

    def send_attached(self, event: Event) -> Awaitable[None]:
        """Send a message of an attached sender, after those that wait already; errors as of `send`."""
        return self.send(event, is_control=self._is_flushing)

    # -- events in

    async def feed(self, ws: _W, handle: Callable[[_W, Any], Awaitable[object]]) -> None:
        """Call `handle(ws, message)` for each message, one after the other, until the peer leaves.

        `WebSocket.receive` in a loop, written out once more: a call for each message is what would double the cost of a
        class endpoint over a bare loop. Raises the errors of `receive`, but for the usual end: an exception would go
        through everything that serves the connection.
        """
        reader = asyncio.current_task(self.loop) or no_task()
        cancellations = reader.cancelling()
        receive_event, unmeasured, measure = self.receive_event, self.unmeasured, self.measure
        while True:
            if self.reader is not None or not self.is_ready:
                await handle(ws, self.unread_message())
                continue
            self.reader = reader
            try:
                event = await receive_event()
            except asyncio.CancelledError:
                self.raise_if_interrupted(reader, cancellations)
                raise
            finally:
                self.reader = None
            data: str | bytes | None = event.get("text")
            if data is None or len(data) > unmeasured:
                if data is None and event["type"] == "websocket.disconnect":
                    self._on_receive(event)
                    return
                data = self.admit(event, data)
            if measure is not None and (refusal := measure(data)) is not None:
                self.refuse(refusal)
            await handle(ws, data)

    def unread_message(self) -> str | bytes:
        """Return a message that came while nobody received, or raise why `receive` cannot wait for one."""
        if self.reader is not None:
            raise ConcurrentReceiveError("receive()")
        if self._unread is not None:
            data = self._unread.take()
            self.keep_unread(self._unread)
            return data
        if self.lifecycle.closed:
            raise self.lifecycle.closed_error()
        raise LifecycleError("receive()", self.lifecycle.application.name, "call accept() first")

    def take_unread(self) -> UnreadMessages:
        """Return the unread messages, and receive from the server from now on."""
        unread, self._unread = self._unread, None
        self._update_ready()
        return UnreadMessages() if unread is None else unread

    def keep_unread(self, unread: UnreadMessages) -> None:
        """Receive these messages first from now on."""
        self._unread = unread or None
        self._update_ready()

    def on_dropped(self) -> None:
        """Count a message that came while nobody received, past the bound."""
        self._usage.dropped_messages += 1

    def _interrupt(self) -> None:
        """Wake the reader: after a close some servers never notify it, and a dead peer never will."""
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.cancel()

    def raise_if_interrupted(self, reader: "asyncio.Task[Any]", cancellations: int) -> None:
        """Raise ConnectionClosed if the cancellation that the reader met was ours alone, and take it back.

        `cancellations` is how many the task had on its account before.
        """
        if self.reader is not reader and reader.uncancel() <= cancellations:
            raise self.lifecycle.closed_error() from None

    # -- limits

    def admit(self, event: Event, data: str | bytes | None) -> str | bytes:
        """Return the message in an event, if it is not too long; `data` is its text, if it has any.

        Raises:
            ConnectionClosed: when it is the disconnect; also when the connection is ended for the message's size.
        """
        # ASGI, "WebSocket", receive: one of the two is not None, and both keys may be there. "" and b"" are messages.
        if data is None:
            data = event.get("bytes")
        if data is None:
            self._on_receive(event)
            raise self.lifecycle.closed_error()
        largest = self._limits.max_message_bytes
        if len(data) > self.unmeasured and largest is not None and size_of(data) > largest:
            self.refuse(Refusal.MESSAGE_BYTES)
        return data

    def refuse(self, refusal: Refusal) -> NoReturn:
        """Close the connection by policy, and raise ConnectionClosed."""
        self.close_for(refusal)
        raise self.lifecycle.closed_error()

    def close_for(self, refusal: Refusal) -> None:
        """Begin to close an accepted connection by policy; `finish_closing` waits for the close frame."""
        if not self.lifecycle.closed:
            self._usage.refused[refusal.name] += 1
            self.begin_close(refusal.close_code, refusal.reason, FORCED_CLOSE_TIMEOUT)

    # -- the end

    def begin_close(self, code: int, reason: str, seconds: float) -> "asyncio.Task[None]":
        """Make the transition of a close frame, and return the task that sends it, in bounded time."""
        self._on_send("websocket.close", "close()")
        # At once: an attached sender may send the next message before the task that flushes has begun.
        self._is_flushing = True
        self.lifecycle.on_end(code, reason)
        self._on_end()
        return self._start_closer(self._send_close(code, reason, seconds), "asgi_ws close")

    async def _send_close(self, code: int, reason: str, seconds: float) -> None:
        """Wake the reader, and send the close frame after pending messages, those of attached senders included."""
        # First, since granian's close waits for the end of a receive. A handler that ends now ends no earlier than this
        # task does: see `finish_closing`.
        self._interrupt()
        if self.on_daphne:
            code = as_private_code(code)
        try:
            async with asyncio.timeout(seconds):
                if self._pending is not None:
                    self._pending.abort()
                await self._flush()
                await self.send({"type": "websocket.close", "code": code, "reason": reason}, is_control=True)
        except TimeoutError:
            await self._drop()
        except ConnectionClosed:
            pass
        except Exception:
            # A server may raise anything for a close frame to a peer in an odd state. The connection ends all the same.
            logger.debug("the server refused a close frame", exc_info=True)

    async def _flush(self) -> None:
        try:
            for attached in self._attached:
                await attached.flush()
        finally:
            self._is_flushing = False

    async def abort(self) -> None:
        """End an accepted connection at once where the server can do that, elsewhere within a second."""
        is_closing = self._closer is not None and not self._closer.done()
        if (self.lifecycle.application is _CONNECTED or is_closing) and ABORT_EXTENSION in self._extensions:
            if not is_closing:
                self._on_send(ABORT_EXTENSION, "abort()")
            await self._drop()
        elif is_closing:
            await self.finish_closing(FORCED_CLOSE_TIMEOUT)
        elif self.lifecycle.application in CLOSABLE:
            await outlived(self.begin_close(CloseCode.INTERNAL_ERROR, "", FORCED_CLOSE_TIMEOUT))

    async def _drop(self) -> None:
        """Lose the connection; what is still to be sent is lost with it."""
        self._on_lost()
        if ABORT_EXTENSION in self._extensions:
            # Out of turn: this is for a send that is stuck.
            with suppress(OSError, RuntimeError):
                await self.send_event({"type": ABORT_EXTENSION})

    async def finish_closing(self, seconds: float | None = None) -> None:
        """Wait until a close frame or a denial that was begun is sent, for `seconds` at most; abort what is pending.

        Cancelling this, however often, leaves it `FORCED_CLOSE_TIMEOUT`: a task that is cancelled twice answers too.
        """
        closer = self._closer
        try:
            if closer is not None:
                await ended_within(closer, seconds, FORCED_CLOSE_TIMEOUT)
        finally:
            if closer is not None and not closer.done():
                closer.cancel()
                await self._drop()
                await asyncio.wait([closer])
            if self._pending is not None:
                self._pending.abort()

    def _start_closer(self, closing: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Begin to send what ends the connection, in a task: its caller may be cancelled, and the peer still hears."""
        self._closer = asyncio.create_task(closing, name=name)
        self._closer.add_done_callback(retrieve_exception)
        return self._closer


def no_task() -> NoReturn:
    """Refuse a call that no task has made."""
    raise RuntimeError("a WebSocket may only be used from a task of its event loop")


def _beginning_with(event: Event, receive: Receive) -> Receive:
    events = [event]

    async def receive_event() -> Event:
        return events.pop() if events else await receive()

    return receive_event
