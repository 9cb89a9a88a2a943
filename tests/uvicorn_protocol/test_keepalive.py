"""Keep-alive: pings of the server, and what becomes of a peer that does not answer them."""

import asyncio
import time
from typing import Final

import pytest

from .conftest import Serve
from .peer import BINARY, NO_MASKING, PING, PONG, Peer, frame, opened, text
from .served import Uvicorn

_INTERVAL: Final = 0.4
_TIMEOUT: Final = 0.4
# By when a peer that does not answer has to be gone.
_LIMIT: Final = _INTERVAL + _TIMEOUT + 1


@pytest.fixture
def pinging(serve: Serve) -> Uvicorn:
    return serve(f"--ws-ping-interval={_INTERVAL}", f"--ws-ping-timeout={_TIMEOUT}")


async def _ping(peer: Peer) -> bytes:
    got = await peer.frame(seconds=_LIMIT)
    assert got.first == 0x80 | PING
    return got.payload


async def test_each_ping_has_a_payload_of_its_own(pinging: Uvicorn) -> None:
    """A pong that was sent before the ping cannot answer it."""
    payloads = set()
    async with opened(pinging, "record") as peer, opened(pinging, "record") as other:
        for each in (peer, other, peer):
            payload = await _ping(each)
            assert 4 <= len(payload) <= 125
            payloads.add(payload)
            each.send(frame(PONG, payload))
    assert len(payloads) == 3


@pytest.mark.parametrize("handler", ["record", "deaf"])
async def test_a_peer_that_answers_stays(pinging: Uvicorn, handler: str) -> None:
    async with opened(pinging, handler) as peer:
        for _ in range(4):
            peer.send(frame(PONG, await _ping(peer)))
        peer.send(frame(PING, b"still here?"))
        assert (await peer.frame()).payload == b"still here?"


async def test_a_peer_that_sends_messages_only_is_gone(pinging: Uvicorn) -> None:
    """Whoever answers no ping for so long does not read."""
    async with opened(pinging, "count") as peer:
        talking = asyncio.create_task(_talk(peer))
        assert (await peer.notes(seconds=_LIMIT))["end"] == ["returned"]
        talking.cancel()


async def _talk(peer: Peer) -> None:
    while True:
        peer.send(text("x"))
        await asyncio.sleep(0.05)


async def _gone(peer: Peer, began: float) -> list[list[object]]:
    """What the handler of a peer that is gone in time was told."""
    told = (await peer.notes(until="told", seconds=_LIMIT))["told"]
    assert time.monotonic() - began < _LIMIT
    return told


async def test_a_silent_peer_is_gone_in_time_and_its_handler_told(pinging: Uvicorn) -> None:
    async with opened(pinging, "record") as peer:
        told = await _gone(peer, time.monotonic())
        code, _ = await peer.close_frame(seconds=1)
    assert told[0][0] in (1006, 1011)
    assert code in (1006, 1011)


async def test_a_silent_peer_s_end_is_the_same_later(pinging: Uvicorn) -> None:
    async with opened(pinging, "record", query={"again": 1}) as peer:
        await _gone(peer, time.monotonic())
        peer.hang_up()
        await pinging.settle()
        await peer.go()
        told = await peer.told()
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("answer", [frame(PONG), frame(PONG, b"?"), frame(PING, b"?")])
async def test_a_pong_without_the_ping_s_payload_is_no_answer(pinging: Uvicorn, answer: bytes) -> None:
    async with opened(pinging, "record") as peer:
        began = time.monotonic()
        await _ping(peer)
        peer.send(answer)
        await _gone(peer, began)


async def test_a_pong_to_an_earlier_ping_is_no_answer(pinging: Uvicorn) -> None:
    async with opened(pinging, "record") as peer:
        first = await _ping(peer)
        peer.send(frame(PONG, first))
        began = time.monotonic()
        await _ping(peer)
        peer.send(frame(PONG, first))
        await _gone(peer, began)


async def test_a_stalled_peer_is_gone_in_time_though_the_ping_never_left(pinging: Uvicorn) -> None:
    """The write buffer is full, and the ping waits behind it."""
    async with opened(pinging, "flood_and_listen", receive_buffer=4096) as peer:
        peer.stop_reading()
        files = pinging.open_files()
        told = await _gone(peer, time.monotonic())
        notes = await peer.notes(seconds=1)
        await pinging.until(lambda: pinging.open_files() < files, seconds=1)
    assert told[0][0] in (1006, 1011)
    assert notes["flood"] == ["OSError"]


