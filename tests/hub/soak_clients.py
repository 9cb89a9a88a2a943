"""Many clients in one process: each checks what it gets as it comes, and keeps none of it."""

import asyncio
import json
import socket
import struct
from typing import Any, Final
from uuid import uuid4

from tests.servers.client import SECONDS, handshake
from tests.servers.launch import ServerProcess
from tests.wire.streams import CLOSE, NO_MASK, PING, PONG, TEXT, close, frame

# Rooms with this prefix keep a history, and announce gaps.
KEPT: Final = "kept-"

# A client's window: a stall is felt sooner.
_SMALL_BUFFER: Final = 4096
_RESET: Final = struct.pack("ii", 1, 0)


class Member(asyncio.Protocol):
    """A member of a room in which one publishes numbered messages.

    Attributes:
        first: the number of the first message that came; None before it.
        next: the number that the next one has.
        since: the number that the first one has at the latest.
        received: how many came.
        missed: how many were announced as missing.
        code: of the server's close frame; 1006 where none came.
        mistakes: what came otherwise than it should.
    """

    def __init__(self, room: str) -> None:
        self.room = room
        self.first: int | None = None
        self.next: int | None = None
        self.since = 0
        self.received = 0
        self.missed = 0
        self.code = 1006
        self.mistakes: list[str] = []
        self.joined = asyncio.get_running_loop().create_future()
        self.lost = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._is_open = False
        self._transport: Any = None

    @classmethod
    async def join(cls, process: ServerProcess, room: str, *, overflow: str = "close") -> "Member":
        """Join a room, and return the member once the hub has confirmed it."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        # Before the connection is made, since the window is agreed on then.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        await loop.sock_connect(sock, ("127.0.0.1", process.port))
        transport, member = await loop.create_connection(lambda: cls(room), sock=sock)
        transport.write(handshake(f"/room/{room}?id={uuid4().hex}&overflow={overflow}"))
        async with asyncio.timeout(SECONDS):
            await member.joined
        return member

    # -- what comes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self.joined, self.lost):
            if not future.done():
                future.set_result(None)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self._is_open:
            head, found, rest = bytes(buffer).partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self.mistakes.append(repr(head))
            self._is_open = True
            buffer[:] = rest
        start = 0
        while (end := self._frame(start)) is not None:
            start = end
        del buffer[:start]

    def _frame(self, start: int) -> int | None:
        """Take the frame that begins here; where it ends, or None if it is not complete."""
        buffer = self._buffer
        if len(buffer) < start + 4:
            # No frame of the server is shorter but an empty one, which none of these is.
            return None
        size, begin = buffer[start + 1], start + 2
        if size == 126:
            size, begin = int.from_bytes(buffer[begin : begin + 2]), begin + 2
        end = begin + size
        if len(buffer) < end:
            return None
        opcode = buffer[start] & 0x0F
        if opcode == TEXT:
            # The rest is padding.
            self._message(bytes(buffer[begin : min(end, begin + 60)]))
        elif opcode == PING:
            self._transport.write(frame(PONG, bytes(buffer[begin:end]), mask=NO_MASK))
        elif opcode == CLOSE:
            self.code = int.from_bytes(buffer[begin : begin + 2])
            self._transport.write(close(self.code))
        return end

    def _message(self, message: bytes) -> None:
        who, _, rest = message.partition(b" ")
        if who == b"joined":
            self.joined.set_result(None)
        elif who == b"gap":
            missed = int(rest.split()[0])
            self.missed += missed
            self.next = None if self.next is None else self.next + missed
        else:
            number = int(rest.split(b" ", 1)[0])
            if self.next is not None and number != self.next:
                self.mistakes.append(f"{number} came instead of {self.next}")
            if self.first is None:
                self.first = number
            self.received += 1
            self.next = number + 1

    @property
    def reached(self) -> int:
        """The number of the message that comes next, as far as is known."""
        return self.since if self.next is None else self.next

    # -- what it does

    def tell(self, word: str, **arguments: Any) -> None:
        """Ask the handler for something; see `served_app.Commands`."""
        self._transport.write(frame(TEXT, json.dumps([word, arguments]).encode(), mask=NO_MASK))

    def stop_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def go_on_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def leave(self, how: str) -> None:
        """End the connection, with a close frame or by FIN or RST."""
        if how == "close":
            self._transport.write(close(1000))
        else:
            if how == "RST" and not self._transport.is_closing():
                sock: socket.socket = self._transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.abort()
        try:
            async with asyncio.timeout(SECONDS):
                await self.lost
        except TimeoutError:
            self.mistakes.append(f"the server did not end the connection after {how}")
            self.abort()

    def abort(self) -> None:
        """Drop the connection, if it is open."""
        self._transport.abort()
