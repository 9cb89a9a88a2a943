"""One WebSocket on its transport: the phases it goes through, and all of its ends."""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum
from typing import ClassVar, Final, cast

from ..close_codes import CloseCode, check_close
from ..extensions import MESSAGE_BYTES_EXTENSION
from ..wire.events import Close, Failed, Ping, Pong
from ..wire.frames import close_frame
from ..wire.handshake import HandshakeRefused, refusal
from ..wire.reader import FrameReader
from .inbox import Inbox
from .keepalive import KeepAlive
from .writer import Writer

logger = logging.getLogger("uvicorn.error")

# How long a peer that fell silent may take for our close frame, in seconds.
_LAST_WORDS_SECONDS: Final = 0.5
# SO_LINGER with a time of zero: closing resets the connection, and the system keeps nothing for a peer that is gone.
_RESET: Final = struct.pack("ii", 1, 0)


class Phase(Enum):
    """Where a connection stands."""

    UPGRADING = 0
    """The request is to come."""
    CONNECTING = 1
    """The application has to answer."""
    DENYING = 2
    """The application's refusal has begun."""
    OPEN = 3
    CLOSING = 4
    """Our close frame is sent, and the peer's is to come (RFC 6455 section 7.1.2)."""
    ENDED = 5
    """Nothing more is sent, and what comes is of no interest."""


