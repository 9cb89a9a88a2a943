"""Keep-alive on the wire: the pings of the server, and the end of a peer that does not answer them.

`test_acknowledged` tests the times with a virtual clock. Here a peer that answers has as long as it wants.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from tests.wire.streams import BINARY, NO_MASK, PING, PONG, close, frame

from .conftest import Serve
from .peer import Peer, opened, text
from .served import Uvicorn


@pytest.fixture
def patient(serve: Serve) -> Uvicorn:
    """Start a server that pings often and waits long for a pong."""
    return serve("--ws-ping-interval=0.2", "--ws-ping-timeout=600")


@pytest.fixture
def pinging(serve: Serve) -> Uvicorn:
    return serve("--ws-ping-interval=0.4", "--ws-ping-timeout=1.0")


async def _ping(peer: Peer) -> bytes:
    got = await peer.frame()
    assert got.first == 0x80 | PING
    return got.payload


@pytest.mark.parametrize("handler", ["record", "deaf"])
async def test_a_peer_that_answers_stays(patient: Uvicorn, handler: str) -> None:
    async with opened(patient, handler) as peer:
        for _ in range(4):
            peer.send(frame(PONG, await _ping(peer)))
        peer.send(frame(PING, b"still here?"))
        assert (await peer.frame()).payload == b"still here?"


@pytest.mark.parametrize("count", [40, 300])
async def test_a_peer_that_answers_stays_though_its_messages_are_unread(patient: Uvicorn, count: int) -> None:
    async with opened(patient, "count", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        peer.send(*[text("x" * 100)] * count)
        for _ in range(4):
            peer.send(frame(PONG, await _ping(peer)))
        await peer.go()
        peer.send(close())
        assert (await peer.notes())["counted"][0][0] == count


async def test_a_pong_behind_messages_that_nobody_receives_may_be_late(pinging: Uvicorn) -> None:
    async def answer_pings(peer: Peer) -> None:
        while True:
            got = await peer.frame()
            if got.opcode == PING:
                peer.send(frame(PONG, got.payload))

    async with opened(pinging, "count", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        sent = 0
        while await peer.push(frame(BINARY, bytes(65536), mask=NO_MASK), seconds=0.2):
            sent += 1
            assert sent < 1000
        answering = asyncio.create_task(answer_pings(peer))
        # Until a pong is overdue.
        await asyncio.sleep(2)
        await peer.go()
        peer.send(close())
        assert (await peer.notes())["counted"][0][0] == sent + 1
        answering.cancel()


async def _is_silent(_peer: Peer) -> None:
    pass


async def _pongs_emptily(peer: Peer) -> None:
    await _ping(peer)
    peer.send(frame(PONG))


async def _pings(peer: Peer) -> None:
    await _ping(peer)
    peer.send(frame(PING, b"?"))


async def _talks(peer: Peer) -> None:
    while True:
        peer.send(text("x"))
        await asyncio.sleep(0.05)


NO_ANSWERS: Final[dict[str, Callable[[Peer], Awaitable[None]]]] = {
    "nothing": _is_silent,
    "an empty pong": _pongs_emptily,
    "a ping": _pings,
    "messages only": _talks,
}


async def test_a_peer_that_does_not_answer_is_gone_and_its_handler_receives_the_same_end_again(
    pinging: Uvicorn,
) -> None:
    async def end(act: Callable[[Peer], Awaitable[None]]) -> list[list[Any]]:
        async with opened(pinging, "record", query={"again": 1}) as peer:
            acting = asyncio.ensure_future(act(peer))
            await peer.notes(until="told")
            acting.cancel()
            peer.hang_up()
            await peer.go()
            return await peer.told()

    ends = await asyncio.gather(*map(end, NO_ANSWERS.values()))
    assert dict(zip(NO_ANSWERS, ends, strict=True)) == dict.fromkeys(NO_ANSWERS, [[1006, "keepalive ping timeout"]] * 3)


async def test_a_stalled_peer_is_gone_though_the_ping_waits_behind_a_full_buffer(pinging: Uvicorn) -> None:
    files = pinging.open_files()
    async with (
        opened(pinging, "flood_and_listen", receive_buffer=4096) as listened,
        opened(pinging, "flood", receive_buffer=4096) as flooded,
        opened(pinging, "deaf") as deaf,
    ):
        for peer in (listened, flooded, deaf):
            peer.stop_reading()
        assert (await flooded.notes())["end"] == ["OSError"]
        notes = await listened.notes()
        assert (notes["told"][0][0], notes["flood"]) == (1006, ["OSError"])
        await pinging.until(lambda: pinging.open_files() <= files)


@pytest.mark.parametrize("count", [1, 40, 300])
async def test_a_peer_that_vanishes_is_gone_though_its_messages_are_unread(pinging: Uvicorn, count: int) -> None:
    async with opened(pinging, "deaf") as peer:
        for _ in range(count):
            peer.send(text("x" * 100))
            # In a separate read.
            await asyncio.sleep(0)
        assert await peer.close_frame() == (1011, "keepalive ping timeout")


async def test_no_pings_are_sent_where_the_interval_is_zero(serve: Serve) -> None:
    async with opened(serve("--ws-ping-interval=0"), "echo") as peer:
        with pytest.raises(TimeoutError):
            await peer.frame(seconds=0.5)
        peer.send(text("x"))
        assert await peer.message() == "x"


async def test_without_a_time_for_the_pong_silence_is_not_an_end(serve: Serve) -> None:
    async with opened(serve("--ws-ping-interval=0.2", "--ws-ping-timeout=0"), "record") as peer:
        payloads = [await _ping(peer) for _ in range(3)]
        peer.send(frame(PONG, payloads[-1]), frame(PING, b"still here?"))
        frames = [await peer.frame() for _ in range(2)]
    assert len(set(payloads)) == 3
    assert b"still here?" in [each.payload for each in frames]
