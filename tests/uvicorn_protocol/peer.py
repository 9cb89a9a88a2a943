"""A client that sends any bytes, and reads frame by frame."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from uuid import uuid4

from tests.servers.client import SECONDS, Probe, handshake, http
from tests.wire.streams import BINARY, CLOSE, TEXT, close, frame

from .served import Uvicorn

# The ending without a close frame (RFC 6455 section 7.1.5).
NOTHING: Final = (1006, "")
# A header line of a client that offers compression, and accepts any parameters.
DEFLATE: Final = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


def text(message: str) -> bytes:
    return frame(TEXT, message.encode())


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
        """The code and the reason of a close frame; 1005 if it is empty (RFC 6455 section 7.1.5)."""
        assert self.opcode == CLOSE, self
        if not self.payload:
            return 1005, ""
        return int.from_bytes(self.payload[:2]), self.payload[2:].decode()


class Head(NamedTuple):
    """The head of an HTTP response; header names are in lower case."""

    status: int
    headers: list[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def value(self, name: str) -> str | None:
        """Return the only value of a header, or None."""
        values = self.values(name)
        assert len(values) < 2, values
        return values[0] if values else None


class Peer:
    """One TCP connection to a server."""

    def __init__(self, probe: Probe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.probe = probe
        self.reader = reader
        self.writer = writer

    # -- receive

    async def head(self) -> Head:
        """Read the head of an HTTP response."""
        async with asyncio.timeout(SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) ?([ -~]*)", first)
        assert found is not None, head
        parts = [line.partition(": ") for line in lines]
        return Head(int(found[1]), [(name.lower(), value) for name, _, value in parts])

    async def frame(self, seconds: float = SECONDS) -> Frame:
        """Read a frame and check its form; raise IncompleteReadError if the connection ends instead."""
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
        """Read a message of one frame that is not compressed."""
        got = await self.frame(seconds)
        assert got.first in (0x80 | TEXT, 0x80 | BINARY), got
        return got.payload.decode() if got.opcode == TEXT else got.payload

    async def close_frame(self, seconds: float = SECONDS) -> tuple[int, str]:
        """Skip to the close frame and return its code and reason; NOTHING if none came."""
        try:
            async with asyncio.timeout(seconds):
                while (got := await self.frame(seconds)).opcode != CLOSE:
                    pass
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return NOTHING
        return got.close

    async def end(self, seconds: float = SECONDS) -> str:
        """Read the end of the TCP connection, before which nothing comes; return "FIN" or "RST"."""
        async with asyncio.timeout(seconds):
            try:
                rest = await self.reader.read()
            except ConnectionResetError:
                return "RST"
        assert rest == b"", rest[:200]
        return "FIN"

    async def answers(self, code: int = 1000) -> None:
        """Answer the server's close frame, after which the server ends the connection."""
        self.send(close(code))
        assert await self.end() == "FIN"

    async def rest(self, seconds: float = SECONDS) -> bytes:
        """Read until the server ends the connection."""
        async with asyncio.timeout(seconds):
            return await self.reader.read()

    # -- send

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def push(self, data: bytes, seconds: float = 1.0) -> bool:
        """Send as much as the server takes; return True if that was all."""
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
        """End the TCP connection without a close frame; after a half-close go on reading."""
        {"FIN": self.hang_up, "half-close": self.finish, "RST": self.reset}[how]()

    def reset(self) -> None:
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def hang_up(self) -> None:
        self.writer.transport.abort()

    def finish(self) -> None:
        self.writer.write_eof()

    # -- notes of the handler

    async def notes(self, until: str = "end", seconds: float = SECONDS) -> dict[str, list[Any]]:
        """Return the handler's notes by word, once there is one of `until`; a single fact is not a list."""
        notes: dict[str, list[Any]] = {}
        for word, *facts in await self.probe.events(until, seconds):
            notes.setdefault(word, []).append(facts[0] if len(facts) == 1 else facts)
        return notes

    async def told(self) -> list[list[Any]]:
        """Return the codes and reasons of the disconnect events, once the handler has ended."""
        return (await self.notes()).get("told", [])

    async def go(self) -> None:
        """Let a handler go on that waits for it."""
        async with http(self.probe.process) as client:
            await client.post(f"/go/{self.probe.id}", timeout=SECONDS)


async def _stream(process: Uvicorn, receive_buffer: int | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    if receive_buffer is not None:
        # The window is agreed on when the connection is made.
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
    process: Uvicorn, first: bytes = b"", *, probe: Probe | None = None, receive_buffer: int | None = None
) -> AsyncIterator[Peer]:
    """Send `first` on a new TCP connection, which is aborted at the end."""
    reader, writer = await _stream(process, receive_buffer)
    try:
        writer.write(first)
        yield Peer(probe or Probe(process, ""), reader, writer)
    finally:
        writer.transport.abort()


def request(probe: Probe, lines: bytes = b"", query: Mapping[str, Any] | None = None, **replaced: str | None) -> bytes:
    """Return a handshake for a handler of the probe, with further header lines, each with its line end."""
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
    """Send a handshake, whose answer is still to be read; `replaced` is that of `handshake`."""
    probe = Probe(process, handler, id=uuid4().hex, kind=kind)
    first = request(probe, lines, query, **replaced)
    async with dialled(process, first, probe=probe, receive_buffer=receive_buffer) as peer:
        yield peer


@asynccontextmanager
async def opened(process: Uvicorn, handler: str, lines: bytes = b"", **options: Any) -> AsyncIterator[Peer]:
    """Open a WebSocket; the arguments are those of `asking`."""
    async with asking(process, handler, lines, **options) as peer:
        head = await peer.head()
        assert head.status == 101, head
        yield peer
