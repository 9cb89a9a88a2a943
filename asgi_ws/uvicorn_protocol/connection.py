"""One WebSocket on its transport: it goes through its phases, and comes to an end in bounded time."""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import ClassVar, Final

from ..close_codes import CloseCode, check_close
from ..extensions import MESSAGE_BYTES_EXTENSION
from ..wire.events import Close, Ping, Pong, Violation
from ..wire.frames import close_frame
from ..wire.handshake import HandshakeRefused, refusal
from ..wire.reader import FrameReader
from .keepalive import KeepAlive
from .phases import DONE, Phase, check_transition
from .receive_buffer import ReceiveBuffer
from .writer import Writer

logger = logging.getLogger("uvicorn.error")

# How long a peer that fell silent may take for our close frame, in seconds.
_LAST_WORDS_SECONDS: Final = 0.5
# SO_LINGER with a time of zero: closing resets the connection, and the system keeps nothing for a peer that is gone.
_RESET: Final = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """Phases and endings. The application is notified exactly once, and the transport is closed in bounded time.

    Attributes:
        close_timeout: seconds that a peer has to answer a close frame, and to take what was written before the end.
    """

    close_timeout: ClassVar[float] = 10.0

    __slots__ = (
        "_deadline",
        "_keepalive",
        "_loop",
        "_max_message_bytes",
        "_phase",
        "_receive_buffer",
        "_writer",
    )

    _writer: Writer
    _receive_buffer: ReceiveBuffer
    # In OPEN only.
    _keepalive: KeepAlive

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._phase = Phase.UPGRADING
        # The application's own limit, where it is below the server's; None where it has none.
        self._max_message_bytes: int | None = None
        # Fires if the phase does not end before.
        self._deadline: asyncio.TimerHandle | None = None

    def _attach(self, transport: asyncio.Transport, reader: FrameReader, *, max_messages: int, max_bytes: int) -> None:
        self._writer = Writer(transport, self._loop)
        self._receive_buffer = ReceiveBuffer(
            reader,
            self._writer,
            self._loop,
            self._on_control,
            self._on_held,
            max_messages=max_messages,
            max_bytes=max_bytes,
        )

    # -- phases

    def _enter(self, phase: Phase) -> None:
        """Enter a phase, which has no deadline yet."""
        check_transition(self._phase, phase)
        if self._phase is Phase.OPEN:
            self._keepalive.cancel()
            del self._keepalive
        self._phase = phase
        self._clear_deadline()

    def _set_deadline(self, seconds: float, otherwise: Callable[[], None]) -> None:
        """Do something else if the phase lasts so many seconds from now."""
        self._clear_deadline()
        self._deadline = self._loop.call_later(seconds, otherwise)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _open(self, interval: float | None, timeout: float | None, on_ping: Callable[[], None]) -> None:
        self._enter(Phase.OPEN)
        self._keepalive = KeepAlive(
            self._writer,
            self._receive_buffer,
            self._loop,
            interval=interval,
            timeout=timeout,
            on_silence=self._on_silence,
            on_ping=on_ping,
        )

    # -- what the peer does

    def _on_control(self, event: Ping | Pong | Close | Violation) -> None:
        if isinstance(event, Violation):
            self._on_violation(event)
        elif isinstance(event, Close):
            self._on_close(event)
        elif self._phase is Phase.OPEN:
            if isinstance(event, Ping):
                self._writer.pong(event.payload)
            else:
                self._keepalive.pong(event.payload)

    def _on_held(self) -> None:
        """Take bytes that are not looked at as a sign of life: a pong may be among them."""
        # Bytes are held while the connection is open. A closing one discards them.
        self._keepalive.hear()

    def _on_close(self, close: Close) -> None:
        self._receive_buffer.on_end(close.code, close.reason)
        if self._phase is Phase.OPEN:
            self._writer.write(close_frame(close.code, close.reason))
        if self._phase not in DONE:
            self._close_transport(self.close_timeout)

    def _on_violation(self, violation: Violation) -> None:
        """Answer a violation with a close frame (RFC 6455 section 7.1.7)."""
        logger.debug("WebSocket failed by its client: %d %s", violation.code, violation.reason)
        is_refused = self._max_message_bytes is not None and violation.code == CloseCode.MESSAGE_TOO_BIG
        keys = {MESSAGE_BYTES_EXTENSION: self._max_message_bytes} if is_refused else {}
        self._receive_buffer.on_end(violation.code, violation.reason, keys)
        if self._phase is Phase.OPEN:
            self._writer.write(close_frame(violation.code, violation.reason))
        if self._phase not in DONE:
            self._half_close()

    def _on_silence(self) -> None:
        reason = "keepalive ping timeout"
        logger.debug("WebSocket %s", reason)
        self._receive_buffer.on_end(CloseCode.ABNORMAL, reason)
        if self._writer.is_full:
            self._abort()
        else:
            self._writer.write(close_frame(CloseCode.INTERNAL_ERROR, reason))
            self._close_transport(_LAST_WORDS_SECONDS)

    def eof_received(self) -> None:
        """Write what is left, in bounded time: the peer closed its side of the transport."""
        self._receive_buffer.on_end(CloseCode.ABNORMAL)
        if self._phase not in DONE:
            self._close_transport(self.close_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the application and those that wait to send that the transport is closed."""
        self._enter(Phase.LOST)
        self._receive_buffer.on_lost()
        self._writer.abort()

    def pause_writing(self) -> None:
        """Let sends wait: the transport holds more than it wants to."""
        self._writer.pause()

    def resume_writing(self) -> None:
        """Let sends go on: the transport has written most of what it held."""
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
        self._enter(Phase.CLOSING)
        self._set_deadline(self.close_timeout, self._abort)
        self._receive_buffer.on_end(code, reason)
        self._writer.write(frame)
        self._receive_buffer.discard()

    def _refuse(self, refused: HandshakeRefused, headers: Iterable[tuple[bytes, bytes]], code: int) -> None:
        """Answer the request with a response; the application is told this code."""
        self._receive_buffer.on_end(code)
        self._writer.write(refusal(refused, headers))
        self._half_close()

    def _half_close(self) -> None:
        """Close our side, and read on until the peer closes its own.

        Closing both with something unread would reset the connection, and what was written last could be lost.
        """
        if self._writer.transport.can_write_eof():
            self._enter(Phase.DRAINING)
            self._set_deadline(self.close_timeout, self._abort)
            self._writer.close()
            # A peer that has reset the connection takes nothing more.
            with suppress(OSError):
                self._writer.transport.write_eof()
            self._receive_buffer.discard()
        else:
            self._close_transport(self.close_timeout)

    def _close_transport(self, seconds: float) -> None:
        """Close the transport once everything is written, or after so many seconds."""
        self._enter(Phase.DRAINING)
        self._set_deadline(seconds, self._abort)
        self._writer.close()
        self._writer.transport.close()

    def _abort(self) -> None:
        """Drop the connection, and what is still to be written."""
        if self._phase is Phase.LOST:
            return
        if self._phase is not Phase.DRAINING:
            self._enter(Phase.DRAINING)
        self._receive_buffer.on_end(CloseCode.ABNORMAL)
        self._writer.abort()
        transport = self._writer.transport
        # A Unix socket has no such thing, and a closed one nothing at all: to uvloop that is a ValueError.
        with suppress(OSError, ValueError):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
