"""The same through TLS, where no side can be closed by itself."""

import asyncio
import itertools
import json
import os
import socket
import ssl
from pathlib import Path

import pytest

from .conftest import Serve
from .peer import BINARY, NO_MASKING, PING, PONG, Frame, Peer, asking, close, frame, opened, text
from .samples import DEFLATE
from .served import KIB, MIB, Uvicorn


@pytest.fixture(params=["asyncio", "uvloop"])
def server(
    request: pytest.FixtureRequest, serve: Serve, certificate: tuple[Path, Path], tls: ssl.SSLContext
) -> Uvicorn:
    pytest.importorskip(request.param)
    file, key = certificate
    files = (f"--ssl-certfile={file}", f"--ssl-keyfile={key}")
    return serve(f"--loop={request.param}", *files, "--ws-ping-interval=0.5", "--ws-ping-timeout=0.5", tls=tls)


async def _noted(server: Uvicorn, peer: Peer, word: str) -> list[str]:
    """The handler's notes of a word, once there is one; the client of the probe's journal knows no certificate."""
    await server.until(lambda: bool(server.noted(peer.probe.id, word)))
    return server.noted(peer.probe.id, word)


async def test_messages_pings_and_the_closing_handshake(server: Uvicorn) -> None:
    async with opened(server, "echo", DEFLATE) as peer:
        peer.send(frame(PING, b"p"), *(text(str(number)) for number in range(100)))
        assert Frame(0x80 | PONG, b"p") in [await peer.frame() for _ in range(101)]
        peer.send(close(4000, "bye"))
        assert await peer.close_frame() == (4000, "bye")
        assert await peer.end() == "FIN"
        assert await _noted(server, peer, "told") == ["4000, 'bye'"]
    async with opened(server, "scope") as peer:
        assert json.loads(str(await peer.message()))["scheme"] == "wss"


async def test_large_messages(server: Uvicorn) -> None:
    data = bytes(range(256)) * 4 * KIB
    async with opened(server, "echo") as peer:
        for _ in range(3):
            peer.send(frame(BINARY, data))
            assert await peer.frame() == Frame(0x80 | BINARY, data)


async def test_the_application_s_close(server: Uvicorn) -> None:
    async with opened(server, "close", query={"count": 100, "code": 4001}) as peer:
        assert [await peer.message() for _ in range(100)] == [str(number) for number in range(100)]
        assert await peer.close_frame() == (4001, "")
        peer.send(close(4001))
        assert await peer.end() == "FIN"
        assert await _noted(server, peer, "end") == ["'returned',"]


async def test_a_denial_and_a_refusal(server: Uvicorn) -> None:
    async with asking(server, "deny", kind="bare") as peer:
        assert (await peer.head()).status == 401
        assert await peer.rest() == b"who are you?"
    async with asking(server, "echo", sec_websocket_key="x") as peer:
        assert (await peer.head()).status == 400
        await peer.rest()


async def test_a_bad_frame(server: Uvicorn) -> None:
    async with opened(server, "record") as peer:
        peer.send(text("one"), frame(0x3), bytes(100 * KIB))
        assert (await peer.close_frame())[0] == 1002
        assert await peer.end() in ("FIN", "RST")
        assert (await _noted(server, peer, "told"))[0].startswith("1002, ")
        assert server.noted(peer.probe.id, "received") == ["\"'one'\","]


async def test_an_end_without_a_close_frame(server: Uvicorn) -> None:
    for handler, how in itertools.product(("record", "talk", "flood_and_listen"), ("close_notify", "FIN", "RST")):
        async with opened(server, handler) as peer:
            await _noted(server, peer, "accepted")
            if how == "close_notify":
                peer.writer.close()
            else:
                peer.leave(how)
            await _noted(server, peer, "end")
            assert set(server.noted(peer.probe.id, "told")) <= {"1006, ''"}, (handler, how)


async def test_a_stalled_peer(server: Uvicorn) -> None:
    async with opened(server, "flood_and_listen", receive_buffer=4096) as peer:
        peer.stop_reading()
        assert await _noted(server, peer, "flood") == ["'OSError',"]


async def test_an_abort(server: Uvicorn) -> None:
    async with opened(server, "abort") as peer:
        peer.send(text("now"))
        assert await peer.end() == "RST"
        await _noted(server, peer, "end")
        assert server.noted(peer.probe.id, "told") == ["1006, ''"] * 2


async def test_what_nobody_receives_waits_on_the_wire(server: Uvicorn) -> None:
    message = frame(BINARY, bytes(64 * KIB), mask=NO_MASKING)
    async with opened(server, "deaf") as peer:
        before = server.held_bytes()
        sent = 0
        while await peer.push(message * 16, seconds=0.3):
            sent += 1
            assert sent < 64, "64 MiB are taken, and nobody receives them"
        assert server.held_bytes() - before < 8 * MIB


async def test_a_client_that_ends_while_its_messages_are_unread_is_gone_at_once_and_no_write_complains(
    server: Uvicorn,
) -> None:
    """asyncio's and uvloop's TLS transports do not notice the end while they do not read, and log each write."""
    async with opened(server, "talk") as peer:
        await server.until(lambda: bool(server.noted(peer.probe.id, "accepted")))
        sock: socket.socket = peer.writer.get_extra_info("socket")
        # More than is held before the transport pauses, and less than the kernel takes beside that.
        peer.send(frame(BINARY, bytes(60 * KIB), mask=NO_MASKING) * 6)
        await peer.writer.drain()
        while peer.writer.transport.get_write_buffer_size():
            await asyncio.sleep(0.01)
        with socket.socket(fileno=os.dup(sock.fileno())) as same:
            same.shutdown(socket.SHUT_WR)
        assert await _noted(server, peer, "end")
