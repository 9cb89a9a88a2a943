"""A client that sends what it is told, byte for byte, and reads what comes, frame by frame."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from uuid import uuid4

from tests.servers.client import SECONDS, Probe, handshake, http

from .served import Uvicorn

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

# RFC 6455 section 5.7: the mask of the examples.
MASK: Final = b"\x37\xfa\x21\x3d"
# Changes nothing, for payloads that are the same whatever their place.
NO_MASKING: Final = bytes(4)

# Where no close frame came (RFC 6455 section 7.1.5).
NOTHING: Final = (1006, "")


def masked(payload: bytes, mask: bytes) -> bytes:
    """RFC 6455 section 5.3, by whole numbers, so that it shares nothing with the code under test."""
    if mask == NO_MASKING:
        return payload
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(len(payload))


def header(first: int, length: int, mask: bytes | None = MASK) -> bytes:
    """A frame's header with this first byte; `mask` None is a frame without one."""
    bit = 0 if mask is None else 0x80
    if length < 126:
        size = struct.pack("!B", bit | length)
    elif length < 1 << 16:
        size = struct.pack("!BH", bit | 126, length)
    else:
        size = struct.pack("!BQ", bit | 127, length)
    return bytes([first]) + size + (mask or b"")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes | None = MASK) -> bytes:
    """The bytes of a frame (RFC 6455 section 5.2); `rsv` has the three reserved bits, RSV1 being 4."""
    body = payload if mask is None else masked(payload, mask)
    return header((0x80 if fin else 0) | rsv << 4 | opcode, len(payload), mask) + body


def text(message: str, **options: Any) -> bytes:
    return frame(TEXT, message.encode(), **options)


def close(code: int | None = 1000, reason: str | bytes = "") -> bytes:
    """The bytes of a close frame; `code` None is one without a code."""
    encoded = reason.encode() if isinstance(reason, str) else reason
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + encoded)


class Frame(NamedTuple):
    """A frame that the server sent."""

    first: int
    payload: bytes

    @property
    def opcode(self) -> int:
        return self.first & 0x0F

    @property
    def is_compressed(self) -> bool:
        return bool(self.first & 0x40)

    @property
    def close(self) -> tuple[int, str]:
        """The code and the reason of a close frame; 1005 for one without a code (RFC 6455 section 7.1.5)."""
        assert self.opcode == CLOSE, self
        if not self.payload:
            return 1005, ""
        return int.from_bytes(self.payload[:2]), self.payload[2:].decode()