class Connection(asyncio.Protocol):
    """Phases and ends. Whatever happens, the application is told once, and the transport is closed in bounded time.

    Attributes:
        close_timeout: seconds that a peer has to answer a close frame, and to take what was written before the end.
    """

    close_timeout: ClassVar[float] = 10.0

    __slots__ = (
        "_deadline",
        "_inbox",
        "_is_lost",
        "_is_open",
        "_is_reading",
        "_keepalive",
        "_loop",
        "_max_message_bytes",
        "_phase",
        "_writer",
    )

    _writer: Writer
    _inbox: Inbox

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._phase = Phase.UPGRADING
        # Of the phase, what every message asks.
        self._is_open = False
        self._is_reading = False
        # Whether the transport is closed.
        self._is_lost = False
        self._keepalive: KeepAlive | None = None
        # The application's own limit, where it is below the server's; None where it has none.
        self._max_message_bytes: int | None = None
        # What happens if the phase does not end before.
        self._deadline: asyncio.TimerHandle | None = None

    def _attach(self, transport: asyncio.Transport, reader: FrameReader, *, max_messages: int, max_bytes: int) -> None:
        self._writer = Writer(transport, self._loop)
        self._inbox = Inbox(
            reader,
            self._writer,
            self._loop,
            self._on_control,
            self._on_held,
            max_messages=max_messages,
            max_bytes=max_bytes,
        )

    # -- phases

    def _enter(self, phase: Phase, seconds: float | None = None, otherwise: Callable[[], None] | None = None) -> None:
        """Enter a phase; after so many seconds of it, do what is given."""
        self._phase = phase
        self._is_open = phase is Phase.OPEN
        self._is_reading = phase in (Phase.OPEN, Phase.CLOSING)
        if self._keepalive is not None and phase is not Phase.OPEN:
            self._keepalive.stop()
            self._keepalive = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None and otherwise is not None:
            self._deadline = self._loop.call_later(seconds, otherwise)

    def _open(self, interval: float | None, timeout: float | None, on_ping: Callable[[], None]) -> None:
        self._enter(Phase.OPEN)
        self._keepalive = KeepAlive(
            self._writer,
            self._inbox,
            self._loop,
            interval=interval,
            timeout=timeout,
            on_silence=self._on_silence,
            on_ping=on_ping,
        )

    # -- what the peer does

    def _on_control(self, event: Ping | Pong | Close | Failed) -> None:
        if isinstance(event, Failed):
            self._fail(event)
        elif isinstance(event, Close):
            self._on_close(event)
        elif self._keepalive is not None:
            if isinstance(event, Ping):
                self._writer.pong(event.payload)
            else:
                self._keepalive.pong(event.payload)

    def _on_held(self) -> None:
        """Take bytes that are not looked at as a sign of life: a pong may be among them."""
        # Bytes are held while the connection is open. A closing one discards them.
        cast("KeepAlive", self._keepalive).hear()

    def _on_close(self, close: Close) -> None:
        self._inbox.finish(close.code, close.reason)
        if self._phase is Phase.OPEN:
            self._writer.write(close_frame(close.code, close.reason))
        if self._phase is not Phase.ENDED:
            self._hang_up(self.close_timeout)

    def _fail(self, failed: Failed) -> None:
        """Answer a violation with a close frame (RFC 6455 section 7.1.7)."""
        logger.debug("WebSocket failed by its client: %d %s", failed.code, failed.reason)
        is_refused = self._max_message_bytes is not None and failed.code == CloseCode.MESSAGE_TOO_BIG
        keys = {MESSAGE_BYTES_EXTENSION: self._max_message_bytes} if is_refused else {}
        self._inbox.finish(failed.code, failed.reason, keys)
        if self._phase is Phase.OPEN:
            self._writer.write(close_frame(failed.code, failed.reason))
        if self._phase is not Phase.ENDED:
            self._linger()

    def _on_silence(self) -> None:
        reason = "keepalive ping timeout"
        logger.debug("WebSocket %s", reason)
        self._inbox.finish(CloseCode.ABNORMAL, reason)
        if self._writer.is_full:
            self._abort()
        else:
            self._writer.write(close_frame(CloseCode.INTERNAL_ERROR, reason))
            self._hang_up(_LAST_WORDS_SECONDS)

    def eof_received(self) -> None:
        """The peer closed its side of the transport; what it may still read is written, in bounded time."""
        self._inbox.finish(CloseCode.ABNORMAL)
        if self._phase is not Phase.ENDED:
            self._hang_up(self.close_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed; whoever waits for it is told."""
        self._is_lost = True
        self._enter(Phase.ENDED)
        self._inbox.lose()
        self._writer.lose()

    def pause_writing(self) -> None:
        """The transport holds more than it wants to."""
        self._writer.pause()

    def resume_writing(self) -> None:
        """The transport has written most of it."""
        self._writer.resume()

    # -- what we do

    def _close(self, code: int, reason: str) -> None:
        """Begin the closing handshake.

        Raises:
            InvalidCloseCode: for a code that may not be sent.
            InvalidCloseReason: for one that does not fit into a frame.
        """
        # To the frame 1005 stands for one without a code, which an application has no word for.
        check_close(code, reason)
        frame = close_frame(code, reason)
        self._enter(Phase.CLOSING, self.close_timeout, self._abort)
        self._inbox.finish(code, reason)
        self._writer.write(frame)
        self._inbox.discard()

    def _refuse(self, refused: HandshakeRefused, headers: Iterable[tuple[bytes, bytes]], code: int) -> None:
        """Answer the request with a response; the application is told this code."""
        self._inbox.finish(code)
        self._writer.write(refusal(refused, headers))
        self._linger()

    def _linger(self) -> None:
        """Close our side, and read on until the peer closes its own.

        Closing both with something unread would reset the connection, and what was written last could be lost.
        """
        if self._writer.transport.can_write_eof():
            self._enter(Phase.ENDED, self.close_timeout, self._abort)
            self._writer.finish()
            # A peer that has reset the connection takes nothing more.
            with suppress(OSError):
                self._writer.transport.write_eof()
            self._inbox.discard()
        else:
            self._hang_up(self.close_timeout)

    def _hang_up(self, seconds: float) -> None:
        """Close the transport once everything is written, or after so many seconds."""
        self._enter(Phase.ENDED, seconds, self._abort)
        self._writer.finish()
        self._writer.transport.close()

    def _abort(self) -> None:
        """Drop the connection, and what is still to be written."""
        if self._is_lost:
            return
        self._enter(Phase.ENDED)
        self._inbox.finish(CloseCode.ABNORMAL)
        self._writer.lose()
        transport = self._writer.transport
        # A Unix socket has no such thing, and a closed one nothing at all: to uvloop that is a ValueError.
        with suppress(OSError, ValueError):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
