"""One connection's exchange with its server: events in the right state, sent in order, read by one task.

This is the part of `WebSocket` that levels the servers. What a handler calls, and what it gets, is in `websocket`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from types import CoroutineType
from typing import Any, Final, NoReturn, Protocol, Self

from .._aio.deadline import Deadline, ended, ended_within
from .._aio.fair_lock import FairLock
from .._asgi import Event, Receive, Scope, Send
from ..close_codes import CloseCode, as_private_code
from ..errors import ConcurrentReceiveError, ConnectionClosed, LifecycleError
from ..extensions import ABORT_EXTENSION, MESSAGE_BYTES_EXTENSION
from ..limits import Limits, Refusal, Usage
from ..sizes import size_of
from .idle import IdleTimer, measure_of
from .queues import Kept, PendingReceive
from .state import SHUT, Shut, States, WebSocketState, means_gone

logger = logging.getLogger("asgi_ws")

# How long an ending that the handler did not ask for may try to get its close frame out, in seconds.
FORCED_CLOSE_TIMEOUT: Final = 1.0

_CONNECTING: Final = WebSocketState.CONNECTING
_CONNECTED: Final = WebSocketState.CONNECTED
_DISCONNECTED: Final = WebSocketState.DISCONNECTED
# No UTF-8 character is longer, so a text of a quarter of the limit needs no counting.
_LONGEST_CHARACTER: Final = 4
_UNLIMITED: Final = 2**63


class Attached(Protocol):
    """Who sends on a connection besides its handler."""

    def on_end(self) -> None:
        """The connection has ended, or is about to: take no more messages. Those that wait are still sent."""

    async def flush(self) -> None:
        """Wait until what waits is sent. It is bounded by a time-out, which cancels this."""

    def on_gone(self) -> None:
        """Nothing can be sent any more, also what is being sent now."""


# Most connections have nobody.
_NOBODY: Final[list[Attached]] = []


class Channel(States):
    """Order and endings of one WebSocket, over the `receive` and `send` of its server."""

    __slots__ = (
        "_at_rest",
        "_attached",
        "_closer",
        "_deadline",
        "_idle",
        "_interrupted",
        "_is_flushing",
        "_kept",
        "_largest",
        "_limits",
        "_loop",
        "_measure",
        "_on_end",
        "_pending",
        "_reader",
        "_receive_event",
        "_send_event",
        "_sending",
        "_turns",
        "_unmeasured",
        "_usage",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits, usage: Usage) -> None:
        super().__init__(scope)
        self._receive_event = receive
        self._send_event = send
        self._limits = limits
        self._usage = usage
        # What the next two are at rest: None while messages may pass, SHUT before accept, after the end, and while
        # messages are kept. One look at them tells `receive` and `send` whether they need a closer one.
        self._at_rest: Shut | None = SHUT
        # The task that waits for a message now.
        self._reader: asyncio.Task[Any] | Shut | None = SHUT
        # Whether we have cancelled the reader, which it has not met yet.
        self._interrupted = False
        # The event that is being sent.
        self._sending: Event | Shut | None = SHUT
        # Who waits to send after it; None while nobody does.
        self._turns: FairLock | None = None
        # Keeps what was received when the reader is cancelled, on a server that would lose it; None on the others.
        self._pending: PendingReceive | None = None
        # Messages that came while nobody wanted them.
        self._kept = Kept()
        self._largest = _UNLIMITED if limits.max_message_bytes is None else limits.max_message_bytes
        # A text up to this length needs no closer look.
        self._unmeasured = self._largest // _LONGEST_CHARACTER
        self._loop = asyncio.get_running_loop()
        # What counts every message received, and tells if it is one too many; None where nothing has to.
        self._measure = measure_of(limits, self._loop)
        # Runs from accept to the end where there is an idle limit.
        self._idle: IdleTimer | None = None
        # Sends the close frame, or the denial; None until there is one.
        self._closer: asyncio.Task[None] | None = None
        # Set by whoever imposes a time to accept; accept and refusal lift it.
        self._deadline: Deadline | None = None
        # Who else sends here, and is told of the end.
        self._attached: list[Attached] = _NOBODY
        # Whether these may still send, though the end has begun: their messages go before the close frame.
        self._is_flushing = False
        # What to call with the close code after the end; set by an endpoint when its `on_connect` is entered.
        self._on_end: Callable[[int], Awaitable[None]] | None = None

    # -- states

    def _seen(self, event: Event) -> None:
        super()._seen(event)
        if MESSAGE_BYTES_EXTENSION in event:
            # The server has ended the connection for our limit, before the message was whole.
            self._usage.refused[Refusal.MESSAGE_BYTES.name] += 1

    def _apply(self, event_type: str, call: str) -> None:
        super()._apply(event_type, call)
        self._come_to_rest()
        self._lift_deadline()

    def _come_to_rest(self) -> None:
        """Open the way for messages, or shut it, after a change of the state or of what is kept."""
        is_open = self.application_state is _CONNECTED and not self._kept
        before, self._at_rest = self._at_rest, None if is_open else SHUT
        if self._reader is before:
            self._reader = self._at_rest
        if self._sending is before:
            self._sending = self._at_rest

    def _lift_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.lift()
            self._deadline = None

    def _ended(self, code: int, reason: str) -> None:
        super()._ended(code, reason)
        self._come_to_rest()
        self._lift_deadline()
        if self._turns is not None:
            self._turns.fail(self._closed_error())
        if self._reader is not self._at_rest:
            self._interrupt()
        for attached in tuple(self._attached):
            attached.on_gone()

    def _told_end(self, code: int, reason: str) -> None:
        super()._told_end(code, reason)
        if self._idle is not None:
            self._idle.stop()
        for attached in tuple(self._attached):
            attached.on_end()

    def _attach(self, attached: Attached) -> None:
        """Let somebody else send here, by `_in_turn`, and tell him when the connection ends."""
        self._attached = [*self._attached, attached]

    def _send_attached(self, event: Event) -> Awaitable[None]:
        """Send a message of who is attached, after those that wait already; errors as of `_in_turn`."""
        return self._in_turn(event, control=self._is_flushing)

    def _detach(self, attached: Attached) -> None:
        """Tell him no more."""
        self._attached = [other for other in self._attached if other is not attached] or _NOBODY

    def _check_lost(self, error: Exception) -> None:
        """Raise ConnectionClosed if the server could not send because the peer is gone."""
        if means_gone(error, self.scope):
            self._ended(CloseCode.ABNORMAL, "")
            raise self._closed_error() from None

    # -- events out

    async def _in_turn(self, event: Event, *, control: bool = False) -> None:
        """Send an event after those that wait already: not every server keeps concurrent sends in order.

        A message needs an open connection; an event whose transition was made already is `control`.

        Raises:
            ConnectionClosed: when the peer is gone (ASGI, "WebSocket": send raises an OSError from version 2.4 on).
            LifecycleError: for a message before accept.
        """
        if self.application_state is not _CONNECTED and not control:
            self._apply(event["type"], "send()")
        if self._sending is not self._at_rest:
            if self._turns is None:
                self._turns = FairLock()
            await self._turns.wait(self._free)
        self._sending = event
        try:
            await self._send_event(event)
        except (OSError, RuntimeError) as error:
            self._check_lost(error)
            raise
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        if self._turns is None or not self._turns.pass_on():
            self._turns = None
            self._free()

    def _free(self) -> None:
        self._sending = self._at_rest

    def _begin_close(self, code: int, reason: str, seconds: float) -> "asyncio.Task[None]":
        """Make the transition of a close frame, and begin to send it, in bounded time; `_finish` waits for it."""
        self._apply("websocket.close", "close()")
        # At once: who is attached may send the next message before the task that flushes has begun.
        self._is_flushing = True
        self._told_end(code, reason)
        return self._start_closer(self._send_close(code, reason, seconds), "asgi_ws close")

    async def _send_close(self, code: int, reason: str, seconds: float) -> None:
        """Wake the reader, and send the close frame after what waits, here and with who is attached."""
        # First, since granian's close waits for the end of a receive. A handler that ends now ends no earlier than this
        # task does: see `_finish`.
        self._interrupt()
        if self._on_daphne:
            code = as_private_code(code)
        try:
            async with asyncio.timeout(seconds):
                if self._pending is not None:
                    self._pending.give_up()
                await self._flush()
                await self._in_turn({"type": "websocket.close", "code": code, "reason": reason}, control=True)
        except TimeoutError:
            await self._drop()
        except ConnectionClosed:
            pass
        except Exception:
            # What a server makes of a close frame to a peer in an odd state is its own affair: ours is that it ends.
            logger.debug("the server did not take a close frame", exc_info=True)

    async def _flush(self) -> None:
        try:
            for attached in tuple(self._attached):
                await attached.flush()
        finally:
            self._is_flushing = False

    async def _drop(self) -> None:
        """Let go of the connection; what is still to be sent is lost."""
        self._ended(CloseCode.ABNORMAL, "")
        if ABORT_EXTENSION in self._extensions:
            # Out of turn: a send that is stuck is what this is for.
            with suppress(OSError, RuntimeError):
                await self._send_event({"type": ABORT_EXTENSION})

    # -- events in

    async def _connect(self) -> None:
        """Take the connect event, which comes first (ASGI, "WebSocket": Connect)."""
        if self._deadline is not None:
            watcher = self._deadline.stop_watching(cancel=self.client_state is not _CONNECTING)
            if watcher is not None:
                await ended(watcher)
        await self._take_connect()
        if self.client_state is _DISCONNECTED:
            raise self._closed_error()

    async def _take_connect(self) -> None:
        if self.client_state is not _CONNECTING:
            return
        connect = self._receive_event()
        if not isinstance(connect, CoroutineType | Coroutine):
            # granian gives a future of its own: once that was asked for, the next message is lost with it.
            self._pending = PendingReceive(self._receive_event, connect)
            self._receive_event = self._pending.receive
            connect = self._receive_event()
        self._seen(await connect)

    async def _client_leaves(self) -> bool:
        """Wait for the client to leave before its handshake is answered. False if that cannot be seen any more.

        A connection that is not open any more would keep its place, and its handler running, until the time to accept
        is over. granian tells nothing before accept.
        """
        await self._take_connect()
        if self.client_state is not _DISCONNECTED:
            if self._pending is not None or self._deadline is None or self._deadline.is_in_vain is None:
                return False
            event = await self._receive_event()
            if event["type"] != "websocket.disconnect":
                # No client may send yet (RFC 6455 section 4.1), but uvicorn's default class lets it.
                self._receive_event = _beginning_with(event, self._receive_event)
                return False
            self._seen(event)
        return True

    async def receive(self) -> str | bytes:
        """The next message: text as str, binary as bytes.

        Raises:
            ConnectionClosed: when the connection has ended; also when a message broke a limit, with that limit's code.
            ConcurrentReceiveError: when another task is receiving.
            LifecycleError: before accept.
        """
        if self._reader is not None:
            return self._kept_message()
        self._reader = reader = self._current_task()
        cancellations = reader.cancelling()
        try:
            event = await self._receive_event()
        except asyncio.CancelledError:
            self._check_interrupted(reader, cancellations)
            raise
        finally:
            self._reader = self._at_rest
        data: str | bytes | None = event.get("text")
        if data is None or len(data) > self._unmeasured:
            data = self._admit(event, data)
        if self._measure is not None and (refusal := self._measure(data)) is not None:
            self._refuse(refusal)
        return data

    async def _feed(self, handle: Callable[[Self, Any], Awaitable[object]]) -> None:
        """Give every message to `handle`, one after the other, until the peer leaves.

        `receive` in a loop, written out once more: a call for each message is what would double the cost of a class
        endpoint over a bare loop. Raises what `receive` does, but for the usual end, which is no exception here: it
        would go through all that serves the connection.
        """
        reader = self._current_task()
        cancellations = reader.cancelling()
        receive_event, unmeasured = self._receive_event, self._unmeasured
        while True:
            if self._reader is not None:
                await handle(self, self._kept_message())
                continue
            self._reader = reader
            try:
                event = await receive_event()
            except asyncio.CancelledError:
                self._check_interrupted(reader, cancellations)
                raise
            finally:
                self._reader = self._at_rest
            data: str | bytes | None = event.get("text")
            if data is None or len(data) > unmeasured:
                if data is None and event["type"] == "websocket.disconnect":
                    self._seen(event)
                    return
                data = self._admit(event, data)
            if self._measure is not None and (refusal := self._measure(data)) is not None:
                self._refuse(refusal)
            await handle(self, data)

    def _kept_message(self) -> str | bytes:
        """A message that came while nobody wanted it; without one, the error that keeps `receive` from waiting."""
        if self._reader is not SHUT:
            raise ConcurrentReceiveError("receive()")
        if self._kept:
            data = self._kept.take()
            self._come_to_rest()
            return data
        if self.closed:
            raise self._closed_error()
        raise LifecycleError("receive()", self.application_state.name, "call accept() first")

    def _current_task(self) -> "asyncio.Task[Any]":
        # With the loop at hand this costs half as much on Python 3.11.
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a WebSocket is used from a task of its event loop")
        return task

    def _interrupt(self) -> None:
        """Wake the reader: after a close some servers never tell it, and a dead peer never will."""
        if self._reader not in (None, SHUT) and not self._interrupted:
            self._interrupted = True
            self._reader.cancel()

    def _check_interrupted(self, reader: "asyncio.Task[Any]", cancellations: int) -> None:
        """Raise ConnectionClosed if the cancellation that the reader met was ours alone, and take it back.

        `cancellations` is how many the task had on its account before.
        """
        interrupted, self._interrupted = self._interrupted, False
        if interrupted and reader.uncancel() <= cancellations:
            raise self._closed_error() from None

    # -- limits

    def _admit(self, event: Event, data: str | bytes | None) -> str | bytes:
        """The message in an event, if it is not too long; `data` is its text, if it has any.

        Raises:
            ConnectionClosed: when it is no message but the disconnect; also when the connection is ended for its size.
        """
        # ASGI, "WebSocket", receive: one of the two is not None, and both keys may be there. "" and b"" are messages.
        if data is None:
            data = event.get("bytes")
        if data is None:
            self._seen(event)
            raise self._closed_error()
        if len(data) > self._unmeasured and size_of(data) > self._largest:
            self._refuse(Refusal.MESSAGE_BYTES)
        return data

    def _refuse(self, refusal: Refusal) -> NoReturn:
        self._end(refusal)
        raise self._closed_error()

    def _end(self, refusal: Refusal) -> None:
        """End an accepted connection by policy; `_finish` waits for the close frame."""
        if not self.closed:
            self._usage.refused[refusal.name] += 1
            self._begin_close(refusal.close_code, refusal.reason, FORCED_CLOSE_TIMEOUT)

    def _watch_idle(self, seconds: float) -> None:
        """Start the idle limit. What is sent counts from here on, at no cost to who has no limit."""
        if self.closed:
            return
        idle = self._idle = IdleTimer(seconds, partial(self._end, Refusal.IDLE))
        self._send_event = idle.noting_sends(self._send_event)
        self._measure = idle.noting_messages(self._measure)

    @property
    def _is_settled(self) -> bool:
        """Whether the connection has ended without anything left to wait for: most were closed by the peer."""
        return self.closed and self._closer is None and self._pending is None

    async def _finish(self, seconds: float | None = None) -> None:
        """Wait until a close frame or a denial that was begun is out, but not for longer; let go of what is pending.

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
                self._pending.give_up()

    def _start_closer(self, closing: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Begin to send what ends the connection, in a task: its caller may be cancelled, and the peer still hears."""
        self._closer = asyncio.create_task(closing, name=name)
        self._closer.add_done_callback(_see)
        return self._closer


def _see(task: "asyncio.Task[None]") -> None:
    """Look at how a task went, for whoever asked for it and was cancelled since: asyncio logs what nobody has seen."""
    if not task.cancelled():
        task.exception()


def _beginning_with(event: Event, receive: Receive) -> Receive:
    events = [event]

    async def receive_event() -> Event:
        return events.pop() if events else await receive()

    return receive_event
