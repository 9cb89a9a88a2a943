"""Requests on the connection before the handshake, and the state in which uvicorn's HTTP class leaves it."""

import pytest

from tests.servers.client import Probe
from tests.wire.streams import close

from .conftest import Serve
from .peer import Peer, dialled, opened, request, text
from .probe import LARGE

_HELLO = b"GET /hello HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


def _get(path: str, probe: Probe) -> bytes:
    return f"GET /{path}?{probe.id} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()


async def _echoes(peer: Peer) -> None:
    for number in range(3):
        peer.send(text(str(number)))
        assert await peer.message() == str(number)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_a_handshake_that_did_not_wait_for_a_response_is_not_answered(serve: Serve, loop: str) -> None:
    # The client could take the handshake's answer for the response, and the response for frames.
    server = serve(f"--loop={loop}", "--http=httptools")
    probe = Probe(server, "echo")
    async with dialled(server, _get("slow", probe), probe=probe) as peer:
        await peer.notes(until="asked")
        peer.send(request(probe), text("more"))
        await server.until(lambda: "the request before it is not answered yet" in "\n".join(server.lines()))
        peer.send(request(probe), text("more"))
        await peer.go()
        assert (await peer.head()).value("connection") == "close"
        assert await peer.reader.readexactly(4) == b"slow"
        assert await peer.end() == "FIN"


async def test_an_unanswered_request_is_notified_that_its_client_has_left(serve: Serve) -> None:
    server = serve("--http=httptools")
    probe = Probe(server, "echo")
    async with dialled(server, _get("slow", probe) + request(probe), probe=probe) as peer:
        await peer.notes(until="asked")
        peer.hang_up()
        assert (await peer.notes())["end"] == ["http.disconnect"]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_all_requests_that_came_in_one_read_with_a_handshake_are_answered(serve: Serve, loop: str) -> None:
    server = serve(f"--loop={loop}", "--http=httptools")
    probe = Probe(server, "echo")
    first = _get("slow", probe) + _get("large", probe) + _HELLO + request(probe)
    async with dialled(server, first, probe=probe, receive_buffer=4096) as peer:
        await peer.notes(until="asked")
        await peer.go()
        for size in (4, LARGE, len("Hello, World!")):
            assert (await peer.head()).status == 200
            await peer.reader.readexactly(size)
        assert await peer.end() == "FIN"


async def test_a_request_is_answered_before_a_handshake_in_the_same_read(serve: Serve) -> None:
    server = serve("--http=httptools")
    async with dialled(server, _HELLO + request(Probe(server, "echo"))) as peer:
        assert (await peer.head()).status == 200
        assert await peer.rest() == b"Hello, World!"


async def test_a_handshake_that_the_parser_held_back_is_answered_after_the_response(serve: Serve) -> None:
    # h11 holds it back. The HTTP class sets its keep-alive timer before it hands over, here for the next iteration.
    server = serve("--http=h11", "--timeout-keep-alive=0")
    probe = Probe(server, "echo")
    async with dialled(server, _get("slow", probe) + request(probe), probe=probe) as peer:
        await peer.notes(until="asked")
        await peer.go()
        assert (await peer.head()).status == 200
        assert await peer.reader.readexactly(4) == b"slow"
        assert (await peer.head()).status == 101
        await _echoes(peer)
        peer.send(close())
        assert await peer.close_frame() == (1000, "")


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_a_handshake_after_a_response_is_answered_and_one_in_an_older_http_refused(
    serve: Serve, http: str
) -> None:
    server = serve(f"--http={http}")
    probe = Probe(server, "echo")
    async with dialled(server, _HELLO, probe=probe) as peer:
        assert (await peer.head()).status == 200
        await peer.reader.readexactly(len("Hello, World!"))
        peer.send(request(probe))
        assert (await peer.head()).status == 101
        await _echoes(peer)
    for version in (b"0.9", b"1.0"):
        async with dialled(server, request(probe).replace(b"HTTP/1.1", b"HTTP/" + version, 1), probe=probe) as peer:
            assert (await peer.head()).status == 505
            assert await peer.rest() == b"a WebSocket handshake requires HTTP/1.1"


async def test_a_transport_that_does_not_read_and_is_about_to_be_closed_reads_and_stays_open(serve: Serve) -> None:
    server = serve("--http=tests.uvicorn_protocol.variants:PausingProtocol")
    async with opened(server, "echo") as peer:
        await _echoes(peer)
