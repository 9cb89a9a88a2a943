"""A receive buffer with a transport and a loop of its own, and its invariants.

The oracle is the list of messages and control frames of the stream. The seed of a case decides how the stream is cut,
how reads and calls of `receive` follow each other, and where `receive` is cancelled.
"""

import asyncio
import random
import zlib
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from asgi_ws._asgi import Event as ASGIEvent
from asgi_ws.uvicorn_protocol.receive_buffer import ReceiveBuffer
from asgi_ws.uvicorn_protocol.writer import Writer
from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.events import Close, Ping, Pong, Violation
from asgi_ws.wire.negotiation import Parameters
from asgi_ws.wire.reader import FrameReader
from tests.wire.streams import BINARY, PING, PONG, RSV1, TEXT, close, deflated, fragments, frame, pieces

Control = Ping | Pong | Close | Violation
Message = str | bytes
# Each iteration does something, so any case has ended by then.
_ITERATIONS: Final = 20_000


class Transport:
    """A transport that records whether it reads."""

    def __init__(self) -> None:
        self.is_reading = True

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def is_closing(self) -> bool:
        return False


class Writes:
    """A writer that writes nothing."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.sent = 0

    def on_idle(self) -> None:
        pass


class Loop:
    """The part of an event loop that a receive buffer uses."""

    def __init__(self) -> None:
        self.now = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def call_soon(self, work: Callable[..., object], *arguments: Any, context: Any = None) -> asyncio.Handle:
        self._ready.append(asyncio.Handle(work, arguments, cast("Any", self), context))
        return self._ready[-1]

    def call_later(self, seconds: float, work: Callable[..., object]) -> asyncio.TimerHandle:
        self._timers.append(asyncio.TimerHandle(self.now + seconds, work, (), cast("Any", self)))
        return self._timers[-1]

    def _timer_handle_cancelled(self, _handle: asyncio.TimerHandle) -> None:
        pass

    def create_future(self) -> "asyncio.Future[None]":
        return asyncio.Future(loop=cast("Any", self))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise AssertionError(context)

    def turn(self) -> bool:
        """Run one iteration; return True if it ran anything."""
        ready, self._ready = self._ready, deque()
        for handle in ready:
            if not handle.cancelled():
                handle._run()
        return bool(ready)


class Case:
    """One stream, one way to cut it, one order of events."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.is_compressed = chance.random() < 0.4
        self.max_messages = chance.choice((1, 1, 2, 3, 5, 32))
        self.max_bytes = chance.choice((0, 1, 10, 200, 5000, 128 * 1024))
        self.messages: list[Message] = []
        self.controls: list[Control] = []
        self.end: Close | Violation | None = None
        # Where each message ends in the stream, and how many bytes were read.
        self.ends: list[int] = []
        self.fed = 0
        stream = self._stream()
        cuts = [chance.randrange(len(stream) + 1) for _ in range(chance.choice((0, 1, 2, 5, 20)))]
        # A receive buffer may stall at the last bytes of a message.
        cuts += [end - chance.choice((0, 1, 1, 2)) for end in self.ends if chance.random() < 0.3]
        self.reads = deque(piece for piece in pieces(stream, cuts) if piece)
        self.got: list[Message] = []
        self.seen: list[Control] = []
        self.loop = Loop()
        self.transport = Transport()
        reader = FrameReader(max_message_bytes=1 << 20, max_work=chance.choice((1, 300, 2000, 128 * 1024)))
        if self.is_compressed:
            reader.inflater = Deflate(Parameters(False, False, 15, 15))
        self.buffer = ReceiveBuffer(
            reader,
            cast("Writer", Writes(self.transport)),
            cast("asyncio.AbstractEventLoop", self.loop),
            self._on_control,
            lambda: None,
            max_messages=self.max_messages,
            max_bytes=self.max_bytes,
        )
        self._receiving: Coroutine[Any, Any, ASGIEvent] | None = None
        self._waits_for: asyncio.Future[None] | None = None
        self.is_told = False

    def _on_control(self, event: Control) -> None:
        self.seen.append(event)
        if isinstance(event, Close | Violation):
            self.buffer.on_end(event.code)

    def _stream(self) -> bytes:
        chance = self.chance
        compressor = zlib.compressobj(wbits=-15)
        stream = b""
        for _ in range(chance.choice((0, 1, 2, 3, 5, 12, 45))):
            message: Message = chance.randbytes(chance.choice((0, 1, 5, 130, 5000 if chance.random() < 0.1 else 3)))
            if chance.random() < 0.5:
                message = "\U0001f600" * (len(message) % 3) + "x" * len(message)
            opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
            rsv = 0
            if self.is_compressed and chance.random() < 0.7:
                rsv, payload = RSV1, deflated(payload, compressor)
            cuts = [chance.randrange(len(payload) + 1) for _ in range(chance.choice((0, 0, 0, 1, 3)))]
            for fragment in fragments(opcode, pieces(payload, cuts), rsv=rsv):
                for _ in range(chance.choice((0, 0, 0, 0, 1, 3))):
                    pong = chance.random() < 0.3
                    stream += frame(PONG if pong else PING, b"p")
                    self.controls.append(Pong(b"p") if pong else Ping(b"p"))
                stream += fragment
            self.messages.append(message)
            self.ends.append(len(stream))
        last = chance.randrange(4)
        if last == 0:
            self.end = Close(1001, "bye")
            stream += close(1001, b"bye") + chance.randbytes(chance.randrange(3))
        elif last == 1:
            self.end = Violation(1002, "reserved opcode")
            stream += frame(3) + chance.randbytes(chance.randrange(3))
        if self.end is not None:
            self.controls.append(self.end)
        return stream

    # -- events

    def read(self) -> None:
        """Let the transport read."""
        if self.reads and self.transport.is_reading:
            self.fed += len(self.reads[0])
            self.buffer.feed(self.reads.popleft())

    def receive(self) -> bool:
        """Call `receive`, or resume it; return True if it has returned."""
        if self._receiving is None:
            self._receiving, self._waits_for = self.buffer.receive(), None
        elif self._waits_for is not None and not self._waits_for.done():
            return False
        try:
            self._waits_for = self._receiving.send(None)
            if self._waits_for is not None:
                self._waits_for._asyncio_future_blocking = False
        except StopIteration as stopped:
            self._receiving = None
            event = stopped.value
            if event["type"] == "websocket.disconnect":
                self.is_told = True
            else:
                self.got.append(event.get("text") if event.get("bytes") is None else event["bytes"])
            return True
        return False

    def cancel(self) -> None:
        """Cancel a `receive` that waits."""
        if self._receiving is not None:
            receiving, self._receiving = self._receiving, None
            try:
                receiving.throw(asyncio.CancelledError())
            except asyncio.CancelledError:
                return
            raise AssertionError("a cancelled receive went on")

    # -- invariants

    def check(self) -> None:
        """Check the bounds, and that reading goes on."""
        buffer = self.buffer
        assert self.got == self.messages[: len(self.got)]
        assert self.seen == self.controls[: len(self.seen)]
        assert len(buffer.events) <= self.max_messages
        if not buffer.events:
            assert not buffer.reader.has_more or buffer._next_read is not None, "held bytes are not read on"
            assert self.transport.is_reading or buffer._next_read is not None, "the transport stays paused"

    def run(self) -> None:
        """Run the case to its end; raise if anything was lost, late, out of order or stuck."""
        chance = self.chance
        eager, lazy = chance.random(), chance.random()
        for _ in range(_ITERATIONS):
            if not self.reads:
                break
            if chance.random() < 0.6:
                self.read()
            if chance.random() < eager:
                self.loop.turn()
            if not self.transport.is_reading or chance.random() < lazy:
                for _ in range(chance.choice((1, 1, 2, 40))):
                    if not self.receive():
                        break
            if chance.random() < 0.05:
                self.cancel()
            self.check()
            if chance.random() < 0.2:
                self._settle()
        assert not self.reads, "the transport reads no more"
        self._finish()

    def _settle(self) -> None:
        """Receive until nothing more comes, which has to be all messages that were read to their last byte."""
        for _ in range(_ITERATIONS):
            moved = self.receive()
            moved |= self.loop.turn()
            self.check()
            if self.is_told or not moved:
                break
        else:
            raise AssertionError("receiving does not end")
        read = sum(end <= self.fed for end in self.ends)
        assert len(self.got) >= read, f"{read - len(self.got)} messages are stuck"

    def _finish(self) -> None:
        self._settle()
        assert self.got == self.messages
        assert self.seen == self.controls, "control frames are stuck"
        assert self.end is None or self.is_told
        self.cancel()


def check(seed: int) -> None:
    """Run the case of a seed."""
    Case(seed).run()
