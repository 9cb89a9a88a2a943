"""Clients that do not read: the bytes that are written before a send waits, and the order of messages afterwards."""

import ssl
from functools import partial
from typing import Final

import pytest

from asgi_ws.sizes import KIB, MIB
from tests.servers.client import Probe

from .conftest import Serve
from .peer import Peer, asking, dialled, opened, request
from .probe import LARGE
from .served import HAS_PEAK, PATIENT, Uvicorn

_SIZE: Final = 64 * KIB
_MANY: Final = {"count": 300, "size": _SIZE}
# More messages than the system's own buffers of a connection take, and far fewer than are sent.
_TAKEN: Final = 160


@pytest.fixture
def pressed(serve: Serve) -> Uvicorn:
    return serve(ws=PATIENT)


def _has_responded(server: Uvicorn, probe: Probe, times: int) -> bool:
    return len(server.noted(probe.id, "responded")) == times


async def _taken(peer: Peer) -> int:
    """Return how many messages were taken at once, from the log."""
    process = peer.probe.process
    assert isinstance(process, Uvicorn)
    await process.until(lambda: bool(process.noted(peer.probe.id, "taken")))
    return int(process.noted(peer.probe.id, "taken")[0].rstrip(","))


async def _numbers(peer: Peer, count: int) -> list[int]:
    return [int.from_bytes((await peer.frame()).payload[:4]) for _ in range(count)]


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("core", ["--loop=asyncio --http=h11", "--loop=uvloop --http=httptools"])
async def test_an_upgrade_behind_an_unread_response_waits_for_it(
    serve: Serve, tls: ssl.SSLContext, tls_options: list[str], core: str, is_tls: bool
) -> None:
    server = serve(*core.split(), *(tls_options if is_tls else ()), ws=PATIENT, tls=tls if is_tls else None)
    # The TLS layer has its own buffer in front of the transport's.
    responses = 2 if is_tls else 1
    probe = Probe(server, "storm")
    async with dialled(server, probe=probe, receive_buffer=4096) as peer:
        peer.stop_reading()
        for number in range(1, responses + 1):
            peer.send(b"GET /large?%b HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" % probe.id.encode())
            await server.until(partial(_has_responded, server, probe, number))
        peer.send(request(probe, query={"count": 20, "size": _SIZE}))
        assert await _taken(peer) == 0
        peer.go_on_reading()
        for _ in range(responses):
            await peer.head()
            await peer.reader.readexactly(LARGE)
        assert (await peer.head()).status == 101
        assert await _numbers(peer, 20) == list(range(20))
        assert await peer.close_frame() == (4000, "")


@pytest.mark.parametrize(
    ("count", "size", "taken", "held"),
    [
        pytest.param(1000, _SIZE, range(_TAKEN), 4 * MIB, id="a thousand sends fill the transport once"),
        # The text, and the frame in the transport.
        pytest.param(16, 4 * MIB, range(1, 2), 12 * MIB, id="a send that waits does not copy its text"),
    ],
)
async def test_sends_that_wait_hold_little_memory(
    pressed: Uvicorn, count: int, size: int, taken: range, held: int
) -> None:
    async with opened(pressed, "same", query={"count": count, "size": size}, receive_buffer=4096) as peer:
        peer.stop_reading()
        before = pressed.held_bytes()
        assert await _taken(peer) in taken
        if HAS_PEAK:
            assert pressed.held_bytes() - before < held


async def test_sends_that_wait_keep_their_order_also_when_some_are_cancelled(pressed: Uvicorn) -> None:
    async with opened(pressed, "storm", query={**_MANY, "give_up": 1}, receive_buffer=4096) as peer:
        peer.stop_reading()
        taken = await _taken(peer)
        peer.go_on_reading()
        cancelled = (await peer.notes(until="cancelled"))["cancelled"][0]
        left = [number for number in range(300) if number not in cancelled]
        assert await _numbers(peer, len(left)) == left
        assert await peer.close_frame() == (4000, "")
    assert cancelled[0] == taken


async def test_sends_that_wait_are_errors_once_the_client_has_left(pressed: Uvicorn) -> None:
    async with opened(pressed, "storm", query=_MANY, receive_buffer=4096) as peer:
        peer.stop_reading()
        await _taken(peer)
        peer.reset()
        assert (await peer.notes())["failed"] == ["OSError"]


async def test_a_close_comes_after_the_messages_that_wait_and_a_second_one_is_an_error(pressed: Uvicorn) -> None:
    async with opened(pressed, "close_last", query=_MANY, receive_buffer=4096) as peer:
        peer.stop_reading()
        await peer.notes(until="waits")
        peer.go_on_reading()
        assert await _numbers(peer, 300) == list(range(300))
        assert await peer.close_frame() == (4001, "")
        notes = await peer.notes()
    assert notes["results"] == [["NoneType"] * 301 + ["LifecycleError"] * 2]
    assert (notes["waits"], notes["bad"]) == ([True], [["ValueError", "InvalidCloseCode"]])


async def test_a_close_that_is_cancelled_while_it_waits_aborts_the_connection(pressed: Uvicorn) -> None:
    async with opened(pressed, "close_hastily", query=_MANY, receive_buffer=4096) as peer:
        peer.stop_reading()
        notes = await peer.notes()
    assert notes["last"] == [["CancelledError", "ClientDisconnected"]]
    assert notes["told"] == [[1006, ""]]


async def test_a_denial_in_pieces_waits_for_its_client(pressed: Uvicorn) -> None:
    async with asking(pressed, "deny_in_pieces", query=_MANY, receive_buffer=4096) as peer:
        peer.stop_reading()
        assert await _taken(peer) < _TAKEN
        peer.go_on_reading()
        assert (await peer.head()).status == 403
        assert len(await peer.rest()) > 300 * _SIZE
