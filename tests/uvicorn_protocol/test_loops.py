"""The same on each event loop, with tasks that are begun at once, and below each of uvicorn's HTTP classes."""

import asyncio
import itertools
import json

import pytest

from tests.servers.client import SECONDS

from .conftest import Serve, Start
from .peer import BINARY, CLOSE, PING, PONG, Frame, asking, close, frame, opened, text
from .samples import DEFLATE
from .served import KIB, Uvicorn

EAGER = "tests.eager_tasks:new_event_loop"
# Each loop and each HTTP class once, and the loop that most servers run.
CORES = [("asyncio", "h11"), ("uvloop", "httptools"), (EAGER, "httptools")]


@pytest.fixture(params=CORES, ids=" ".join)
def core(request: pytest.FixtureRequest) -> tuple[str, str]:
    loop, http = request.param
    for module in (loop.partition(":")[0], http):
        pytest.importorskip(module)
    return f"--loop={loop}", f"--http={http}"


@pytest.fixture
def server(serve: Serve, core: tuple[str, str]) -> Uvicorn:
    return serve(*core, "--ws-ping-interval=0.5", "--ws-ping-timeout=0.5")


async def test_messages_pings_and_the_closing_handshake(server: Uvicorn) -> None:
    async with opened(server, "echo", DEFLATE) as peer:
        peer.send(*(text(str(number)) for number in range(100)), frame(PING, b"p"), frame(BINARY, bytes(range(256))))
        got = [await peer.frame() for _ in range(102)]
        assert Frame(0x80 | PONG, b"p") in got
        got.remove(Frame(0x80 | PONG, b"p"))
        assert [each.payload for each in got[:100]] == [str(number).encode() for number in range(100)]
        peer.send(close(4000, "bye"))
        assert await peer.frame() == Frame(0x80 | CLOSE, (4000).to_bytes(2) + b"bye")
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
    assert (scope["scheme"], scope["path"], scope["http_version"]) == ("ws", "/ws/scope", "1.1")
    assert ["x-probe", "café"] in scope["headers"]
    assert scope["server"] == ["127.0.0.1", server.port]


async def test_an_end_without_a_close_frame(server: Uvicorn) -> None:
    for handler, how in itertools.product(("record", "talk", "flood_and_listen"), ("FIN", "half-close", "RST")):
        async with opened(server, handler) as peer:
            await peer.notes(until="accepted")
            peer.leave(how)
            notes = await peer.notes()
        assert notes.get("told", [[1006, ""]])[0] == [1006, ""], (handler, how)


async def test_a_bad_frame(server: Uvicorn) -> None:
    async with opened(server, "record") as peer:
        peer.send(text("one"), frame(0x3), bytes(100 * KIB))
        assert (await peer.close_frame())[0] == 1002
        assert await peer.end() == "FIN"
        notes = await peer.notes()
    assert (notes["received"], notes["told"][0][0]) == (["'one'"], 1002)


async def test_a_stalled_peer(server: Uvicorn) -> None:
    async with opened(server, "flood_and_listen", receive_buffer=4096) as peer:
        peer.stop_reading()
        assert (await peer.notes())["flood"] == ["OSError"]


async def test_a_slow_handler(server: Uvicorn) -> None:
    async with opened(server, "count", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        peer.send(frame(BINARY, bytes(64 * KIB)) * 200, close())
        await peer.go()
        assert (await peer.notes())["counted"][0][:2] == [200, 200 * 64 * KIB]


async def test_an_abort(server: Uvicorn) -> None:
    async with opened(server, "abort") as peer:
        peer.send(text("now"))
        assert await peer.end() == "RST"
        assert await peer.told() == [[1006, ""]] * 2


async def test_sigterm(start: Start, core: tuple[str, str]) -> None:
    server = start(*core)
    async with opened(server, "clear_up") as peer:
        server.terminate()
        assert await peer.close_frame() == (1012, "")
        peer.send(close(1012))
        assert await asyncio.to_thread(server.wait, SECONDS)
    assert "told (1012, '')" in server.log()
