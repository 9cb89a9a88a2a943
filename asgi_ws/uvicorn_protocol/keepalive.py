"""Pings, and what becomes of a peer that does not answer."""

import asyncio
import math
import secrets
from collections.abc import Callable
from typing import Final

from ..wire.frames import ping_frame
from .acknowledged import acknowledged_bytes, seconds_since_acknowledgement
from .receive_buffer import ReceiveBuffer
from .writer import Writer

_PAYLOAD_BYTES: Final = 4
# How far the kernel's clock may be from ours, in seconds: it counts in ticks of up to 10 ms.
_TICKS_SECONDS: Final = 0.02


class KeepAlive:
    """Pings at intervals, and a time limit for the pong.

    While messages are unread the pong may be behind them, so any bytes after the ping count as the pong. When the
    transport has paused reading too, the kernel is asked for an acknowledgement of the peer since the ping. Where the
    kernel does not report one, the time-out is suspended.

    A transport that cannot write cannot send a ping either, so the peer has the time-out to read anything at all. The
    kernel is asked for that too: the transport is notified only when a third of a buffer of up to 4 MiB is free, and a
    slow client does not read that much within one time-out.

    Args:
        interval: seconds from one ping to the next; None or 0 for no pings.
        timeout: seconds for the pong; None or 0 for ever.
        on_silence: is called once, when it did not come.
        on_ping: is called before each ping.
    """

    __slots__ = (
        "_acknowledged",
        "_backlog",
        "_interval",
        "_loop",
        "_on_ping",
        "_on_silence",
        "_payload",
        "_receive_buffer",
        "_resumes",
        "_sent_at",
        "_timeout",
        "_timer",
        "_writer",
    )

    def __init__(
        self,
        writer: Writer,
        receive_buffer: ReceiveBuffer,
        loop: asyncio.AbstractEventLoop,
        *,
        interval: float | None,
        timeout: float | None,
        on_silence: Callable[[], None],
        on_ping: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._receive_buffer = receive_buffer
        self._loop = loop
        self._interval = interval or 0.0
        self._timeout = timeout or 0.0
        self._on_silence = on_silence
        self._on_ping = on_ping
        # Of the ping that is not answered yet.
        self._payload: bytes | None = None
        self._sent_at = 0.0
        # How the transport stood when the last wait began, and what the peer's kernel had acknowledged.
        self._resumes = 0
        self._backlog = math.inf
        self._acknowledged: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        if interval:
            self._timer = loop.call_later(interval, self._ping)

    def cancel(self) -> None:
        """Send no more pings, and expect no pong."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ping(self) -> None:
        self._on_ping()
        self._sent_at = self._loop.time()
        self._payload = None
        if not self._writer.is_full:
            # Random, so that a pong sent ahead answers none (RFC 6455 section 5.5.3).
            self._payload = secrets.token_bytes(_PAYLOAD_BYTES)
            self._writer.write(ping_frame(self._payload))
        if self._timeout:
            self._wait(self._timeout)
        else:
            self._again(0.0)

    def _wait(self, seconds: float) -> None:
        writer = self._writer
        self._resumes = writer.resumes
        self._backlog = writer.transport.get_write_buffer_size() if writer.is_full else math.inf
        self._acknowledged = acknowledged_bytes(writer.transport)
        self._timer = self._loop.call_later(seconds, self._expire)

    def _again(self, passed: float) -> None:
        self._timer = self._loop.call_later(max(0.0, self._interval - passed), self._ping)

    def pong(self, payload: bytes) -> None:
        """Take note of a pong, unless it answers no ping of ours."""
        if payload == self._payload:
            self.hear()

    def hear(self) -> None:
        """Take note of a sign of life: the pong, or what may hide it."""
        if self._payload is None:
            return
        self._payload = None
        if self._timeout:
            self.cancel()
            self._again(self._loop.time() - self._sent_at)

    def _expire(self) -> None:
        writer, receive_buffer = self._writer, self._receive_buffer
        grace = receive_buffer.resumed_at + self._timeout - self._loop.time()
        if writer.is_full:
            seconds = self._timeout if self._is_taking() else 0.0
        elif self._payload is None:
            # The buffer had no space for a ping, and now it has: the peer has read everything since.
            self._ping()
            return
        else:
            seconds = grace
            if receive_buffer.is_behind:
                acknowledges = self._acknowledges()
                if acknowledges:
                    self.hear()
                    return
                if acknowledges is None:
                    seconds = self._timeout
            if writer.resumes != self._resumes and self._is_taking():
                # The ping may be behind what filled the transport meanwhile.
                seconds = self._timeout
        if seconds > 0:
            self._wait(seconds)
        else:
            self._timer = None
            self._on_silence()

    def _is_taking(self) -> bool:
        """Return True if the peer has taken anything since the wait began."""
        writer = self._writer
        acknowledged = acknowledged_bytes(writer.transport)
        if acknowledged is None or self._acknowledged is None:
            # Our own kernel takes some, also for a peer that has vanished.
            return writer.resumes != self._resumes or writer.transport.get_write_buffer_size() < self._backlog
        return acknowledged > self._acknowledged

    def _acknowledges(self) -> bool | None:
        """Return True if the peer's kernel acknowledged anything since the ping; None where ours does not say."""
        silent = seconds_since_acknowledgement(self._writer.transport)
        return None if silent is None else silent < self._loop.time() - self._sent_at + _TICKS_SECONDS