async def test_a_stalled_peer_frees_a_handler_that_only_sends(pinging: Uvicorn) -> None:
    async with opened(pinging, "flood", receive_buffer=4096) as peer:
        peer.stop_reading()
        assert (await peer.notes(seconds=_LIMIT))["end"] == ["OSError"]


async def test_a_stalled_peer_whose_handler_does_nothing_lets_go_of_its_socket(pinging: Uvicorn) -> None:
    async with opened(pinging, "deaf") as peer:
        peer.stop_reading()
        files = pinging.open_files()
        await pinging.until(lambda: pinging.open_files() < files, seconds=_LIMIT)


async def test_while_nobody_receives_a_pong_may_be_late(pinging: Uvicorn) -> None:
    """It waits behind messages that the server itself does not read, which says nothing about the peer."""
    async with opened(pinging, "count", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        pushed = frame(BINARY, bytes(65536), mask=NO_MASKING)
        sent = 0
        while await peer.push(pushed, seconds=0.2):
            sent += 1
            assert sent < 1000
        answering = asyncio.create_task(_answer_pings(peer))
        await asyncio.sleep(2 * _LIMIT)
        await peer.go()
        peer.send(frame(0x8, b"\x03\xe8"))
        messages, _, _ = (await peer.notes())["counted"][0]
        answering.cancel()
    assert messages == sent + 1


@pytest.mark.parametrize("count", [1, 40, 300])
async def test_a_peer_that_vanishes_is_gone_though_its_messages_are_unread(pinging: Uvicorn, count: int) -> None:
    """One that vanishes answers nothing, and ends nothing."""
    async with opened(pinging, "greet") as peer:
        assert await peer.message() == "hello"
        for _ in range(count):
            peer.send(text("x" * 100))
            # In a read of its own.
            await asyncio.sleep(0)
        code, reason = await peer.close_frame(seconds=10)
    assert (code, reason) == (1011, "keepalive ping timeout")


@pytest.mark.parametrize("count", [40, 300])
async def test_a_peer_that_answers_stays_though_its_messages_are_unread(pinging: Uvicorn, count: int) -> None:
    async with opened(pinging, "count", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        peer.send(*[text("x" * 100)] * count)
        for _ in range(4):
            peer.send(frame(PONG, await _ping(peer)))
        await peer.go()
        peer.send(frame(0x8, b"\x03\xe8"))
        messages, _, _ = (await peer.notes())["counted"][0]
    assert messages == count


async def _answer_pings(peer: Peer) -> None:
    while True:
        got = await peer.frame(seconds=10)
        if got.opcode == PING:
            peer.send(frame(PONG, got.payload))


async def test_a_stalled_peer_of_a_room_is_gone_and_the_others_get_everything(pinging: Uvicorn) -> None:
    async with (
        opened(pinging, "room", receive_buffer=4096) as stalled,
        opened(pinging, "room", query={"count": 100}) as first,
        opened(pinging, "room") as second,
    ):
        for each in (stalled, first, second):
            await each.notes(until="joined")
        stalled.stop_reading()
        began = time.monotonic()
        first.send(text("all"))
        got = await asyncio.gather(*(_messages(each, 100) for each in (first, second)))
        assert time.monotonic() - began < _LIMIT + 2
        assert (await stalled.notes(seconds=_LIMIT))["told"][0][0] in (1006, 1011)
    assert got == [[f"all {number}" for number in range(100)]] * 2


async def _messages(peer: Peer, wanted: int) -> list[str]:
    got: list[str] = []
    while len(got) < wanted:
        found = await peer.frame()
        if found.opcode == PING:
            peer.send(frame(PONG, found.payload))
        else:
            got.append(found.payload.partition(b" x")[0].decode())
    return got


async def test_nobody_is_pinged_where_the_interval_is_zero(serve: Serve) -> None:
    async with opened(serve("--ws-ping-interval=0"), "echo") as peer:
        with pytest.raises(TimeoutError):
            await peer.frame(seconds=0.5)
        peer.send(text("x"))
        assert await peer.message() == "x"
