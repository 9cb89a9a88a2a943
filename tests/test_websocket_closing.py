"""Our own close and abort: idempotent, bounded in time, and told to whoever waits."""

import asyncio
import enum
from typing import Any

import pytest

from asgi_ws import (
    WebSocket,
    websocket_app,
)

from .asgi import BOUND
from .conversation import Conversation, daphne_scope, outcome, told, until, websocket_scope


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


async def test_abort_without_the_extension_gives_a_stuck_close_one_second() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.stall()
        closing = asyncio.create_task(outcome(ws.close(4008, timeout=60)))
        await until(lambda: len(peer.begun) == 2)
        async with asyncio.timeout(BOUND):
            await ws.abort()
            await asyncio.wait([closing])

    peer = Conversation(handler)
    async with peer:
        await peer.accepted()
        await peer.ended()
    assert peer.error is None


@pytest.mark.parametrize("call", ["close", "deny"])
async def test_a_cancelled_end_leaves_no_task_behind_and_drops_the_connection(call: str) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        if call == "close":
            await ws.accept()
        peer.stall()
        ending = asyncio.create_task(getattr(ws, call)())
        await until(lambda: len(peer.begun) == (2 if call == "close" else 1))
        ending.cancel()
        asyncio.get_running_loop().call_later(0.01, peer.task.cancel)

    extensions: dict[str, object] = {"asgi_ws.abort": {}, "websocket.http.response": {}}
    peer = Conversation(handler, websocket_scope(extensions=extensions))
    async with peer:
        await peer.ended()
        assert peer.begun[-1] == {"type": "asgi_ws.abort"}
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("asgi_ws")] == []
    assert isinstance(peer.error, asyncio.CancelledError)


async def test_a_denial_to_a_peer_that_does_not_read_is_bounded_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asgi_ws.websocket.CLOSE_TIMEOUT", 0.01)

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        peer.stall()
        await ws.deny(401)
        assert ws.closed

    peer = Conversation(handler)
    async with peer:
        await peer.ended()
    assert peer.error is None
