"""The outgoing side: in order, in few writes, and no faster than the peer reads."""

import asyncio
from typing import ClassVar, Final
from weakref import WeakKeyDictionary

from uvicorn.protocols.utils import ClientDisconnected, is_ssl

from ..wire.frames import pong_frame

# Corked frames are written when they come to this many bytes.
_CORK_BYTES: Final = 64 * 1024
# A transport with more than this unsent is full, until it has a quarter of it left. It is the default of asyncio and
# uvloop for TCP. For TLS their default is 512 KiB.
HIGH_WATER_BYTES: Final = 64 * 1024


class Flusher:
    """Writes what all connections of a loop have corked, in its next turn: one call for all of them.

    Attributes:
        turn: counts the turns of the loop, as long as something is pushed in each, and one more.
    """

    _of_loops: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, "Flusher"]] = WeakKeyDictionary()

    __slots__ = ("_is_counting", "_writers", "is_active", "turn")

    def __init__(self) -> None:
        self.turn = 0
        # Whether something was pushed in this turn, and whether its end will be told.
        self.is_active = False
        self._is_counting = False
        self._writers: list[Writer] = []

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "Flusher":
        """Return the corks of a loop."""
        flusher = cls._of_loops.get(loop)
        if flusher is None:
            flusher = cls._of_loops[loop] = cls()
        return flusher

    def add(self, writer: "Writer") -> None:
        """Flush a writer in the next turn."""
        self._writers.append(writer)
        self._count()

    def begin(self) -> None:
        """Something is pushed in this turn."""
        self.is_active = True
        self._count()

    def _count(self) -> None:
        if not self._is_counting:
            self._is_counting = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self.turn += 1
        self._is_counting, self.is_active = self.is_active, False
        if self._is_counting:
            asyncio.get_running_loop().call_soon(self._flush)
        writers, self._writers = self._writers, []
        for writer in writers:
            try:
                writer.flush()
            except Exception as error:  # noqa: BLE001 -- the loop is told of it
                # As asyncio does with what a callback raises; the others are not concerned.
                context = {"message": "a WebSocket could not be written", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)


