"""Several tasks on one connection: one reader, senders in order, and cancellation at any moment."""

import asyncio
from typing import Any

import pytest

from asgi_ws import ConcurrentReceiveError, WebSocket, WebSocketState, websocket_app
from asgi_ws._asgi import Event
from asgi_ws.testing import WebSocketCommunicator
from asgi_ws.testing.servers.profiles import PROFILES

from ..asgi import websocket_scope
from ..hanging import HANGING
from ..odd_servers import failing
from ..outcomes import outcome, told, until

pytestmark = pytest.mark.usefixtures("each_task_start")


@pytest.mark.parametrize("server", PROFILES)
async def test_a_cancelled_receive_is_a_cancellation_and_loses_no_message(server: str) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await ws.receive()
        await ws.send("ready")
        assert await ws.receive() == "kept"

    async with WebSocketCommunicator(handler, server=server) as peer:
        await peer.connect()
        await peer.receive()
        await peer.send("kept")


@pytest.mark.parametrize("then", ["receive", "end", "lost connection"])
async def test_a_cancelled_receive_loses_no_message_where_the_servers_receive_is_a_future(then: str) -> None:
    futures: list[Any] = []
    cancelled: list[bool] = []

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        def receive_noted() -> Any:
            futures.append(receive())
            return futures[-1]

        await handler(scope, receive_noted, send)
        cancelled.extend(future.cancelled() for future in futures)

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await ws.receive()
        if then == "receive":
            await peer.send("first")
            assert await ws.receive() == "first"
        elif then == "lost connection":
            await ws.send("never sent")

    server = failing(noted, "websocket.send", BrokenPipeError())
    async with WebSocketCommunicator(server, server="granian") as peer:
        await peer.connect()
        await peer.wait()
    assert cancelled == [False, then != "receive"]


async def test_a_reader_that_is_cancelled_while_it_is_told_of_the_end_stays_cancelled() -> None:
    readers: list[asyncio.Task[Any]] = []

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        async def send_and_cancel(event: Any) -> None:
            await send(event)
            if event["type"] == "websocket.close":
                readers[0].cancel()

        ws = WebSocket(scope, receive, send_and_cancel)
        await ws.accept()
        readers.append(asyncio.create_task(ws.receive()))
        await asyncio.sleep(0)
        await ws.close()
        with pytest.raises(asyncio.CancelledError):
            await readers[0]

    async with WebSocketCommunicator(plain) as peer:
        await peer.connect()
        await peer.wait_closed()


async def test_a_reader_is_told_when_the_server_fails_to_send_for_another_task() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        reader = asyncio.create_task(outcome(ws.receive()))
        await asyncio.sleep(0)
        assert told(await outcome(ws.send("x"))) == (1006, "")
        assert told(await reader) == (1006, "")

    async with WebSocketCommunicator(failing(handler, "websocket.send", BrokenPipeError())) as peer:
        await peer.connect()
        await peer.wait()


async def test_a_second_reader_is_refused_and_the_first_goes_on() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        first = asyncio.create_task(ws.receive())
        await asyncio.sleep(0)
        assert type(await outcome(ws.receive())) is ConcurrentReceiveError
        assert type(await outcome(ws.wait_closed())) is ConcurrentReceiveError
        await ws.send("ready")
        assert await first == "for the first"

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.receive()
        await peer.send("for the first")


async def test_concurrent_sends_keep_their_order_one_at_a_time() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.pause_reading()
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(ws.send(str(number)))

    async with WebSocketCommunicator(handler, high_water=0) as peer:
        await peer.connect()
        await peer.wait_blocked()
        assert peer.unread_bytes == 1
        peer.resume_reading()
        assert [await peer.receive() for _ in range(20)] == [str(number) for number in range(20)]


async def test_a_message_sent_while_accept_is_on_its_way_goes_after_it() -> None:
    taken: list[str] = []

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        if event["type"] == "websocket.accept":
            await released.wait()
        taken.append(event["type"])

    released = asyncio.Event()
    ws = WebSocket(websocket_scope(), receive, send)
    async with asyncio.TaskGroup() as group:
        group.create_task(ws.accept())
        await until(lambda: ws.application_state is WebSocketState.CONNECTED)
        group.create_task(ws.send("first"))
        await asyncio.sleep(0)
        released.set()
    assert taken == ["websocket.accept", "websocket.send"]


async def test_a_sender_that_gives_up_while_it_waits_loses_its_turn_and_nobody_elses() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.pause_reading()
        senders = [asyncio.create_task(outcome(ws.send(text))) for text in "abcd"]
        await until(lambda: peer.unread_bytes)
        await asyncio.sleep(0)
        senders[1].cancel()
        await asyncio.sleep(0)
        peer.resume_reading()
        await until(senders[0].done)
        # The third sender holds the lock by now, and is cancelled before it can send.
        senders[2].cancel()
        await asyncio.wait(senders)
        await ws.send("e")

    async with WebSocketCommunicator(handler, high_water=0) as peer:
        await peer.connect()
        await peer.wait_closed()
        texts = [await peer.receive() for _ in range(peer.output_queue.qsize() - 1)]
    assert texts in (["a", "d", "e"], ["a", "c", "d", "e"])


async def test_who_waits_to_send_is_told_when_the_peer_leaves() -> None:
    seen: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.pause_reading()
        senders = [asyncio.create_task(outcome(ws.send(text))) for text in "abc"]
        await until(lambda: peer.unread_bytes)
        assert told(await outcome(ws.receive())) == (1001, "")
        seen.extend([told(await sender) for sender in senders[1:]])
        peer.resume_reading()
        await senders[0]

    async with WebSocketCommunicator(handler, high_water=0) as peer:
        await peer.connect()
        await peer.wait_blocked()
        # The server reports the end, and its send goes on waiting.
        await peer.send_input({"type": "websocket.disconnect", "code": 1001})
        await peer.wait()
    assert seen == [(1001, "")] * 2


async def test_a_message_past_a_limit_that_comes_while_we_close_changes_nothing() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        reader = asyncio.create_task(outcome(ws.receive()))
        await asyncio.sleep(0)
        # The message reaches the reader before the close can wake it.
        await peer.send_input({"type": "websocket.receive", "bytes": b"x" * (2**20 + 1)})
        await ws.close(4006)
        assert told(await reader) == (4006, "")

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        assert await peer.wait_closed() == (4006, "")
    assert handler.statistics().refused == {}


async def test_receiving_outside_of_a_task_is_refused() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        loop = asyncio.get_running_loop()
        refused = loop.create_future()

        def step() -> None:
            receiving = ws.receive()
            try:
                receiving.send(None)
            except RuntimeError as error:
                refused.set_result(str(error))

        loop.call_soon(step)
        assert await refused == "a WebSocket may only be used from a task of its event loop"

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()


async def test_a_sender_that_is_cancelled_in_the_moment_of_its_turn_does_not_block_the_others() -> None:
    async def second_sender(ws: WebSocket) -> None:
        asyncio.get_running_loop().call_soon(peer.resume_reading)
        await ws.send("second")

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.pause_reading()
        second = asyncio.create_task(second_sender(ws))
        await ws.send("first")
        # The lock has been passed to the second sender, which has not run since.
        second.cancel()
        await asyncio.wait([second])
        async with asyncio.timeout(HANGING):
            await ws.send("third")

    async with WebSocketCommunicator(handler, high_water=0) as peer:
        await peer.connect()
        assert await peer.wait_closed() == (1000, "")
        assert [await peer.receive() for _ in range(peer.output_queue.qsize() - 1)][-1] == "third"
