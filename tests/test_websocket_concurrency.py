"""Several tasks on one connection: one reader, senders in order, and cancellation in any moment."""

import asyncio
from typing import Any

import pytest

from asgi_ws import (
    ConcurrentReceiveError,
    WebSocket,
    websocket_app,
)

from .asgi import BOUND
from .conversation import Conversation, outcome, told, until


async def test_a_cancelled_receive_is_a_cancellation_and_loses_no_message() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await ws.receive()
        await ws.send("ready")
        assert await ws.receive() == "kept"

    async with Conversation(handler) as peer:
        await peer.accepted()
        await peer.sent()
        peer.text("kept")
    assert peer.error is None


@pytest.mark.parametrize("then", ["receive", "end"])
async def test_a_cancelled_receive_loses_no_message_where_the_servers_receive_is_a_future(then: str) -> None:
    futures: list[asyncio.Future[Any]] = []

    async def like_granian(scope: Any, receive: Any, send: Any) -> None:
        events: list[dict[str, Any]] = [{"type": "websocket.connect"}]

        def receive_future() -> asyncio.Future[Any]:
            future = asyncio.get_running_loop().create_future()
            if events:
                future.set_result(events.pop())
            futures.append(future)
            return future

        await handler(scope, receive_future, send)

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await ws.receive()
        if then == "receive":
            futures[1].set_result({"type": "websocket.receive", "text": "first"})
            assert await ws.receive() == "first"

    async with Conversation(like_granian) as peer:
        await peer.accepted()
    assert peer.error is None
    assert len(futures) == 2
    assert futures[1].cancelled() == (then == "end")


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

    async with Conversation(plain) as peer:
        await peer.accepted()
    assert peer.error is None


async def test_a_reader_is_told_when_the_server_fails_to_send_for_another_task() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        reader = asyncio.create_task(outcome(ws.receive()))
        await asyncio.sleep(0)
        peer.break_send(BrokenPipeError())
        assert told(await outcome(ws.send("x"))) == (1006, "")
        assert told(await reader) == (1006, "")

    peer = Conversation(handler)
    async with peer:
        pass
    assert peer.error is None


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

    async with Conversation(handler) as peer:
        await peer.accepted()
        await peer.sent()
        peer.text("for the first")
    assert peer.error is None


async def test_concurrent_sends_keep_their_order_one_at_a_time() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(ws.send(str(number)))
            await until(lambda: len(peer.begun) == 2)
            peer.resume()

    peer = Conversation(handler)
    async with peer:
        await peer.accepted()
        peer.stall()
        assert [(await peer.sent())["text"] for _ in range(20)] == [str(number) for number in range(20)]
    assert peer.error is None


async def test_a_sender_that_gives_up_while_it_waits_loses_its_turn_and_nobody_elses() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        senders = [asyncio.create_task(outcome(ws.send(text))) for text in "abcd"]
        await until(lambda: len(peer.begun) == 2)
        await asyncio.sleep(0)
        senders[1].cancel()
        await asyncio.sleep(0)
        peer.resume()
        await until(senders[0].done)
        # The third has got its turn by now, and is cancelled before it can use it.
        senders[2].cancel()
        await asyncio.wait(senders)
        await ws.send("e")

    peer = Conversation(handler)
    async with peer:
        await peer.accepted()
        peer.stall()
        await peer.ended()
    texts = [event["text"] for event in peer.begun if event["type"] == "websocket.send"]
    assert texts in (["a", "d", "e"], ["a", "c", "d", "e"])
    assert peer.error is None


async def test_who_waits_to_send_is_told_when_the_peer_leaves() -> None:
    seen: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        senders = [asyncio.create_task(outcome(ws.send(text))) for text in "abc"]
        await until(lambda: len(peer.begun) == 2)
        assert told(await outcome(ws.receive())) == (1001, "")
        seen.extend([told(await sender) for sender in senders[1:]])
        peer.resume()
        await senders[0]

    peer = Conversation(handler)
    async with peer:
        await peer.accepted()
        peer.stall()
        peer.leave()
        await peer.ended()
    assert seen == [(1001, ""), (1001, "")]
    assert peer.error is None


async def test_a_message_past_a_limit_that_comes_while_we_close_changes_nothing() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        reader = asyncio.create_task(outcome(ws.receive()))
        await asyncio.sleep(0)
        # The reader gets it before it can be woken for the close.
        peer.binary(b"x" * (2**20 + 1))
        await ws.close(4006)
        assert told(await reader) == (4006, "")

    peer = Conversation(handler)
    async with peer:
        await peer.accepted()
        assert await peer.closed() == (4006, "")
    assert handler.statistics().refused == {}
    assert peer.error is None


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
        assert await refused == "a WebSocket is used from a task of its event loop"

    async with Conversation(handler) as peer:
        await peer.accepted()
    assert peer.error is None


async def test_a_sender_that_is_cancelled_in_the_moment_of_its_turn_does_not_block_the_others() -> None:
    async def second_sender(ws: WebSocket) -> None:
        asyncio.get_running_loop().call_soon(peer.resume)
        await ws.send("second")

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.stall()
        second = asyncio.create_task(second_sender(ws))
        await ws.send("first")
        # The turn has been passed to the second one, which has not run since.
        second.cancel()
        await asyncio.wait([second])
        async with asyncio.timeout(BOUND):
            await ws.send("third")

    peer = Conversation(handler)
    async with peer:
        await peer.accepted()
        await peer.ended()
    assert peer.error is None
    assert [event.get("text") for event in peer.begun][-2:] == ["third", None]
    assert peer.begun[-1]["code"] == 1000
