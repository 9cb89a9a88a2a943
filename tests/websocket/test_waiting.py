"""wait_closed and until_closed: the end reaches a task that neither sends nor receives."""

import asyncio
from typing import Any

import pytest

from asgi_ws import ConnectionClosed, LifecycleError, WebSocket, websocket_app
from asgi_ws.testing import WebSocketCommunicator

from ..outcomes import outcome, refusal, told, until

pytestmark = pytest.mark.usefixtures("each_task_start")


async def test_wait_closed_returns_when_the_peer_leaves_and_keeps_what_came_meanwhile() -> None:
    kept: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        assert ws.close_code == 1001
        kept.extend([await ws.receive(), await ws.receive_bytes()])
        assert told(await outcome(ws.receive())) == (1001, "")

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.send("one")
        await peer.send(b"two")
        await peer.close(1001)
    assert kept == ["one", b"two"]


async def test_what_comes_past_the_bound_while_nobody_reads_is_dropped_and_counted() -> None:
    kept: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        kept.extend([message async for message in ws])

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.send("x" * 200_000)
        await peer.send("y" * 100_000)
        for number in range(1025):
            await peer.send(str(number))
    assert [len(message) for message in kept[:2]] == [200_000, 1]
    assert len(kept) == 1024
    assert handler.statistics().dropped_messages == 3


async def test_what_one_wait_has_kept_is_kept_by_the_next_one_before_what_comes_then() -> None:
    kept: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with ws.until_closed():
            await ends.wait()
        await ws.wait_closed()
        kept.extend([message async for message in ws])

    ends = asyncio.Event()
    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.send("one")
        await until(peer.input_queue.empty)
        ends.set()
        await peer.send("two")
    assert kept == ["one", "two"]


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
        # Either the reader finds the end first, with its code, or a send does.
        assert ws.close_code in (1001, 1006)

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.receive()
        await peer.close(1001)
    assert ticks > 0


async def test_until_closed_ends_a_block_that_neither_sends_nor_receives() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with ws.until_closed():
            await asyncio.Event().wait()
        assert ws.closed

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()


async def test_until_closed_ends_quietly_when_a_send_meets_the_end_first() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with ws.until_closed():
            await peer.abort()
            await ws.send("x")

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()


async def test_a_block_that_ends_by_itself_leaves_the_connection_open_and_the_messages_kept() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with ws.until_closed():
            await ends.wait()
        assert not ws.closed
        await ws.send("sent meanwhile")
        assert await ws.receive() == "kept"
        assert await ws.receive() == "next"

    ends = asyncio.Event()
    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.send("kept")
        await until(peer.input_queue.empty)
        ends.set()
        assert await peer.receive() == "sent meanwhile"
        await peer.send("next")
        assert await peer.wait_closed() == (1000, "")


@pytest.mark.parametrize("error", [ValueError("mine"), TimeoutError("mine"), ConnectionClosed(1000)])
async def test_an_exception_of_the_block_goes_through_until_closed(error: Exception) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with ws.until_closed():
            raise error

    async with WebSocketCommunicator(handler, raise_server_exceptions=False) as peer:
        await peer.connect()
        assert await peer.wait_closed() == (1011, "")
    assert peer.error is error


async def test_until_closed_before_accept_is_refused() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        async with ws.until_closed():
            await asyncio.Event().wait()

    async with WebSocketCommunicator(handler, raise_server_exceptions=False) as peer:
        assert (await refusal(peer))[0] == 500
    assert isinstance(peer.error, LifecycleError)


async def test_a_cancellation_from_outside_goes_through_until_closed() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with ws.until_closed():
            await asyncio.Event().wait()

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        peer.stop()
        assert (await peer.wait_closed())[0] == 1012
    assert peer.future.cancelled()


async def test_until_closed_is_quiet_about_a_group_of_nothing_but_the_end() -> None:
    after: list[str] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        async def send_later(text: str) -> None:
            await asyncio.sleep(0)
            await ws.send(text)

        await ws.accept()
        async with ws.until_closed():
            await peer.abort()
            async with asyncio.TaskGroup() as group:
                group.create_task(send_later("a"))
                group.create_task(send_later("b"))
        after.append("reached")

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
    assert after == ["reached"]