class Head(NamedTuple):
    """The head of an HTTP response; the names of the headers in lower case."""

    status: int
    headers: list[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def value(self, name: str) -> str | None:
        """The only value of a header, or None where there is none."""
        values = self.values(name)
        assert len(values) < 2, values
        return values[0] if values else None


class Peer:
    """One TCP connection to a server."""

    def __init__(self, probe: Probe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.probe = probe
        self.reader = reader
        self.writer = writer

    # -- what comes

    async def head(self) -> Head:
        """The head of the response to the handshake."""
        async with asyncio.timeout(SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) ?([ -~]*)", first)
        assert found is not None, head
        parts = [line.partition(": ") for line in lines]
        return Head(int(found[1]), [(name.lower(), value) for name, _, value in parts])

    async def frame(self, seconds: float = SECONDS) -> Frame:
        """The next frame; its form is checked. Raises IncompleteReadError when the connection ends instead."""
        async with asyncio.timeout(seconds):
            first, second = await self.reader.readexactly(2)
            assert not second & 0x80, "a server masks nothing (RFC 6455 section 5.1)"
            length = second
            if second == 126:
                length = int.from_bytes(await self.reader.readexactly(2))
                assert length >= 126
            elif second == 127:
                length = int.from_bytes(await self.reader.readexactly(8))
                assert length >= 1 << 16
            return Frame(first, await self.reader.readexactly(length))

    async def message(self, seconds: float = SECONDS) -> str | bytes:
        """The next frame, which is a whole message that is not compressed."""
        got = await self.frame(seconds)
        assert got.first in (0x80 | TEXT, 0x80 | BINARY), got
        return got.payload.decode() if got.opcode == TEXT else got.payload

    async def close_frame(self, seconds: float = SECONDS) -> tuple[int, str]:
        """The code and reason of the server's close frame, after whatever comes before it; NOTHING where none came."""
        try:
            async with asyncio.timeout(seconds):
                while (got := await self.frame(seconds)).opcode != CLOSE:
                    pass
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return NOTHING
        return got.close

    async def end(self, seconds: float = SECONDS) -> str:
        """How the server ends the TCP connection, "FIN" or "RST", after which nothing but that comes."""
        async with asyncio.timeout(seconds):
            try:
                rest = await self.reader.read()
            except ConnectionResetError:
                return "RST"
        assert rest == b"", rest[:200]
        return "FIN"

    async def rest(self, seconds: float = SECONDS) -> bytes:
        """Everything until the server ends the connection."""
        async with asyncio.timeout(seconds):
            return await self.reader.read()

    # -- what goes

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def push(self, data: bytes, seconds: float = 1.0) -> bool:
        """Send as much as the server takes; whether that was all."""
        self.writer.write(data)
        try:
            async with asyncio.timeout(seconds):
                await self.writer.drain()
        except TimeoutError:
            return False
        return True

    def stop_reading(self) -> None:
        self.writer.transport.pause_reading()  # type: ignore[attr-defined] # a stream has a full transport

    def go_on_reading(self) -> None:
        self.writer.transport.resume_reading()  # type: ignore[attr-defined] # likewise

    def leave(self, how: str) -> None:
        """End the TCP connection without a close frame, in one of the three ways below."""
        {"FIN": self.hang_up, "half-close": self.finish, "RST": self.reset}[how]()

    def reset(self) -> None:
        """End the TCP connection with RST."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def hang_up(self) -> None:
        """End the TCP connection with FIN, without a close frame, and read nothing more."""
        self.writer.transport.abort()

    def finish(self) -> None:
        """Say with FIN that nothing more comes, and go on reading."""
        self.writer.write_eof()

    # -- what the handler noted

    async def notes(self, until: str = "end", seconds: float = SECONDS) -> dict[str, list[Any]]:
        """All that the handler noted by each word, once there is a note of `until`; one fact stands for itself."""
        notes: dict[str, list[Any]] = {}
        for word, *facts in await self.probe.events(until, seconds):
            notes.setdefault(word, []).append(facts[0] if len(facts) == 1 else facts)
        return notes

    async def told(self) -> list[list[Any]]:
        """The codes and reasons of the disconnect events that a handler received, once it has ended."""
        return (await self.notes()).get("told", [])

    async def go(self) -> None:
        """Give the handler the word that it waits for."""
        async with http(self.probe.process) as client:
            await client.post(f"/go/{self.probe.id}", timeout=SECONDS)


async def _stream(process: Uvicorn, receive_buffer: int | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    if receive_buffer is not None:
        # Before the connection is made, since the window is agreed on then.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", process.port))
        name = None if process.tls is None else "127.0.0.1"
        return await asyncio.open_connection(sock=sock, ssl=process.tls, server_hostname=name)
    except BaseException:
        sock.close()
        raise


@asynccontextmanager
async def dialled(
    process: Uvicorn,
    first: bytes = b"",
    *,
    probe: Probe | None = None,
    receive_buffer: int | None = None,
) -> AsyncIterator[Peer]:
    """A TCP connection on which `first` was sent; it is dropped at the end, whatever its state."""
    reader, writer = await _stream(process, receive_buffer)
    try:
        writer.write(first)
        yield Peer(probe or Probe(process, ""), reader, writer)
    finally:
        writer.transport.abort()


def request(probe: Probe, lines: bytes = b"", query: Mapping[str, Any] | None = None, **replaced: str | None) -> bytes:
    """The bytes of a handshake for a handler of the probe, with further header lines, each with its line end."""
    return handshake(probe.target(**(query or {})), **replaced)[:-2] + lines + b"\r\n"


@asynccontextmanager
async def asking(
    process: Uvicorn,
    handler: str,
    lines: bytes = b"",
    *,
    query: Mapping[str, Any] | None = None,
    kind: str = "ws",
    receive_buffer: int | None = None,
    **replaced: str | None,
) -> AsyncIterator[Peer]:
    """A connection on which a handshake was sent, whose answer is still to be read; `replaced` as of `handshake`."""
    probe = Probe(process, handler, id=uuid4().hex, kind=kind)
    first = request(probe, lines, query, **replaced)
    async with dialled(process, first, probe=probe, receive_buffer=receive_buffer) as peer:
        yield peer


@asynccontextmanager
async def opened(process: Uvicorn, handler: str, lines: bytes = b"", **options: Any) -> AsyncIterator[Peer]:
    """A WebSocket that is open; the arguments are those of `asking`."""
    async with asking(process, handler, lines, **options) as peer:
        head = await peer.head()
        assert head.status == 101, head
        yield peer
