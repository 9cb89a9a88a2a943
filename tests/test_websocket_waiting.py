"""wait_closed and until_closed: who neither sends nor receives learns of the end."""

import asyncio
from typing import Any

import pytest

from asgi_ws import (
    ConnectionClosed,
    LifecycleError,
    WebSocket,
    websocket_app,
)

from .conversation import Conversation, outcome, told, until


async def test_wait_closed_returns_when_the_peer_leaves_and_keeps_what_came_meanwhile() -> None:
    kept: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        assert ws.close_code == 1001
        kept.extend([await ws.receive(), await ws.receive_bytes()])
        assert told(await outcome(ws.receive())) == (1001, "")

    async with Conversation(handler) as peer:
        peer.text("one")
        peer.binary(b"two")
        peer.leave()
    assert kept == ["one", b"two"]
    assert peer.error is None


async def test_what_comes_past_the_bound_while_nobody_reads_is_dropped_and_counted() -> None:
    kept: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        kept.extend([message async for message in ws])

    async with Conversation(handler) as peer:
        peer.text("x" * 200_000)
        peer.text("y" * 100_000)
        for number in range(1025):
            peer.text(str(number))
        peer.leave()
    assert [len(message) for message in kept[:2]] == [200_000, 1]
    assert len(kept) == 1024
    assert handler.statistics().dropped_messages == 3


async def test_until_closed_ends_a_block_that_only_sends_when_the_peer_leaves() -> None:
    ticks = 0

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        nonlocal ticks
        await ws.accept()
        async with ws.until_closed():
            while True:
                await ws.send("tick")
                ticks += 1
                await asyncio.sleep(0)
        assert ws.close_code == 1001

    async with Conversation(handler) as peer:
        await peer.accepted()
        await peer.sent()
        peer.leave()
    assert ticks > 0
    assert peer.error is None


async def test_until_closed_ends_a_block_that_neither_sends_nor_receives() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with ws.until_closed():
            await asyncio.Event().wait()
        assert ws.closed

    async with Conversation(handler) as peer:
        await peer.accepted()
        peer.leave()
    assert peer.error is None


async def test_until_closed_ends_quietly_when_a_send_meets_the_end_first() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with ws.until_closed():
            peer.break_send(ConnectionResetError())
            await ws.send("x")

    peer = Conversation(handler)
    async with peer:
        pass
    assert peer.error is None


async def test_a_block_that_ends_by_itself_leaves_the_connection_open_and_the_messages_kept() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with ws.until_closed():
            await until(peer.everything_read)
        assert not ws.closed
        assert await ws.receive() == "kept"

    peer = Conversation(handler)
    async with peer:
        peer.text("kept")
        await peer.accepted()
        assert await peer.closed() == (1000, "")
    assert peer.error is None


@pytest.mark.parametrize("error", [ValueError("mine"), TimeoutError("mine"), ConnectionClosed(1000)])
async def test_an_exception_of_the_block_goes_through_until_closed(error: Exception) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with ws.until_closed():
            raise error

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert await peer.closed() == (1011, "")
    assert peer.error is error


async def test_until_closed_before_accept_is_refused() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        async with ws.until_closed():
            await asyncio.Event().wait()

    async with Conversation(handler) as peer:
        assert (await peer.denied())[0] == 500
    assert isinstance(peer.error, LifecycleError)


async def test_a_cancellation_from_outside_goes_through_until_closed() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with ws.until_closed():
            await asyncio.Event().wait()

    async with Conversation(handler) as peer:
        await peer.accepted()
        peer.task.cancel()
        assert (await peer.closed())[0] == 1012
    assert isinstance(peer.error, asyncio.CancelledError)


async def test_until_closed_is_quiet_about_a_group_of_nothing_but_the_end() -> None:
    after: list[str] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with ws.until_closed():
            peer.break_send(ConnectionResetError())
            async with asyncio.TaskGroup() as group:
                group.create_task(ws.send("a"))
                group.create_task(ws.send("b"))
        after.append("reached")

    peer = Conversation(handler)
    async with peer:
        pass
    assert after == ["reached"]
    assert peer.error is None
