"""What comes in: messages for the application, bounded, and the end of them."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from .._asgi import Event as ASGIEvent
from ..lifecycle import CloseCode
from ..wire.events import Close, Event, Failed, Ping, Pong
from ..wire.reader import FrameReader
from .writer import Writer

# How long the application may take to answer what came before a close frame, or a violation, until that is answered.
_ANSWER_SECONDS: Final = 1.0


class Inbox:
    """What waits for the application, and the `receive` that it is given (ASGI, "WebSocket": Receive).

    With `max_messages` waiting, or `max_bytes`, the transport is told to pause, and what it has read by then is held;
    both go on when the application has taken all. So a peer that sends faster than the application reads has no more
    in memory than that, two reads of the transport, and one message.

    Args:
        on_control: is called with what is no message: a control frame, or the violation that ends the reading. An end
            waits for a second, so that the application can answer what came before it.

    Attributes:
        events: what waits, messages as themselves.
        reader: of the frames; there may be more in it (`has_more`).
        resumed_at: when the transport was last told to go on, by the loop's clock.
        waiter: what `receive` waits for, while it does.
    """

    __slots__ = (
        "_bytes",
        "_end",
        "_is_discarding",
        "_is_paused",
        "_is_told",
        "_last",
        "_loop",
        "_max_bytes",
        "_max_messages",
        "_on_control",
        "_timer",
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
        on_control: Callable[[Ping | Pong | Close | Failed], None],
        *,
        max_messages: int,
        max_bytes: int,
    ) -> None:
        self.reader = reader
        self._writer = writer
        self._loop = loop
        self._on_control = on_control
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self.events: deque[str | bytes | ASGIEvent] = deque()
        # How much came since the application last had to wait.
        self._bytes = 0
        self._is_paused = False
        self.resumed_at = 0.0
        self.waiter: asyncio.Future[None] | None = None
        # The disconnect event, once it is known; it comes after everything else, and then again and again.
        self._end: ASGIEvent | None = None
        self._is_told = False
        # Since the application has closed; only the peer's close frame is still of interest.
        self._is_discarding = False
        # What ended the reading, while something that came before it waits for the application.
        self._last: Close | Failed | None = None
        self._timer: asyncio.TimerHandle | None = None

    def feed(self, data: bytes) -> None:
        """Take what the transport has read."""
        if not self.events and not self._is_discarding:
            message = self.reader.whole(data)
            if message is not None:
                self.events.append(message)
                self._wake()
                return
        if self._is_discarding:
            self._take(self.reader.feed(data))
            return
        most = self._max_messages
        if self.reader.has_more or len(self.events) >= most:
            # It is held, not read.
            most = 0
        self._bytes += len(data)
        self._take(self.reader.feed(data, most))
        while self.reader.has_more and not self.events:
            # Control frames, or parts of a compressed message: nothing that the application could take.
            self._take(self.reader.feed(b"", self._max_messages))
        if not most or (self._bytes > self._max_bytes and self.events):
            self._is_paused = True
            self._writer.transport.pause_reading()

    def _take(self, events: Sequence[Event]) -> None:
        waiting = self.events
        for event in events:
            if isinstance(event, (str, bytes)):
                if not self._is_discarding:
                    waiting.append(event)
            elif isinstance(event, (Close, Failed)) and waiting and not self._is_discarding:
                self._last = event
                self._timer = self._loop.call_later(_ANSWER_SECONDS, self._end_reading)
            else:
                self._on_control(event)
        if self.reader.inflater is not None:
            self._bytes += sum(len(event) for event in events if isinstance(event, (str, bytes)))
        if waiting:
            self._wake()

    def _end_reading(self) -> None:
        """Go on to the end that waited for the application to answer what came before it."""
        last, self._last = self._last, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if last is not None:
            self._on_control(last)

    def put(self, event: ASGIEvent) -> None:
        """Let the application receive an event that is no message."""
        self.events.append(event)
        self._wake()

    def finish(self, code: int, reason: str = "") -> None:
        """Let the application receive that the connection has ended, after everything else.

        The first code stays, but for 1006, which stands for none: what was read but not looked at may have a better,
        until the application is told.
        """
        is_better = code != CloseCode.ABNORMAL and not self._is_told
        if self._end is None or (is_better and self._end["code"] == CloseCode.ABNORMAL):
            self._end = {"type": "websocket.disconnect", "code": code, "reason": reason}
            self._wake()

    @property
    def end_code(self) -> int | None:
        """Of the disconnect event, once it is known."""
        return None if self._end is None else self._end["code"]

    def discard(self) -> None:
        """Keep no more messages; go on reading for the peer's close frame."""
        self._is_discarding = True
        self._end_reading()
        self._resume()
        self.reader.discard()
        self._take(self.reader.feed())

    def lose(self) -> None:
        """The connection is gone; what it brought may still be received."""
        self._end_reading()
        self.finish(CloseCode.ABNORMAL)

    def detach(self) -> None:
        """Nothing comes any more, and nobody receives."""
        self._on_control = _ignore
        self.reader.inflater = None

    @property
    def is_behind(self) -> bool:
        """Whether something is unread, so that a pong may be in it."""
        return self._is_paused or self.reader.has_more

    def _wake(self) -> None:
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _resume(self) -> None:
        if self._is_paused and not self._writer.transport.is_closing():
            self._is_paused = False
            self.resumed_at = self._loop.time()
            self._writer.transport.resume_reading()

    async def receive(self) -> ASGIEvent:
        """The next event (ASGI, "WebSocket"); after the disconnect event that one again."""
        events = self.events
        while not events:
            self._bytes = 0
            if self.reader.has_more:
                self._take(self.reader.feed(b"", self._max_messages))
            elif self._last is not None:
                self._end_reading()
            elif self._end is not None:
                if self._is_told:
                    # Whoever asks for ever must not keep the loop.
                    await asyncio.sleep(0)
                self._is_told = True
                return dict(self._end)
            elif self.waiter is not None and not self.waiter.done():
                # Another task waits; the two share what comes, as they would a queue.
                await asyncio.wait([self.waiter])
            else:
                self._resume()
                self._writer.rest()
                self.waiter = waiter = self._loop.create_future()
                try:
                    await waiter
                finally:
                    # Another task may wait by now.
                    self.waiter = None if self.waiter is waiter else self.waiter
        # What waits has a bound, so who receives comes to a wait.
        self._writer.sent = 0
        event = events.popleft()
        if isinstance(event, str):
            return {"type": "websocket.receive", "text": event}
        if isinstance(event, bytes):
            return {"type": "websocket.receive", "bytes": event}
        return event


def _ignore(event: Ping | Pong | Close | Failed) -> None:
    """For an inbox that nothing more comes to."""
