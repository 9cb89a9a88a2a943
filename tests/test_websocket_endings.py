"""How a connection ends, and what everyone who used it is told."""

import asyncio
import enum
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asgi_ws import (
    ConcurrentReceiveError,
    ConnectionClosed,
    InvalidCloseCode,
    InvalidCloseReason,
    LifecycleError,
    WebSocket,
    WebSocketState,
    websocket_app,
)

from .asgi import BOUND
from .conversation import Conversation, daphne_scope, until, websocket_scope


async def outcome(awaitable: Awaitable[Any]) -> Any:
    """What it returns, or the exception that it raises."""
    try:
        return await awaitable
    except Exception as error:  # noqa: BLE001 -- any exception is an outcome
        return error


def told(error: Any) -> tuple[int, str]:
    assert type(error) is ConnectionClosed
    return error.code, error.reason


# -- the peer leaves


async def test_the_peers_leaving_is_raised_once_more_by_every_later_call() -> None:
    seen: list[tuple[int, str]] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        for call in (ws.receive, ws.receive, ws.receive_text, lambda: ws.send("late"), ws.receive_json):
            seen.append(told(await outcome(call())))
        assert [message async for message in ws] == []
        assert (ws.closed, ws.close_code, ws.close_reason) == (True, 4001, "bye")
        assert ws.client_state is ws.application_state is WebSocketState.DISCONNECTED
        await ws.wait_closed()
        await ws.close(1011)
        assert ws.close_code == 4001

    async with Conversation(handler) as peer:
        await peer.accepted()
        peer.leave(4001, "bye")
        await peer.ended()
        assert peer.nothing_sent()
    assert seen == [(4001, "bye")] * 5
    assert peer.error is None


@pytest.mark.parametrize("event", [{"code": None}, {}, {"code": 1005}, {"code": None, "reason": None}])
async def test_a_disconnect_without_a_code_is_1005(event: dict[str, Any]) -> None:
    ended: list[tuple[int | None, str | None]] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async for _ in ws:
            pass
        ended.append((ws.close_code, ws.close_reason))

    async with Conversation(handler) as peer:
        peer.event({"type": "websocket.disconnect", "unknown key": 1, **event})
    assert ended == [(1005, "")]


async def test_a_server_that_cannot_send_any_more_means_that_the_peer_has_left() -> None:
    seen: list[tuple[int, str]] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.break_send(BrokenPipeError("gone"))
        for call in (lambda: ws.send("a"), lambda: ws.send("b"), ws.receive):
            seen.append(told(await outcome(call())))

    peer = Conversation(handler)
    async with peer:
        pass
    assert seen == [(1006, "")] * 3
    assert peer.error is None


async def test_an_uncaught_connection_closed_is_no_error_of_the_handler() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()

    async with Conversation(handler) as peer:
        peer.leave()
    assert peer.error is None


# -- calls that the state does not allow


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda ws: ws.receive(), "receive() is not allowed in state CONNECTING: call accept() first"),
        (lambda ws: ws.send("x"), "send() is not allowed in state CONNECTING"),
        (lambda ws: ws.wait_closed(), "wait_closed() is not allowed in state CONNECTING: call accept() first"),
    ],
)
async def test_using_a_connection_before_accept_is_an_error_that_names_call_and_state(
    call: Callable[[WebSocket], Awaitable[Any]], text: str
) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await call(ws)

    async with Conversation(handler) as peer:
        assert await peer.denied() == (500, b"Internal Server Error")
    assert type(peer.error) is LifecycleError
    assert str(peer.error) == text


@pytest.mark.parametrize("ending", ["accepted", "closed", "denied"])
@pytest.mark.parametrize("call", ["accept", "deny"])
async def test_a_second_answer_to_the_handshake_is_refused_and_never_sent(ending: str, call: str) -> None:
    errors: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        endings: dict[str, Callable[[], Awaitable[None]]]
        endings = {"accepted": ws.accept, "closed": ws.close, "denied": ws.deny}
        await endings[ending]()
        errors.append(await outcome(getattr(ws, call)()))

    async with Conversation(handler) as peer:
        await peer.ended()
        types = [event["type"] for event in peer.begun]
    assert type(errors[0]) is LifecycleError
    assert str(errors[0]).startswith(f"{call}() is not allowed in state ")
    assert (
        types
        == {
            "accepted": ["websocket.accept", "websocket.close"],
            "closed": ["websocket.close"],
            "denied": ["websocket.http.response.start", "websocket.http.response.body"],
        }[ending]
    )


