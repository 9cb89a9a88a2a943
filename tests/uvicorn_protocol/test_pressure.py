"""Clients that do not read: how much is written to them all the same, and in which order they get it afterwards."""

import ssl
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from asgi_ws.sizes import KIB, MIB
from tests.servers.client import Probe

from .conftest import Serve
from .peer import Peer, asking, dialled, opened, request
from .probe import LARGE
from .served import HAS_PEAK, PATIENT, Uvicorn

_SIZE: Final = 64 * KIB
# More than the system's own buffers of a connection take, and far less than what is sent.
_TAKEN: Final = 160
# Each loop and each HTTP class, with and without TLS.
_CORES: Final = [
    ("--loop=asyncio --http=h11", False),
    ("--loop=uvloop --http=httptools", False),
    ("--loop=asyncio --http=httptools", True),
    ("--loop=uvloop --http=h11", True),
]


@pytest.fixture
def pressed(serve: Serve) -> Uvicorn:
    return serve(ws=PATIENT)


def _has_responded(probe: Probe, times: int) -> bool:
    return isinstance(probe.process, Uvicorn) and len(probe.process.noted(probe.id, "responded")) == times


async def _noted(peer: Peer, word: str) -> int:
    """The number that a handler noted, from the log."""
    process = peer.probe.process
    assert isinstance(process, Uvicorn)
    await process.until(lambda: bool(process.noted(peer.probe.id, word)))
    return int(process.noted(peer.probe.id, word)[0].rstrip(","))


@pytest.mark.parametrize(("core", "tls"), _CORES)
async def test_an_upgrade_behind_an_unread_response_waits_for_it(
    serve: Serve, certificate: tuple[Path, Path], core: str, tls: bool
) -> None:
    if tls:
        file, key = certificate
        context = ssl.create_default_context(cafile=file)
        files = (f"--ssl-certfile={file}", f"--ssl-keyfile={key}")
        server = serve(*core.split(), *files, ws=PATIENT, tls=context)
    else:
        server = serve(*core.split(), ws=PATIENT)
    # The layer of TLS has a buffer of its own, in front of the transport's.
    responses = 2 if tls else 1
    probe = Probe(server, "storm")
    async with dialled(server, probe=probe, receive_buffer=4096) as peer:
        peer.stop_reading()
        for number in range(1, responses + 1):
            peer.send(b"GET /large?%b HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" % probe.id.encode())
            await server.until(partial(_has_responded, probe, number))
        peer.send(request(probe, query={"count": 20, "size": _SIZE}))
        assert await _noted(peer, "taken") == 0
        peer.go_on_reading()
        for _ in range(responses):
            await peer.head()
            await peer.reader.readexactly(LARGE)
        assert (await peer.head()).status == 101
        got = [int.from_bytes((await peer.frame()).payload[:4]) for _ in range(20)]
        assert await peer.close_frame() == (4000, "")
    assert got == list(range(20))


async def test_a_thousand_sends_put_one_high_water_mark_into_the_transport(pressed: Uvicorn) -> None:
    async with opened(pressed, "same", query={"count": 1000, "size": _SIZE}, receive_buffer=4096) as peer:
        peer.stop_reading()
        before = pressed.held_bytes()
        assert await _noted(peer, "taken") < _TAKEN
        if HAS_PEAK:
            assert pressed.held_bytes() - before < 4 * MIB


async def test_a_send_that_waits_does_not_hold_its_text_a_second_time(pressed: Uvicorn) -> None:
    async with opened(pressed, "same", query={"count": 16, "size": 4 * MIB}, receive_buffer=4096) as peer:
        peer.stop_reading()
        before = pressed.held_bytes()
        assert await _noted(peer, "taken") == 1
        if HAS_PEAK:
            # The text, and the frame in the transport.
            assert pressed.held_bytes() - before < 12 * MIB


async def test_sends_that_wait_come_in_their_order_also_when_some_are_given_up(pressed: Uvicorn) -> None:
    query = {"count": 300, "size": _SIZE, "give_up": 1}
    async with opened(pressed, "storm", query=query, receive_buffer=4096) as peer:
        peer.stop_reading()
        taken = await _noted(peer, "taken")
        peer.go_on_reading()
        cancelled = (await peer.notes(until="cancelled"))["cancelled"][0]
        left = [number for number in range(300) if number not in cancelled]
        assert [int.from_bytes((await peer.frame()).payload[:4]) for _ in left] == left
        assert await peer.close_frame() == (4000, "")
    assert (taken, cancelled[0]) == (cancelled[0], taken)


async def test_sends_that_wait_are_errors_once_the_client_has_left(pressed: Uvicorn) -> None:
    query = {"count": 300, "size": _SIZE}
    async with opened(pressed, "storm", query=query, receive_buffer=4096) as peer:
        peer.stop_reading()
        await _noted(peer, "taken")
        peer.reset()
        assert (await peer.notes())["failed"] == ["OSError"]


async def test_a_close_comes_after_the_messages_that_wait_and_a_second_one_is_an_error(pressed: Uvicorn) -> None:
    query = {"count": 300, "size": _SIZE}
    async with opened(pressed, "close_last", query=query, receive_buffer=4096) as peer:
        peer.stop_reading()
        await peer.notes(until="waits")
        peer.go_on_reading()
        assert [int.from_bytes((await peer.frame()).payload[:4]) for _ in range(300)] == list(range(300))
        assert await peer.close_frame() == (4001, "")
        notes = await peer.notes()
    assert notes["results"] == [["NoneType"] * 301 + ["LifecycleError"] * 2]
    assert (notes["waits"], notes["bad"]) == ([True], [["ValueError", "InvalidCloseCode"]])


async def test_a_close_that_is_given_up_while_it_waits_drops_the_connection(pressed: Uvicorn) -> None:
    query = {"count": 300, "size": _SIZE}
    async with opened(pressed, "close_hastily", query=query, receive_buffer=4096) as peer:
        peer.stop_reading()
        notes = await peer.notes()
    assert notes["last"] == [["CancelledError", "ClientDisconnected"]]
    assert notes["told"] == [[1006, ""]]


async def test_a_denial_in_pieces_waits_for_its_client(pressed: Uvicorn) -> None:
    query = {"count": 300, "size": _SIZE}
    async with asking(pressed, "deny_in_pieces", query=query, receive_buffer=4096) as peer:
        peer.stop_reading()
        assert await _noted(peer, "taken") < _TAKEN
        peer.go_on_reading()
        assert (await peer.head()).status == 403
        assert len(await peer.rest()) > 300 * _SIZE
