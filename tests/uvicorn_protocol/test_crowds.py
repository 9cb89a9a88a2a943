"""Connections that end in every way leave no tasks, files or memory behind."""

import asyncio
from collections.abc import Callable
from typing import Final

from asgi_ws.sizes import MIB
from tests.servers.client import SECONDS
from tests.wire.streams import BINARY, CONT, close, frame

from .peer import Peer, opened, text
from .served import Uvicorn


def _close(peer: Peer) -> None:
    peer.send(close())


def _break(peer: Peer) -> None:
    peer.send(frame(0x3))


def _leave_unsaid(peer: Peer) -> None:
    peer.send(frame(BINARY, bytes(100), fin=False), frame(CONT, bytes(100))[:50])
    peer.hang_up()


_ENDS: Final[tuple[Callable[[Peer], None], ...]] = (
    _close,
    _break,
    _leave_unsaid,
    Peer.reset,
    Peer.hang_up,
    Peer.finish,
)


async def _end_in_every_way(server: Uvicorn) -> None:
    async def one(handler: str, end: Callable[[Peer], None]) -> None:
        async with opened(server, handler, receive_buffer=4096) as peer:
            peer.send(text("x"))
            peer.stop_reading()
            end(peer)
            await peer.notes()

    async with asyncio.TaskGroup() as group:
        for handler in ("echo", "record", "flood_and_listen", "talk"):
            for end in _ENDS:
                group.create_task(one(handler, end))


async def test_nothing_is_left_of_connections_that_ended_in_every_way(hasty: Uvicorn) -> None:
    await _end_in_every_way(hasty)
    tasks, files = await _settled(hasty)
    held = hasty.held_bytes()
    for _ in range(3):
        await _end_in_every_way(hasty)
    assert await _settled(hasty) == (tasks, files)
    assert hasty.held_bytes() - held < max(held // 20, 2 * MIB)


async def _settled(server: Uvicorn) -> tuple[int, int]:
    """Return the lowest counts of tasks and open files within 1.5 s, so that an ending request does not count."""
    found = await server.tasks(), server.open_files()
    async with asyncio.timeout(2 * SECONDS):
        for _ in range(15):
            await asyncio.sleep(0.1)
            now = await server.tasks(), server.open_files()
            found = min(found, now)
    return found
