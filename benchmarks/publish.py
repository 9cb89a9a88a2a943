"""One publish to a room, in process: what a hub adds to a loop of `await send` over the same connections.

The members are connections of `WebSocketProtocol` whose transports discard what they are given, each served by a
handler that waits for its client. A second kind has a plain ASGI `send`, as any other server has one.
"""

import asyncio
import base64
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from unittest.mock import patch

import uvicorn
from uvicorn.server import ServerState

from asgi_ws import Hub, WebSocket, websocket_app
from asgi_ws.uvicorn_protocol import WebSocketProtocol

from .inprocess import Event, Send

ROOM: Final = "room"
TEXT: Final = "x" * 64
BASE: Final = "send in a loop"
# Connections take less than so many iterations of the loop to join or to leave.
_SETTLE_ITERATIONS: Final = 50
_HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\r\n\r\n"
)


class Sink(asyncio.Transport):
    """A transport that discards what it is given; it counts the writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self._protocol = asyncio.Protocol()

    def write(self, data: Any) -> None:
        self.writes += 1

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...

    def is_closing(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class Members:
    """So many open connections, all members of one room.

    Attributes:
        hub: of the room.
        sends: the server's `send` of each connection.
        sinks: the transport of each.
    """

    def __init__(self) -> None:
        self.hub = Hub()
        self.sends: list[Send] = []
        self.sinks: list[Sink] = []
        self._protocols: list[WebSocketProtocol] = []

    async def connect(self, count: int) -> None:
        """Open the connections."""
        member = websocket_app(self._member)

        async def app(scope: Event, receive: Callable[[], Awaitable[Event]], send: Send) -> None:
            self.sends.append(send)
            await member(cast("Any", scope), receive, send)

        config = uvicorn.Config(cast("Any", app), log_level="error", ws_per_message_deflate=False)
        config.load()
        state = ServerState()
        for _ in range(count):
            protocol, sink = WebSocketProtocol(config, state, {}), Sink()
            protocol.connection_made(sink)
            protocol.data_received(_HANDSHAKE)
            self._protocols.append(protocol)
            self.sinks.append(sink)
        await _settle()
        _check(len(self.hub.members(ROOM)), count)

    async def _member(self, ws: WebSocket) -> None:
        await ws.accept()
        async with self.hub.join(ws, ROOM):
            async for _ in ws:
                pass

    async def disconnect(self) -> None:
        """Drop the connections."""
        for protocol in self._protocols:
            protocol.connection_lost(None)
        await _settle()


async def _settle() -> None:
    for _ in range(_SETTLE_ITERATIONS):
        await asyncio.sleep(0)


class Plain:
    """A connection of another server."""

    def __init__(self) -> None:
        self.sent = 0

    async def asgi_send(self, event: Event) -> None:
        self.sent += 1


async def _publish(count: int, messages: int) -> None:
    members = Members()
    async with members.hub:
        await members.connect(count)
        for _ in range(messages):
            await members.hub.publish(ROOM, TEXT)
        _check(members.hub.statistics().delivered, count * messages)
        await members.disconnect()


async def _publish_to_plain(count: int, messages: int) -> None:
    async with Hub() as hub:
        connections = [Plain() for _ in range(count)]
        for connection in connections:
            hub.join(connection.asgi_send, ROOM)
        for _ in range(messages):
            await hub.publish(ROOM, TEXT)
        _check(sum(connection.sent for connection in connections), count * messages)


async def _send_in_a_loop(count: int, messages: int) -> None:
    members = Members()
    async with members.hub:
        await members.connect(count)
        for _ in range(messages):
            for send in members.sends:
                await send({"type": "websocket.send", "text": TEXT})
        await members.disconnect()


def _check(delivered: int, expected: int) -> None:
    if delivered != expected:
        raise RuntimeError(f"{delivered} members or messages instead of {expected}")


CONTESTANTS: Final[dict[str, Callable[[int, int], Any]]] = {
    "asgi_ws": _publish,
    "asgi_ws, plain send": _publish_to_plain,
    BASE: _send_in_a_loop,
}


def publish(contestant: str, members: int, messages: int) -> None:
    """Publish so many messages to a room of so many members, in one time slice of the hub, however long they take.

    A simulated processor is so slow that the hub would yield to the event loop after a few of them.

    Raises:
        RuntimeError: when a member did not get one of them.
    """
    with patch.object(time, "thread_time", itertools.repeat(0.0).__next__):
        asyncio.run(CONTESTANTS[contestant](members, messages))
