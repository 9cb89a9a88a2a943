"""The same on each event loop, with eager tasks, below each of the HTTP classes of uvicorn, and with TLS."""

import asyncio
import itertools
import json
import os
import socket
import ssl
from typing import Any, Final

import pytest

from asgi_ws.sizes import KIB, MIB
from tests.servers.client import SECONDS
from tests.wire.streams import BINARY, CLOSE, NO_MASK, PING, PONG, close, frame

from .conftest import Serve, Start
from .peer import DEFLATE, Frame, asking, opened, text
from .served import Uvicorn

EAGER: Final = "tests.eager_tasks:new_event_loop"
CORES: Final = {
    "asyncio h11": ("asyncio", "h11", False),
    "uvloop httptools": ("uvloop", "httptools", False),
    "tasks begun at once": (EAGER, "httptools", False),
    "asyncio TLS": ("asyncio", "httptools", True),
    "uvloop TLS": ("uvloop", "h11", True),
}
_PINGS: Final = ("--ws-ping-interval=0.5", "--ws-ping-timeout=0.5")


@pytest.fixture(params=CORES)
def core(request: pytest.FixtureRequest, tls: ssl.SSLContext, tls_options: list[str]) -> dict[str, Any]:
    """Return the options of uvicorn and the TLS context of its clients."""
    loop, http, is_tls = CORES[request.param]
    for module in (loop.partition(":")[0], http):
        pytest.importorskip(module)
    options = [f"--loop={loop}", f"--http={http}", *(tls_options if is_tls else ())]
    return {"options": options, "tls": tls if is_tls else None}


@pytest.fixture
def server(serve: Serve, core: dict[str, Any]) -> Uvicorn:
    return serve(*core["options"], tls=core["tls"])


async def test_messages_pings_and_the_closing_handshake(server: Uvicorn) -> None:
    large = bytes(range(256)) * 4 * KIB
    async with opened(server, "echo", DEFLATE) as peer:
        peer.send(*(text(str(number)) for number in range(100)), frame(PING, b"p"), frame(BINARY, large))
        got = [await peer.frame() for _ in range(102)]
        assert Frame(0x80 | PONG, b"p") in got
        got.remove(Frame(0x80 | PONG, b"p"))
        assert [each.payload for each in got[:100]] == [str(number).encode() for number in range(100)]
        peer.send(close(4000, "bye"))
        assert await peer.frame() == Frame(0x80 | CLOSE, (4000).to_bytes(2) + b"bye")
        assert await peer.end() == "FIN"
        assert await peer.told() == [[4000, "bye"]]


async def test_the_application_s_close_comes_after_all_that_it_sent(server: Uvicorn) -> None:
    async with opened(server, "close", query={"count": 500, "code": 4001}) as peer:
        assert [await peer.message() for _ in range(500)] == [str(number) for number in range(500)]
        assert await peer.close_frame() == (4001, "")
        peer.send(close(4001))
        assert await peer.end() == "FIN"


async def test_a_denial_and_a_refusal(server: Uvicorn) -> None:
    async with asking(server, "deny", kind="bare") as peer:
        assert (await peer.head()).status == 401
        assert await peer.rest() == b"who are you?"
    async with asking(server, "echo", sec_websocket_key="x") as peer:
        assert (await peer.head()).status == 400
        await peer.rest()


async def test_the_scope(server: Uvicorn) -> None:
    async with opened(server, "scope", b"X-Probe: caf\xe9\r\n") as peer:
        scope = json.loads(str(await peer.message()))
    assert (scope["scheme"], scope["path"]) == ("ws" if server.tls is None else "wss", "/ws/scope")
    assert ["x-probe", "café"] in scope["headers"]
    assert scope["server"] == ["127.0.0.1", server.port]


async def test_an_end_without_a_close_frame(server: Uvicorn) -> None:
    half = "half-close" if server.tls is None else "close_notify"
    for handler, how in itertools.product(("record", "talk", "flood_and_listen"), ("FIN", half, "RST")):
        async with opened(server, handler) as peer:
            await peer.notes(until="accepted")
            if how == "close_notify":
                peer.writer.close()
            else:
                peer.leave(how)
            notes = await peer.notes()
        assert notes.get("told", [[1006, ""]])[0] == [1006, ""], (handler, how)


