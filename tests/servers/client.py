"""Clients of the contract suite: WebSockets that open and end in every way, HTTP, and raw bytes."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from tests.hanging import HANGING

from .launch import ServerProcess
from .table import Server

# For anything that ought to come at once on a busy machine.
SECONDS: Final = HANGING
# RFC 6455 section 1.3: the key of the example.
_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="

# The WebSockets of the running test, for the fixture that checks that none stays open.
opened: Final[list[ClientConnection]] = []


@dataclass
class Probe:
    """One connection to one endpoint of the probe application, and the name of its handler's notes."""

    process: ServerProcess
    endpoint: str
    id: str = field(default_factory=lambda: uuid4().hex)
    # The first part of the path: `bare` for an application of bare_handlers.
    kind: str = "ws"

    @property
    def server(self) -> Server:
        return self.process.server

    def target(self, **query: Any) -> str:
        return f"/{self.kind}/{self.endpoint}?{urlencode({'id': self.id, **query})}"

    async def connect(
        self, *, query: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> ClientConnection:
        """Open the WebSocket; the test's own pings are all it sends by itself."""
        url = self.process.url(self.target(**(query or {})), "ws")
        defaults = {"compression": None, "ping_interval": None, "open_timeout": SECONDS, "close_timeout": 1}
        ws = await connect(url, additional_headers=headers, proxy=None, **(defaults | options))
        opened.append(ws)
        return ws

    async def refusal(self, *, query: Mapping[str, Any] | None = None, **options: Any) -> Response:
        """Return the response to a handshake that is refused."""
        try:
            ws = await self.connect(query=query, **options)
        except InvalidStatus as error:
            return error.response
        await ws.close()
        raise AssertionError("the handshake was not refused")

    async def events(self, until: str = "end", seconds: float = SECONDS) -> list[list[Any]]:
        """Return the handler's notes, once one of them is `until`."""
        async with http(self.process) as client:
            return await self.events_by(client, until, seconds)

    async def events_by(self, client: httpx2.AsyncClient, until: str, seconds: float) -> list[list[Any]]:
        """Return the same notes with an open HTTP client."""
        query: dict[str, str | float] = {"until": until, "seconds": seconds}
        response = await client.get(f"/events/{self.id}", params=query, timeout=seconds + SECONDS)
        notes: list[list[Any]] = response.json()
        assert response.status_code == 200, f"no note {until!r} came; there are {notes}"
        return notes

    async def notes(self, until: str = "end", seconds: float = SECONDS) -> dict[str, Any]:
        """Return the notes by their words; each word's facts are one value, or a list of several."""
        return {word: facts[0] if len(facts) == 1 else facts for word, *facts in await self.events(until, seconds)}


async def next_client_is_served(process: ServerProcess) -> None:
    """Check that the server still serves another client."""
    ws = await Probe(process, "endpoint").connect()
    await ws.send("next")
    assert await ws.recv() == "next"
    await ws.close()


def http(process: ServerProcess) -> httpx2.AsyncClient:
    # A context of its own spares the reading of all certificates of the system.
    verify = process.tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx2.AsyncClient(base_url=process.url(""), trust_env=False, verify=verify)


async def close_frame(ws: ClientConnection) -> tuple[int, str]:
    """Return the code and the reason in the server's close frame: 1005 for an empty one, 1006 for none."""
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                await ws.recv()
    except ConnectionClosed as error:
        return (1006, "") if error.rcvd is None else (error.rcvd.code, error.rcvd.reason)


def reset(ws: ClientConnection) -> None:
    """End the TCP connection with RST."""
    _reset(ws.transport)


def _reset(transport: asyncio.WriteTransport) -> None:
    sock: socket.socket = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def hang_up(ws: ClientConnection) -> None:
    """End the TCP connection with FIN, without a close frame; one that has ended is left as it is."""
    # asyncio's abort() raises AttributeError where close() had to wait for what was written.
    if not ws.connection_lost_waiter.done():
        ws.transport.abort()


def handshake(target: str, **replaced: str | None) -> bytes:
    """Return the bytes of an opening handshake. A keyword replaces a header, or omits it: `sec_websocket_key=None`."""
    headers: dict[str, str | None] = {
        "host": "127.0.0.1",
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec_websocket_key": _KEY,
        "sec_websocket_version": "13",
        **replaced,
    }
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")


@asynccontextmanager
async def raw(process: ServerProcess, first: bytes) -> AsyncIterator["RawConnection"]:
    """Open a TCP connection, and send `first`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    try:
        writer.write(first)
        yield RawConnection(reader, writer)
    finally:
        writer.close()
        # The server may have reset the connection.
        with suppress(OSError):
            await writer.wait_closed()


@dataclass(frozen=True)
class RawConnection:
    """Bytes to and from a server, without anything that makes them right."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def response(self) -> int:
        """Read the head of an HTTP response, and return its status."""
        async with asyncio.timeout(SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1])

    def reset(self) -> None:
        """End the TCP connection with RST."""
        _reset(self.writer.transport)

    def write_eof(self) -> None:
        """Say that nothing more comes; a server that has gone already need not hear it."""
        with suppress(OSError):
            self.writer.write_eof()

    async def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        async with asyncio.timeout(SECONDS):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""
