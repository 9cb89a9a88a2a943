"""The writes of the class to its transport, call by call, in the test's own event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from asgi_ws import InvalidMessage
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.sizes import KIB
from asgi_ws.uvicorn_protocol import WebSocketProtocol
from asgi_ws.wire.frames import BINARY, TEXT, header, pong_frame
from tests.servers.client import handshake
from tests.wire.streams import PING, frame

from .peer import text


class Transport(asyncio.Transport):
    """A transport that records the data of each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def get_protocol(self) -> asyncio.BaseProtocol:
        return asyncio.Protocol()

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_reading(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return False


class Open:
    """A connection that the application has accepted; `run` is the rest of the application."""

    receive: Receive
    transport: Transport
    _send: Send

    def __init__(self, run: Callable[["Open"], Awaitable[None]]) -> None:
        async def app(_scope: Scope, receive: Receive, send: Send) -> None:
            self._send, self.receive = send, receive
            await receive()
            await send({"type": "websocket.accept"})
            self.transport.writes.clear()
            await run(self)
            self.has_returned = True

        config = Config(cast("Any", app), ws=WebSocketProtocol, lifespan="off", log_config=None)
        config.load()
        self.has_returned = False
        self.transport = Transport()
        self.protocol = WebSocketProtocol(config, ServerState(), {})
        self.protocol.connection_made(self.transport)
        self.protocol.data_received(handshake("/"))

    async def send(self, **keys: Any) -> None:
        await self._send({"type": "websocket.send", **keys})

    async def close(self, code: int) -> None:
        await self._send({"type": "websocket.close", "code": code})

    def written(self) -> list[bytes]:
        """Return the writes since the last call."""
        writes, self.transport.writes = self.transport.writes, []
        return writes


async def run_to_its_end(run: Callable[[Open], Awaitable[None]]) -> None:
    ws = Open(run)
    await _until_idle()
    assert ws.has_returned
    ws.protocol.connection_lost(None)


async def _until_idle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def sent(message: bytes | str) -> bytes:
    payload = message.encode() if isinstance(message, str) else message
    return header(TEXT if isinstance(message, str) else BINARY, len(payload)) + payload


async def _echo(ws: Open) -> None:
    while "text" in (event := await ws.receive()):
        await ws.send(text=event["text"])


async def test_answers_to_messages_that_came_together_are_one_write() -> None:
    ws = Open(_echo)
    await _until_idle()
    ws.protocol.data_received(b"".join(text(str(number)) for number in range(5)))
    await _until_idle()
    assert ws.written() == [b"".join(sent(str(number)) for number in range(5))]
    ws.protocol.data_received(text("alone"))
    await _until_idle()
    assert ws.written() == [sent("alone")]
    ws.protocol.connection_lost(None)


async def test_corked_frames_are_written_in_the_next_iteration_and_at_64_kib() -> None:
    async def run(ws: Open) -> None:
        # While one task waits for a message, another may have more to send.
        waiting = asyncio.ensure_future(ws.receive())
        await asyncio.sleep(0)
        await ws.send(text="one")
        await ws.send(text="two")
        assert ws.written() == []
        await asyncio.sleep(0)
        assert ws.written() == [sent("one") + sent("two")]
        for _ in range(3):
            await ws.send(bytes=bytes(30 * KIB))
        assert ws.written() == [sent(bytes(30 * KIB)) * 3]
        # A pong is corked too, and a close frame writes everything.
        await ws.send(text="three")
        ws.protocol.data_received(frame(PING, b"?"))
        await ws.close(4000)
        assert ws.written() == [sent("three") + pong_frame(b"?") + b"\x88\x02\x0f\xa0"]
        waiting.cancel()

    await run_to_its_end(run)


async def test_a_full_transport_gets_the_latest_pong_when_it_has_written() -> None:
    ws = Open(_echo)
    await _until_idle()
    ws.protocol.pause_writing()
    ws.protocol.data_received(frame(PING, b"1") + frame(PING, b"2") + text("later"))
    await _until_idle()
    assert ws.written() == []
    ws.protocol.resume_writing()
    await _until_idle()
    assert ws.written() == [pong_frame(b"2"), sent("later")]
    ws.protocol.connection_lost(None)


async def test_a_handler_that_only_sends_lets_the_loop_go_on() -> None:
    iterations: list[int] = []

    async def run(ws: Open) -> None:
        async def count() -> None:
            while True:
                iterations.append(len(ws.transport.writes))
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        for _ in range(3500):
            await ws.send(text="")
        counting.cancel()

    await run_to_its_end(run)
    # An empty message counts 128 bytes, and an iteration has 128 KiB.
    assert iterations == [1025, 2050, 3075]


async def test_a_message_of_text_and_bytes_is_an_error() -> None:
    async def run(ws: Open) -> None:
        with pytest.raises(InvalidMessage):
            await ws.send(text="a", bytes=b"b")

    await run_to_its_end(run)