class Writer:
    """Writes the frames of one connection.

    A corked frame waits for others, until the application waits, until there are 64 KiB, and at the latest until the
    loop's next turn. Nothing overtakes it but the transport's own end.

    Attributes:
        transport: as uvicorn made it.
        corked: the frames that wait for others.
        always_corks: whether to cork a frame also where nothing else waits: with TLS each write is a record, and
            asyncio's transport complains of each that it gets between the loss of the connection and the next turn.
        sent: about how many bytes were sent since the application last waited, or received.
        is_full: whether the transport holds more than it wants to.
        must_wait: whether the next message has to wait, for the transport or for those before it; see `wait_turn`.
        resumes: how often the transport was full, and then was not.
    """

    __slots__ = (
        "_flusher",
        "_is_closed",
        "_order",
        "_owed_pong",
        "_pushed_in",
        "_size",
        "_waiting",
        "_writable",
        "always_corks",
        "corked",
        "is_full",
        "must_wait",
        "resumes",
        "sent",
        "transport",
    )

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self._flusher = Flusher.of(loop)
        # In which turn something was pushed last.
        self._pushed_in = -2
        self.corked: list[bytes] = []
        self._size = 0
        self.always_corks = is_ssl(transport)
        self.sent = 0
        # A transport notifies its protocol once when it becomes full, which was perhaps the one before, and cannot be
        # asked. With a limit of zero it is full for certain, and so will notify us when all of that is written.
        self.is_full = self.must_wait = transport.get_write_buffer_size() > 0
        transport.set_write_buffer_limits(high=0 if self.is_full else HIGH_WATER_BYTES)
        self.resumes = 0
        # Set while the transport is not full; None until something first waits for it.
        self._writable: asyncio.Event | None = None
        # Held by the message whose turn it is; None likewise.
        self._order: asyncio.Lock | None = None
        # How many messages wait for their turn.
        self._waiting = 0
        self._owed_pong: bytes | None = None
        self._is_closed = False

    def on_idle(self) -> None:
        """Write what is corked: the application waits for a message."""
        self.flush()
        self.sent = 0

    async def yield_iteration(self) -> None:
        """Wait for the next iteration of the loop: a handler that only sends would keep it from other connections."""
        self.sent = 0
        await asyncio.sleep(0)

    def write(self, frame: bytes) -> None:
        """Write what is corked, and this after it."""
        if self.corked:
            self.corked.append(frame)
            self.flush()
        else:
            self.transport.write(frame)
            if self.always_corks:
                self._notice_end()

    def cork(self, frame: bytes) -> None:
        """Let this wait for what comes next."""
        if not self.corked:
            self._flusher.add(self)
            self._size = 0
        self.corked.append(frame)
        self._size += len(frame)
        if self._size >= _CORK_BYTES:
            self.flush()

    def push(self, frame: bytes) -> None:
        """Write a frame at once, unless there was one in this turn of the loop or in the last: then more may come."""
        flusher = self._flusher
        if not flusher.is_active:
            flusher.begin()
        before, self._pushed_in = self._pushed_in, flusher.turn
        if flusher.turn - before <= 1 or self.corked or self.always_corks:
            self.cork(frame)
        else:
            self.transport.write(frame)

    def flush(self) -> None:
        """Write what is corked."""
        if self.corked:
            frames = b"".join(self.corked)
            self.corked.clear()
            self.transport.write(frames)
            if self.always_corks:
                self._notice_end()

    def _notice_end(self) -> None:
        """Let a TLS transport that does not read notice that the peer has closed its side.

        asyncio's and uvloop's do so only when reading resumes. Until then they drop each write, and log a warning.
        """
        if not self.transport.is_reading() and not self.transport.is_closing():
            self.transport.resume_reading()
            self.transport.pause_reading()

    def close(self) -> None:
        """Write what is corked and nothing after it, and release those that wait for their turn."""
        self.flush()
        self._is_closed = True
        self._free()

    def abort(self) -> None:
        """Discard what is corked: the connection is gone."""
        self.corked.clear()
        self.close()

    def pong(self, payload: bytes) -> None:
        """Answer a ping; while the peer does not read, only the latest (RFC 6455 section 5.5.3)."""
        if self.is_full:
            self._owed_pong = payload
        else:
            self.cork(pong_frame(payload))

    def pause(self) -> None:
        """Let messages wait: the transport holds more than it wants to."""
        self.is_full = self.must_wait = True
        if self._writable is not None:
            self._writable.clear()

    def resume(self) -> None:
        """Let messages go on: the transport has written most of what it held."""
        self.is_full = False
        self.must_wait = self._waiting > 0
        self.resumes += 1
        # It is zero where the transport was full from before.
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self._free()
        owed, self._owed_pong = self._owed_pong, None
        if owed is not None and not self._is_closed:
            # This may fill the transport again.
            self.write(pong_frame(owed))

    def _free(self) -> None:
        if self._writable is not None:
            self._writable.set()

    async def wait_turn(self) -> None:
        """Wait until the transport wants more, first come first served.

        The caller has to write before it waits for anything else. Nothing of a message needs to exist before
        its turn: a thousand tasks that send to a peer that does not read add nothing to what the transport holds.

        Raises:
            ClientDisconnected: an OSError, when nothing more can be sent: the peer has left, or does not take it.
        """
        if self._order is None or self._writable is None:
            self._order, self._writable = asyncio.Lock(), asyncio.Event()
        self._waiting += 1
        try:
            async with self._order:
                while self.is_full and not self._is_closed:
                    await self._writable.wait()
        finally:
            self._waiting -= 1
            self.must_wait = self.is_full or self._waiting > 0
        if self._is_closed:
            raise ClientDisconnected
        self.sent = 0