async def test_a_bad_frame(server: Uvicorn) -> None:
    async with opened(server, "record") as peer:
        peer.send(text("one"), frame(0x3), bytes(100 * KIB))
        assert (await peer.close_frame())[0] == 1002
        assert await peer.end() in (("FIN",) if server.tls is None else ("FIN", "RST"))
        notes = await peer.notes()
    assert (notes["received"], notes["told"][0][0]) == (["'one'"], 1002)


async def test_a_stalled_peer(serve: Serve, core: dict[str, Any]) -> None:
    server = serve(*core["options"], *_PINGS, tls=core["tls"])
    async with opened(server, "flood_and_listen", receive_buffer=4096) as peer:
        peer.stop_reading()
        assert (await peer.notes())["flood"] == ["OSError"]


async def test_messages_that_nobody_receives_wait_on_the_wire(server: Uvicorn) -> None:
    message = frame(BINARY, bytes(64 * KIB), mask=NO_MASK)
    async with opened(server, "count", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        before = server.held_bytes()
        sent = 0
        while await peer.push(message * 16, seconds=0.3):
            sent += 1
            assert sent < 64, "64 MiB are taken, and nobody receives them"
        assert server.held_bytes() - before < 8 * MIB
        await peer.go()
        peer.send(close())
        assert (await peer.notes())["counted"][0][:2] == [16 * (sent + 1), (sent + 1) * MIB]


async def test_an_abort(server: Uvicorn) -> None:
    async with opened(server, "abort") as peer:
        peer.send(text("now"))
        assert await peer.end() == "RST"
        assert await peer.told() == [[1006, ""]] * 2


@pytest.mark.parametrize("core", [name for name, (_, _, is_tls) in CORES.items() if is_tls], indirect=True)
async def test_a_client_that_ends_while_its_messages_are_unread_is_gone_at_once_and_no_write_complains(
    server: Uvicorn,
) -> None:
    # The TLS transports of asyncio and uvloop do not notice the end while they do not read, and log each write.
    async with opened(server, "talk") as peer:
        await peer.notes(until="accepted")
        sock: socket.socket = peer.writer.get_extra_info("socket")
        # More than the buffer holds before the transport pauses, and less than the kernel's buffers hold beside that.
        peer.send(frame(BINARY, bytes(60 * KIB), mask=NO_MASK) * 6)
        await peer.writer.drain()
        while peer.writer.transport.get_write_buffer_size():
            await asyncio.sleep(0.01)
        with socket.socket(fileno=os.dup(sock.fileno())) as same:
            same.shutdown(socket.SHUT_WR)
        await peer.notes()


async def test_sigterm(start: Start, core: dict[str, Any]) -> None:
    server = start(*core["options"], tls=core["tls"])
    async with opened(server, "clear_up") as peer:
        server.terminate()
        assert await peer.close_frame() == (1012, "")
        peer.send(close(1012))
        assert await asyncio.to_thread(server.wait, SECONDS)
    assert "told (1012, '')" in server.log()


# -- tasks that begin in create_task (asyncio.eager_task_factory)


@pytest.mark.handler_fails
async def test_an_eager_application_that_ends_without_a_wait_leaves_no_connection_behind(start: Start) -> None:
    server = start(f"--loop={EAGER}")
    for handler, status in (("raise", 500), ("return", 500), ("deny", 401), ("close", 101)):
        async with asking(server, f"{handler}_at_once") as peer:
            assert (await peer.head()).status == status
    server.terminate()
    assert await asyncio.to_thread(server.wait, SECONDS), server.log()


async def test_an_eager_application_that_sends_without_a_wait_waits_for_a_client_that_does_not_read(
    serve: Serve,
) -> None:
    server = serve(f"--loop={EAGER}", "--http=httptools")
    async with opened(server, "flood_at_once", receive_buffer=4096) as peer:
        peer.stop_reading()
        for _ in range(10):
            await server.settle()
        assert "second" not in await peer.notes(until="first")
