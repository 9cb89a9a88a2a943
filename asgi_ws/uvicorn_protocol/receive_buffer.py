"""The receive buffer of a connection: messages for the application, bounded, and the end of them."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Final

from .._asgi import Event as ASGIEvent
from ..close_codes import CloseCode
from ..sizes import KIB
from ..wire.events import Close, Event, Ping, Pong, Utf8, Violation
from ..wire.reader import FrameReader
from .writer import Writer

# How long the application may take to answer what came before a close frame, or a violation, until that is answered.
_ANSWER_SECONDS: Final = 1.0
# Reading is spread over iterations of the event loop, so that no client holds it for more than a few milliseconds: it
# goes on in the next one after so many messages, after what a reader calls its work, and after a read of so many bytes.
# asyncio reads up to 256 KiB at a time; uvloop 250, and up to 32 times in an iteration while there is as much.
_MOST_MESSAGES: Final = 1024
_LARGE_READ: Final = 128 * KIB
# So often `receive` reads on without a wait of the application's.
_MOST_READS: Final = 4


class Flow(Enum):
    """The way of the bytes that the transport reads."""

    READING = 0
    """It is read at once."""
    HOLDING = 1
    """It is held: until the next iteration of the event loop, or until the application has taken what waits."""
    PAUSED = 2
    """As much is held as may be, and the transport does not read."""


_READING = Flow.READING


class ReceiveBuffer:
    """The messages that wait for the application, and the `receive` that it is given (ASGI, "WebSocket": Receive).

    With `max_messages` waiting, or `max_bytes`, the bytes that come are held and not looked at; with `max_bytes` held
    the transport is told to pause. All goes on when the application has taken what waits. So a peer that sends faster
    than the application reads has no more in memory than twice `max_bytes`, two reads of the transport, and one
    message.

    Reading takes its time slice of an iteration of the event loop and goes on in the next one, so that no peer holds
    up the others. Bytes are held meanwhile.

    It is always one of three that makes reading go on: the transport with the next bytes, the next iteration of the
    loop (`_next_read`), or the application, while something waits for it.

    Args:
        on_control: is called with a control frame, or with the violation that ends the reading. An end waits for a
            second, so that the application can answer what came before it.
        on_held: is called when bytes came that are held since the application is behind: a pong may be among them.

    Attributes:
        events: what waits, messages as themselves.
        reader: of the frames; there may be more in it (`has_more`).
        resumed_at: when the application last let a paused transport go on, by the loop's clock.
        waiter: what `receive` waits for, while it does.
    """

    __slots__ = (
        "_bytes",
        "_end",
        "_flow",
        "_is_told",
        "_last",
        "_loop",
        "_max_bytes",
        "_max_messages",
        "_messages",
        "_next_read",
        "_on_control",
        "_on_held",
        "_reads",
        "_writer",
        "events",
        "reader",
        "resumed_at",
        "waiter",
    )

    def __init__(
        self,
        reader: FrameReader,
        writer: Writer,
        loop: asyncio.AbstractEventLoop,
        on_control: Callable[[Ping | Pong | Close | Violation], None],
        on_held: Callable[[], None],
        *,
        max_messages: int,
        max_bytes: int,
    ) -> None:
        self.reader = reader
        self._writer = writer
        self._loop = loop
        self._on_control = on_control
        self._on_held = on_held
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self.events: deque[str | bytes | Utf8 | ASGIEvent] = deque()
        # Where messages go: to `events`, and nowhere (None) once the application has closed.
        self._messages: deque[str | bytes | Utf8 | ASGIEvent] | None = self.events
        # How much was read since the application had taken everything, on the wire or inflated.
        self._bytes = 0
        self._flow = _READING
        # Reads on in the next iteration of the loop. None where that is left to the transport or the application.
        self._next_read: asyncio.Handle | None = None
        # How often `receive` may still read on before it waits.
        self._reads = _MOST_READS
        self.resumed_at = 0.0
        self.waiter: asyncio.Future[None] | None = None
        # The disconnect event, once it is known; it comes after everything else, and then again and again.
        self._end: ASGIEvent | None = None
        # Whether the application has received it.
        self._is_told = False
        # The close or violation that ended reading, while earlier messages wait for the application, and its timer.
        self._last: tuple[Close | Violation, asyncio.TimerHandle] | None = None

    def feed(self, data: bytes) -> None:
        """Take what the transport has read."""
        reader = self.reader
        if not self.events:
            message = reader.whole(data)
            if message is not None:
                self.events.append(message)
                self._wake()
                return
        is_large = len(data) >= _LARGE_READ
        if self._flow is _READING:
            self._bytes += len(data)
            self._take(reader.feed(data, self._most))
            if not reader.has_more and not is_large:
                return
        else:
            reader.feed(data, 0)
        self._settle(is_large=is_large)
        if reader.has_more and self._is_full:
            self._on_held()

    @property
    def _most(self) -> int:
        """How many messages may be read at once."""
        waiting = self._messages
        if waiting is None:
            return _MOST_MESSAGES
        if waiting and self._bytes > self._max_bytes:
            return 0
        return min(_MOST_MESSAGES, self._max_messages - len(waiting))

    @property
    def _is_full(self) -> bool:
        """Whether as much waits for the application as may."""
        return self._most <= 0

    def _read_on(self) -> None:
        """Read what is held."""
        if self._next_read is not None:
            self._next_read.cancel()
            self._next_read = None
        self._take(self.reader.feed(b"", self._most))
        self._settle()

    def _settle(self, *, is_large: bool = False) -> None:
        """Settle who makes reading go on, and whether the transport reads meanwhile."""
        is_full = self._is_full
        if not is_full and self._next_read is None and (is_large or self.reader.has_more):
            self._next_read = self._loop.call_soon(self._read_on)
        before = self._flow
        if not is_full and self._next_read is None:
            self._flow = flow = _READING
        else:
            self._flow = flow = Flow.PAUSED if self.reader.held > self._max_bytes else Flow.HOLDING
        transport = self._writer.transport
        if (before is Flow.PAUSED) != (flow is Flow.PAUSED) and not transport.is_closing():
            if flow is Flow.PAUSED:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def _take(self, events: Sequence[Event]) -> None:
        waiting = self._messages
        for event in events:
            if isinstance(event, (str, bytes, Utf8)):
                if waiting is not None:
                    waiting.append(event)
            elif waiting and isinstance(event, (Close, Violation)):
                self._last = (event, self._loop.call_later(_ANSWER_SECONDS, self._notify_end))
            else:
                self._on_control(event)
        if self.reader.inflater is not None:
            self._bytes += sum(map(_size, events))
        if waiting:
            self._wake()

    def _notify_end(self) -> None:
        """Notify of the end that waited for the application to answer what came before it."""
        if self._last is not None:
            (event, timer), self._last = self._last, None
            timer.cancel()
            self._on_control(event)

    def put(self, event: ASGIEvent) -> None:
        """Let the application receive an event that is not a message."""
        self.events.append(event)
        self._wake()

    def on_end(self, code: int, reason: str = "", keys: Mapping[str, object] = MappingProxyType({})) -> None:
        """Let the application receive that the connection has ended, after everything else.

        The first code stays, but for 1006, which stands for none: what was read but not looked at may have a better,
        until the application is told.
        """
        is_better = code != CloseCode.ABNORMAL and not self._is_told
        if self._end is None or (is_better and self._end["code"] == CloseCode.ABNORMAL):
            self._end = {"type": "websocket.disconnect", "code": code, "reason": reason, **keys}
            self._wake()

    @property
    def end_code(self) -> int | None:
        """Of the disconnect event, once it is known."""
        return None if self._end is None else self._end["code"]

    def discard(self) -> None:
        """Keep no more messages; go on reading for the peer's close frame."""
        self._messages = None
        self._notify_end()
        self.reader.discard()
        self._read_on()

    def on_lost(self) -> None:
        """Let the application receive what came, and then that the connection is gone."""
        self._notify_end()
        self.on_end(CloseCode.ABNORMAL)

    def close(self) -> None:
        """Read no more: transport and application have ended."""
        self._on_control = _ignore
        self.reader.inflater = None
        if self._next_read is not None:
            self._next_read.cancel()

    @property
    def is_behind(self) -> bool:
        """Whether the application keeps the transport from reading, so that a pong may wait in the kernel."""
        return self._flow is Flow.PAUSED and self._next_read is None

    def _wake(self) -> None:
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _on_taken(self) -> None:
        """Read on: the application has taken everything that kept the transport or the reader waiting."""
        self._bytes = 0
        if self._flow is Flow.PAUSED:
            self.resumed_at = self._loop.time()
        self._settle()

    async def receive(self) -> ASGIEvent:  # noqa: C901 -- each call less is one for each message
        """Return the next event (ASGI, "WebSocket"); after the disconnect event that one again."""
        events = self.events
        while not events:
            self._bytes = 0
            if self.reader.has_more:
                if self._reads:
                    self._reads -= 1
                    self._read_on()
                    continue
            elif self._last is not None:
                self._notify_end()
                continue
            elif self._end is not None:
                if self._is_told:
                    # An application that asks for ever must not keep the loop.
                    await asyncio.sleep(0)
                self._is_told = True
                return dict(self._end)
            if self.waiter is not None and not self.waiter.done():
                # Another task waits; the two share what comes, as they would a queue.
                await asyncio.wait([self.waiter])
                continue
            self._writer.on_idle()
            self._reads = _MOST_READS
            self.waiter = waiter = self._loop.create_future()
            try:
                await waiter
            finally:
                # Another task may wait by now.
                self.waiter = None if self.waiter is waiter else self.waiter
        # The queue has a bound, so an application that receives comes to a wait.
        self._writer.sent = 0
        event = events.popleft()
        if self._flow is not _READING and not events and self._next_read is None:
            self._on_taken()
        if isinstance(event, str):
            return {"type": "websocket.receive", "text": event}
        if isinstance(event, bytes):
            return {"type": "websocket.receive", "bytes": event}
        if isinstance(event, Utf8):
            return {"type": "websocket.receive", "text": event.decode()}
        return event


def _size(event: Event) -> int:
    """Return the bytes that an event has of the bound on what waits."""
    if isinstance(event, Utf8):
        return len(event.payload)
    return len(event) if isinstance(event, (str, bytes)) else 0


def _ignore(event: Ping | Pong | Close | Violation) -> None:
    """Ignore what comes to a closed buffer."""