async def test_an_event_that_the_server_may_not_deliver_is_a_lifecycle_error() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()

    async with Conversation(handler) as peer:
        await peer.accepted()
        peer.event({"type": "websocket.unheard"})
        assert await peer.closed() == (1011, "")
    assert str(peer.error) == "the server's 'websocket.unheard' is not allowed in state CONNECTED"


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, -1, "1000", None, 1000.0, True])
async def test_a_close_code_that_may_not_be_sent_is_an_error_at_the_call_and_nothing_is_sent(code: Any) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        assert type(await outcome(ws.close(code))) is InvalidCloseCode
        assert not ws.closed

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert await peer.closed() == (1000, "")


@pytest.mark.parametrize("reason", ["x" * 124, "é" * 62, "\ud800", b"bytes"])
async def test_a_close_reason_that_does_not_fit_is_an_error_at_the_call(reason: Any) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        assert type(await outcome(ws.close(1000, reason))) is InvalidCloseReason
        await ws.close(3000, "é" * 61)

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert await peer.closed() == (3000, "é" * 61)


# -- we close


async def test_close_is_idempotent_and_told_by_every_later_call() -> None:
    seen: list[tuple[int, str]] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(4000, "done")
        await ws.close(4001, "again")
        for call in (lambda: ws.send("late"), ws.receive):
            seen.append(told(await outcome(call())))

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert await peer.closed() == (4000, "done")
        await peer.ended()
        assert peer.nothing_sent()
    assert seen == [(4000, "done")] * 2


@pytest.mark.parametrize(
    ("code", "on_the_wire"), [(1000, 1000), (1001, 4901), (1011, 4911), (1014, 4914), (4000, 4000)]
)
async def test_codes_that_daphne_cannot_send_are_mapped_to_private_ones(code: int, on_the_wire: int) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(code)
        assert ws.close_code == code

    async with Conversation(handler, daphne_scope()) as peer:
        await peer.accepted()
        assert (await peer.closed())[0] == on_the_wire


async def test_a_scope_without_version_but_with_extensions_keeps_its_codes() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(1001)

    async with Conversation(handler, websocket_scope(asgi={"version": "3.0"})) as peer:
        await peer.accepted()
        assert (await peer.closed())[0] == 1001


async def test_a_reader_in_another_task_is_told_of_our_close_even_if_the_server_never_tells_it() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        reader = asyncio.create_task(outcome(ws.receive()))
        await asyncio.sleep(0)
        await ws.close(4002, "enough")
        async with asyncio.timeout(BOUND):
            assert told(await reader) == (4002, "enough")
        assert not reader.cancelled()

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert await peer.closed() == (4002, "enough")
    assert peer.error is None


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


async def test_close_does_not_wait_longer_than_its_timeout_for_a_peer_that_does_not_read() -> None:
    seen: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        stuck = asyncio.create_task(outcome(ws.send("stuck")))
        waiting = asyncio.create_task(outcome(ws.send("waiting")))
        await until(lambda: len(peer.begun) == 2)
        await ws.close(4003, timeout=0.01)
        seen.append(told(await waiting))
        assert not stuck.done()
        peer.resume()
        await stuck

    peer = Conversation(handler)
    async with peer:
        await peer.accepted()
        peer.stall()
        await peer.ended()
        assert peer.error is None
    assert seen == [(4003, "")]
    assert [event["type"] for event in peer.begun] == ["websocket.accept", "websocket.send"]


async def test_messages_that_wait_to_be_sent_go_before_the_close_frame() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with asyncio.TaskGroup() as group:
            for text in "abc":
                group.create_task(ws.send(text))
            await until(lambda: len(peer.begun) == 2)
            group.create_task(ws.close())
            await asyncio.sleep(0)
            peer.resume()

    peer = Conversation(handler)
    async with peer:
        await peer.accepted()
        peer.stall()
        assert [(await peer.sent()).get("text") for _ in range(4)] == ["a", "b", "c", None]
    assert peer.error is None


async def test_a_server_that_fails_on_the_close_frame_does_not_fail_the_handler() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.break_send(RuntimeError("unexpected message in this state"))
        await ws.close()
        assert ws.closed

    peer = Conversation(handler)
    async with peer:
        pass
    assert peer.error is None


