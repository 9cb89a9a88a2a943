"""Clients of rooms on real servers: one that reads, one that never does, and what the server's process holds."""

import asyncio
import json
import select
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Self
from uuid import uuid4

import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.servers.client import SECONDS, handshake, hang_up, http, reset
from tests.servers.launch import ServerProcess

MIB: Final = 1024 * 1024
KIB: Final = 1024
_POLL_SECONDS: Final = 0.02
# struct tcp_info of linux/tcp.h: tcpi_data_segs_in.
_DATA_SEGMENTS: Final = 152
# A client's window, as small as the system has it.
_SMALL_BUFFER: Final = 4096


def room_name() -> str:
    """Return the name of a room that no other test uses."""
    return f"room-{uuid4().hex[:12]}"


class Client:
    """A WebSocket of a client that reads."""

    def __init__(self, process: ServerProcess, name: str, room: str, ws: ClientConnection) -> None:
        self.process = process
        self.name = name
        self.room = room
        self.ws = ws

    @classmethod
    @asynccontextmanager
    async def joined(
        cls, process: ServerProcess, room: str, *, path: str = "/room/", compression: str | None = None
    ) -> AsyncIterator[Self]:
        """Join a room. The connection is dropped at the end, whatever its state."""
        name = f"client-{uuid4().hex[:12]}"
        url = process.url(f"{path}{room}?id={name}", "ws")
        ws = await connect(
            url,
            compression=compression,
            ping_interval=None,
            open_timeout=SECONDS,
            close_timeout=1,
            proxy=None,
            max_queue=None,
        )
        try:
            client = cls(process, name, room, ws)
            assert await client.receive() == "joined"
            yield client
        finally:
            hang_up(ws)

    async def tell(self, word: str, **arguments: Any) -> None:
        """Ask the handler for something; see `served_app.Commands`."""
        await self.ws.send(json.dumps([word, arguments]))

    async def receive(self, seconds: float = SECONDS) -> str:
        """Return the next message, without its padding."""
        async with asyncio.timeout(seconds):
            message = await self.ws.recv()
        assert isinstance(message, str)
        return message.rstrip(" .")

    async def take(self, count: int, seconds: float = SECONDS) -> list[str]:
        """Return the next `count` messages."""
        async with asyncio.timeout(seconds):
            return [await self.receive(seconds) for _ in range(count)]

    async def show(self) -> dict[str, Any]:
        """Return the statistics of the hub. No message may be on its way to this client."""
        await self.tell("show")
        facts: dict[str, Any] = json.loads(await self.receive())
        return facts

    async def end(self, seconds: float = SECONDS) -> tuple[int, str]:
        """Skip messages, and return the code and the reason of the server's close frame: 1006 for none."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self.ws.recv()
        except ConnectionClosed as error:
            return (1006, "") if error.rcvd is None else (error.rcvd.code, error.rcvd.reason)

    def leave(self, how: str) -> None:
        """End the TCP connection without a close frame, by RST or FIN."""
        {"RST": reset, "FIN": hang_up}[how](self.ws)


class RawClient:
    """A member that reads bytes itself: only when the test asks for it, and it can count TCP segments.

    Args:
        sock: on which the handshake is done.
    """

    def __init__(self, process: ServerProcess, name: str, sock: socket.socket) -> None:
        self.process = process
        self.name = name
        self._sock = sock

    @classmethod
    @asynccontextmanager
    async def joined(
        cls,
        process: ServerProcess,
        room: str,
        *,
        path: str = "/room/",
        query: str = "",
        buffer: int | None = _SMALL_BUFFER,
    ) -> AsyncIterator[Self]:
        """Join a room, and read the confirmation only."""
        name = f"raw-{uuid4().hex[:12]}"
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            if buffer is not None:
                # Before the connection is made, since the window is agreed on then.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            await loop.sock_connect(sock, ("127.0.0.1", process.port))
            await loop.sock_sendall(sock, handshake(f"{path}{room}?id={name}{query}"))
            client = cls(process, name, sock)
            head = b""
            async with asyncio.timeout(SECONDS):
                while not head.endswith(b"\x81\x06joined"):
                    head += await loop.sock_recv(sock, 1)
            assert head.startswith(b"HTTP/1.1 101 "), head
            yield client

    async def tell(self, word: str, **arguments: Any) -> None:
        """Ask the handler for something; see `served_app.Commands`."""
        payload = json.dumps([word, arguments]).encode()
        assert len(payload) < 126
        # Masked, as it has to be, with a key of zeros.
        frame = bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload
        await asyncio.get_running_loop().sock_sendall(self._sock, frame)

    async def finale(self, *, prefix: str = "", **arguments: Any) -> None:
        """Let the handler publish its last words, more than a connection's buffers hold, and read them after that."""
        # Where `send` never waits it is paced, and a second's worth goes at once.
        count, size = (1, 8 * MIB) if self.process.server.profile.send_blocks else (10, 120 * KIB)
        await self.tell("finale", count=count, size=size, **arguments)
        await get(self.process, f"{prefix}/events/{self.name}", until="published", seconds=SECONDS)
        expected = [*["large"] * count, "see", "bye"]
        assert [await self.message() for _ in expected] == expected

    async def close(self) -> None:
        """Answer the server's close frame."""
        await asyncio.get_running_loop().sock_sendall(self._sock, bytes([0x88, 0x80]) + bytes(4))

    async def close_code(self, *, after_messages: bool = False) -> int:
        """Return the code of the close frame, which comes next, or after pending messages."""
        opcode, payload = await self._frame()
        while after_messages and opcode == 0x81:
            opcode, payload = await self._frame()
        assert opcode == 0x88, opcode
        return int.from_bytes(payload[:2])

    async def read(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        data = bytearray()
        async with asyncio.timeout(SECONDS):
            while len(data) < size:
                more = await asyncio.get_running_loop().sock_recv(self._sock, size - len(data))
                assert more, "the connection has ended"
                data += more
        return bytes(data)

    async def message(self) -> str:
        """Return the next message, without its padding."""
        opcode, payload = await self._frame()
        assert opcode == 0x81, opcode
        return payload.decode().rstrip(" .")

    async def _frame(self) -> tuple[int, bytes]:
        opcode, size = await self.read(2)
        if size > 125:
            size = int.from_bytes(await self.read(2 if size == 126 else 8))
        return opcode, await self.read(size)

    def segments(self) -> int:
        """Return the number of TCP segments with data that have arrived."""
        info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        count: int = struct.unpack_from("I", info, _DATA_SEGMENTS)[0]
        return count

    async def lost(self, seconds: float) -> str | None:
        """Return how the server ends the TCP connection while nothing is read: "FIN", "RST", or None if it does not."""
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLRDHUP)
        try:
            async with asyncio.timeout(seconds):
                # An event loop reports only that data is readable, and it always is here.
                while not (events := poll.poll(0)):
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            return None
        return "RST" if events[0][1] & select.POLLERR else "FIN"


async def get(process: ServerProcess, path: str, *, method: str = "GET", **query: str | float) -> Any:
    """Return the application's answer, parsed as JSON."""
    async with http(process) as client:
        response = await client.request(method, path, params=query, timeout=2 * SECONDS)
    assert response.status_code == 200, response.text
    return response.json()


async def end_of(process: ServerProcess, name: str, *, prefix: str = "") -> list[Any]:
    """Return how a member's handler ended: the code and the reason, or the name and text of its exception."""
    notes = await get(process, f"{prefix}/events/{name}", until="end", seconds=SECONDS)
    facts: list[Any] = next(facts for word, *facts in notes if word == "end")
    return facts


async def members(process: ServerProcess, room: str, count: int, *, prefix: str = "") -> list[str]:
    """Wait until a room has `count` members, and return their names."""
    async with asyncio.timeout(SECONDS):
        while len(who := await get(process, f"{prefix}/who/{room}")) != count:
            await asyncio.sleep(_POLL_SECONDS)
    names: list[str] = who
    return names


def held_bytes(process: ServerProcess) -> int:
    """Return the resident memory of the server and its child processes, in bytes."""
    parent = psutil.Process(process.pid)
    return sum(each.memory_info().rss for each in [parent, *parent.children(recursive=True)])
