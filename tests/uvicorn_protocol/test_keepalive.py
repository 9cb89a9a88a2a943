"""Keep-alive: pings of the server, and what becomes of a peer that does not answer them.

When each thing happens is tested with a virtual clock, in `test_acknowledged`. Here a peer that answers has as long as
it wants, and of one that does not only the end is waited for.
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
    """Pings often. A pong is what makes it ping again."""
    return serve("--ws-ping-interval=0.2", "--ws-ping-timeout=600")


@pytest.fixture
def pinging(serve: Serve) -> Uvicorn:
    return serve("--ws-ping-interval=0.4", "--ws-ping-timeout=1.0")


async def _ping(peer: Peer) -> bytes:
    got = await peer.frame()
    assert got.first == 0x80 | PING
    return got.payload


async def _answer_pings(peer: Peer) -> None:
    while True:
        got = await peer.frame()
        if got.opcode == PING:
            peer.send(frame(PONG, got.payload))


async def test_each_ping_has_a_payload_of_its_own(patient: Uvicorn) -> None:
    """A pong that was sent before the ping cannot answer it."""
    payloads = set()
    async with opened(patient, "record") as peer, opened(patient, "record") as other:
        for each in (peer, other, peer):
            payload = await _ping(each)
            assert 4 <= len(payload) <= 125
            payloads.add(payload)
            each.send(frame(PONG, payload))
    assert len(payloads) == 3


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
        messages, _, _ = (await peer.notes())["counted"][0]
    assert messages == count


async def test_while_nobody_receives_a_pong_may_be_late(pinging: Uvicorn) -> None:
    """It waits behind messages that the server itself does not read, which says nothing about the peer."""
    async with opened(pinging, "count", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        sent = 0
        while await peer.push(frame(BINARY, bytes(65536), mask=NO_MASK), seconds=0.2):
            sent += 1
            assert sent < 1000
        answering = asyncio.create_task(_answer_pings(peer))
        # Until a pong is overdue.
        await asyncio.sleep(2)
        await peer.go()
        peer.send(close())
        messages, _, _ = (await peer.notes())["counted"][0]
        answering.cancel()
    assert messages == sent + 1


async def _is_silent(_peer: Peer) -> None:
    pass


def _answers(answer: bytes) -> Callable[[Peer], Awaitable[None]]:
    async def act(peer: Peer) -> None:
        await _ping(peer)
        peer.send(answer)

    return act


async def _answers_twice(peer: Peer) -> None:
    first = await _ping(peer)
    peer.send(frame(PONG, first))
    await _ping(peer)
    peer.send(frame(PONG, first))


async def _talks(peer: Peer) -> None:
    """Whoever answers no ping for so long does not read."""
    while True:
        peer.send(text("x"))
        await asyncio.sleep(0.05)


NO_ANSWERS: Final[dict[str, Callable[[Peer], Awaitable[None]]]] = {
    "nothing": _is_silent,
    "an empty pong": _answers(frame(PONG)),
    "a pong with another payload": _answers(frame(PONG, b"?")),
    "a ping": _answers(frame(PING, b"?")),
    "a pong to an earlier ping": _answers_twice,
    "messages only": _talks,
}


async def test_a_peer_that_does_not_answer_is_gone_and_its_handler_told_the_same_again(pinging: Uvicorn) -> None:
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


async def test_a_stalled_peer_is_gone_though_the_ping_never_left(pinging: Uvicorn) -> None:
    """The write buffer is full, and the ping waits behind it."""
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
    """One that vanishes answers nothing, and ends nothing."""
    async with opened(pinging, "deaf") as peer:
        for _ in range(count):
            peer.send(text("x" * 100))
            # In a read of its own.
            await asyncio.sleep(0)
        assert await peer.close_frame() == (1011, "keepalive ping timeout")


async def test_nobody_is_pinged_where_the_interval_is_zero(serve: Serve) -> None:
    async with opened(serve("--ws-ping-interval=0"), "echo") as peer:
        with pytest.raises(TimeoutError):
            await peer.frame(seconds=0.5)
        peer.send(text("x"))
        assert await peer.message() == "x"
