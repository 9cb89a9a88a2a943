"""Bounds of one connection for any data: memory, files and tasks."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

import pytest

from asgi_ws.sizes import KIB, MIB
from tests.wire.streams import BINARY, CONT, NO_MASK, PING, RSV1, TEXT, bomb, close, frame

from .peer import DEFLATE, opened
from .served import HAS_PEAK, Uvicorn

pytestmark = pytest.mark.skipif(not HAS_PEAK, reason="the most memory that a process held can be read on Linux only")

# The memory that a connection may hold beside a message of the largest size, and when it is idle again.
_HELD: Final = 4 * MIB
_KEPT: Final = 64 * KIB
_LARGEST: Final = 16 * MIB


@pytest.fixture
async def warm(server: Uvicorn) -> Uvicorn:
    """Return a server after its one-time imports and allocations."""
    for _ in range(2):
        async with opened(server, "echo", DEFLATE) as peer:
            peer.send(frame(BINARY, bytes(MIB), mask=NO_MASK))
            await peer.frame()
            peer.send(close())
            await peer.close_frame()
    await server.settle()
    return server


async def test_the_bound_on_fragments_is_an_attribute_that_a_subclass_may_change(hasty: Uvicorn) -> None:
    async with opened(hasty, "record") as peer:
        peer.send(frame(TEXT, b"a", fin=False), frame(CONT, b"a", fin=False) * 998, frame(CONT, b"a"))
        peer.send(frame(TEXT, b"b", fin=False), frame(CONT, b"b", fin=False) * 1000)
        assert (await peer.close_frame())[0] == 1009
        assert (await peer.notes())["received"] == ["str of 1000"]


async def test_a_bomb_of_a_gibibyte_is_refused_while_it_inflates(warm: Uvicorn) -> None:
    before = warm.forget_peak()
    async with opened(warm, "record", DEFLATE) as peer:
        peer.send(frame(BINARY, bomb(1024), rsv=RSV1, mask=NO_MASK))
        assert (await peer.close_frame())[0] == 1009
        assert [told[0] for told in await peer.told()] == [1009] * 3
    assert warm.peak_bytes() - before < _LARGEST + _HELD


async def test_legal_bombs_wait_on_the_wire_while_nobody_receives(warm: Uvicorn) -> None:
    before = warm.forget_peak()
    async with opened(warm, "count", DEFLATE, query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        peer.send(frame(BINARY, bomb(15), rsv=RSV1, mask=NO_MASK) * 10, close())
        await peer.push(b"")
        await asyncio.sleep(0.5)
        assert warm.peak_bytes() - before < _LARGEST + _HELD
        await peer.go()
        messages, length, _ = (await peer.notes())["counted"][0]
    assert (messages, length) == (10, 150 * MIB)
    # The handler holds one message while the next is joined from its pieces.
    assert warm.peak_bytes() - before < 3 * _LARGEST + _HELD


@pytest.mark.parametrize("size", [200, 512 * KIB])
async def test_messages_wait_on_the_wire_while_nobody_receives(warm: Uvicorn, size: int) -> None:
    # Neither many small messages nor few large ones are held in memory.
    before = warm.forget_peak()
    async with opened(warm, "count", query={"gate": 1}) as peer:
        await peer.notes(until="ready")
        together = MIB // (size + 6)
        messages = frame(BINARY, bytes(size), mask=NO_MASK) * together
        sent = together
        while await peer.push(messages, seconds=0.3):
            sent += together
            assert sent < 64 * together, "64 MiB are taken, and nobody receives them"
        assert warm.peak_bytes() - before < _HELD
        await peer.go()
        peer.send(close())
        received, length, _ = (await peer.notes())["counted"][0]
    assert (received, length) == (sent, sent * size)


async def test_pings_of_a_client_that_never_reads_are_held_by_nobody(warm: Uvicorn) -> None:
    before = warm.forget_peak()
    async with opened(warm, "record", receive_buffer=4096) as peer:
        peer.stop_reading()
        pings = b"".join(frame(PING, number.to_bytes(4) + bytes(121)) for number in range(750))
        for _ in range(1000):
            if not await peer.push(pings, seconds=1):
                break
        assert warm.peak_bytes() - before < 2 * MIB


async def test_a_client_that_never_reads_makes_send_wait(warm: Uvicorn) -> None:
    before = warm.forget_peak()
    async with opened(warm, "flood", query={"count": 1000}, receive_buffer=4096) as peer:
        peer.stop_reading()
        await peer.notes(until="accepted")
        await asyncio.sleep(0.5)
        assert warm.peak_bytes() - before < _HELD
        peer.go_on_reading()
        got = [int.from_bytes((await peer.frame()).payload[:4]) for _ in range(1000)]
        assert await peer.close_frame() == (1000, "")
    assert got == list(range(1000))


async def test_a_large_message_leaves_nothing_behind(warm: Uvicorn) -> None:
    opcodes = [BINARY, *[CONT] * 63]
    data = [frame(code, bytes(MIB // 8), fin=False, mask=NO_MASK) for code in opcodes] + [frame(CONT)]
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(opened(warm, "count")) for _ in range(20)]
        await warm.settle()
        before = warm.held_bytes()
        for peer in peers:
            peer.send(*data, frame(PING, b"read?"))
            assert (await peer.frame()).payload == b"read?"
        await warm.settle()
        assert (warm.held_bytes() - before) / len(peers) < _KEPT