async def test_closing_a_connection_whose_peer_is_gone_is_no_error() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.break_send(ConnectionResetError())
        await ws.close(4004)
        assert ws.close_code == 4004

    peer = Conversation(handler)
    async with peer:
        pass
    assert peer.error is None


# -- abort


async def test_abort_asks_the_server_through_the_extension_while_a_send_is_stuck() -> None:
    seen: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        stuck = asyncio.create_task(outcome(ws.send("stuck")))
        await until(lambda: len(peer.begun) == 2)
        await ws.abort()
        await ws.abort()
        seen.append(told(await outcome(ws.receive())))
        peer.break_send(ConnectionAbortedError())
        peer.resume()
        seen.append(told(await stuck))

    peer = Conversation(handler, websocket_scope(extensions={"asgi_ws.abort": {}}))
    async with peer:
        await peer.accepted()
        peer.stall()
        assert await peer.sent() == {"type": "asgi_ws.abort"}
    assert seen == [(1006, ""), (1006, "")]
    assert peer.error is None


async def test_a_close_that_times_out_aborts_where_the_server_can() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.stall()
        await ws.close(4005, timeout=0)
        assert ws.close_code == 4005

    peer = Conversation(handler, websocket_scope(extensions={"asgi_ws.abort": {}}))
    async with peer:
        await peer.accepted()
        assert await peer.sent() == {"type": "asgi_ws.abort"}


@pytest.mark.parametrize("accepted", [True, False])
async def test_abort_without_the_extension_is_a_close_with_1011(accepted: bool) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        if accepted:
            await ws.accept()
        await ws.abort()
        assert ws.close_code == 1011

    async with Conversation(handler) as peer:
        if accepted:
            await peer.accepted()
        assert await peer.closed() == (1011, "")
    assert peer.error is None


# -- waiting for the end


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


# -- concurrency


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


class Code(enum.IntEnum):
    """Codes of an application's own."""

    GONE = 4001


@pytest.mark.parametrize("code", [Code.GONE, 4001])
async def test_a_close_code_may_be_an_enum_and_a_reason_none(code: int) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept(headers=None)
        await ws.close(code, None)

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert await peer.closed() == (4001, "")
        assert type(peer.begun[-1]["code"]) is int


async def test_abort_drops_a_connection_whose_close_is_stuck() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        stuck = asyncio.create_task(outcome(ws.send("stuck")))
        await until(lambda: len(peer.begun) == 2)
        closing = asyncio.create_task(ws.close(4007))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await ws.abort()
        await closing
        peer.resume()
        await stuck
        assert ws.close_code == 4007

    peer = Conversation(handler, websocket_scope(extensions={"asgi_ws.abort": {}}))
    async with peer:
        await peer.accepted()
        peer.stall()
        assert await peer.sent() == {"type": "asgi_ws.abort"}
    assert peer.error is None


async def test_a_server_that_fails_on_the_abort_fails_nobody() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.break_send(ConnectionResetError())
        await ws.abort()
        assert ws.closed

    peer = Conversation(handler, websocket_scope(extensions={"asgi_ws.abort": {}}))
    async with peer:
        pass
    assert peer.error is None


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


async def test_an_exception_of_the_server_keeps_its_cause() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        error = RuntimeError("middleware")
        error.__cause__ = KeyError("cause")
        peer.break_send(error)
        await ws.send("x")

    peer = Conversation(handler)
    async with peer:
        pass
    assert isinstance(peer.error, RuntimeError)
    assert isinstance(peer.error.__cause__, KeyError)


async def test_a_denial_goes_out_whole_though_the_call_was_cancelled() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        peer.stall()
        denying = asyncio.create_task(ws.deny(401, "who are you?"))
        await until(lambda: len(peer.begun) == 1)
        denying.cancel()
        await asyncio.wait([denying])
        asyncio.get_running_loop().call_soon(peer.resume)

    peer = Conversation(handler)
    async with peer:
        assert await peer.denied() == (401, b"who are you?")
    assert peer.error is None


async def test_a_denial_that_fails_after_its_call_was_cancelled_is_nobodys_error() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        peer.stall()
        denying = asyncio.create_task(ws.deny(401))
        await until(lambda: len(peer.begun) == 1)
        denying.cancel()
        await asyncio.wait([denying])
        peer.break_send(ConnectionResetError())
        asyncio.get_running_loop().call_soon(peer.resume)

    peer = Conversation(handler)
    async with peer:
        pass
    assert peer.error is None
