"""Our own close and abort: idempotent, bounded in time, and raised in every call that waits."""

import asyncio
import enum
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from asgi_ws import Headers, WebSocket, websocket_app
from asgi_ws._asgi import Event
from asgi_ws.extensions import ABORT_EXTENSION
from asgi_ws.testing import ApplicationEnded, Denied, VirtualClock, WebSocketCommunicator
from asgi_ws.websocket.channel import CLOSE_TIMEOUT, FORCED_CLOSE_TIMEOUT

from ..asgi import websocket_scope
from ..hanging import HANGING
from ..odd_servers import Gate, failing, untold
from ..outcomes import outcome, told, until

pytestmark = pytest.mark.usefixtures("each_task_start")

ABORTS: dict[str, dict[str, object]] = {ABORT_EXTENSION: {}}


async def test_close_is_idempotent_and_told_by_every_later_call() -> None:
    seen: list[tuple[int, str]] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(4000, "done")
        await ws.close(4001, "again")
        for call in (lambda: ws.send("late"), ws.receive):
            seen.append(told(await outcome(call())))

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        assert await peer.wait_closed() == (4000, "done")
    assert seen == [(4000, "done")] * 2


@pytest.mark.parametrize(
    ("absent", "added", "on_the_wire"),
    [
        # daphne's own scope, with the additions of frameworks.
        ((), {"user": None, "url_route": {}, "state": {}, "path_params": {}}, 4908),
        # In-process transports without optional keys: asgi-tools, a hand-written one, an older version of ASGI.
        ((), {"http_version": "1.1", "scheme": "ws"}, 1008),
        (("server", "root_path", "client"), {}, 1008),
        ((), {"extensions": {}}, 1008),
        ((), {"asgi": {"version": "3.0", "spec_version": "2.0"}}, 1008),
    ],
)
async def test_registered_codes_are_moved_for_daphnes_own_scope_alone(
    absent: Sequence[str], added: Mapping[str, Any], on_the_wire: int
) -> None:
    events: list[Event] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(1008)

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        events.append(event)

    scope = {**websocket_scope("/", server="daphne"), **added}
    await handler({name: value for name, value in scope.items() if name not in absent}, receive, send)
    assert events[-1]["code"] == on_the_wire


async def test_a_reader_in_another_task_is_told_of_our_close_even_if_the_server_never_tells_it() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        reader = asyncio.create_task(outcome(ws.receive()))
        await asyncio.sleep(0)
        await ws.close(4002, "enough")
        async with asyncio.timeout(HANGING):
            assert told(await reader) == (4002, "enough")
        assert not reader.cancelled()

    async with WebSocketCommunicator(untold(handler)) as peer:
        await peer.connect()
        assert await peer.wait_closed() == (4002, "enough")


async def test_close_does_not_wait_longer_than_its_timeout_for_a_peer_that_does_not_read() -> None:
    seen: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.pause_reading()
        stuck = asyncio.create_task(outcome(ws.send("stuck")))
        waiting = asyncio.create_task(outcome(ws.send("waiting")))
        await until(lambda: peer.unread_bytes)
        await ws.close(4003, timeout=60)
        seen.append(told(await waiting))
        assert not stuck.done()
        peer.resume_reading()
        await stuck

    with VirtualClock() as clock:
        async with WebSocketCommunicator(handler, high_water=0) as peer:
            await peer.connect()
            await clock.advance(59)
            assert seen == []
            await clock.advance(1)
            assert seen == [(4003, "")]
            assert await peer.receive() == "stuck"
            with pytest.raises(ApplicationEnded):
                await peer.receive()


async def test_messages_that_wait_to_be_sent_go_before_the_close_frame() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()
        async with asyncio.TaskGroup() as group:
            for text in "abc":
                group.create_task(ws.send(text))
            await asyncio.sleep(0)
            group.create_task(ws.close())

    async with WebSocketCommunicator(handler, high_water=0) as peer:
        await peer.connect()
        peer.pause_reading()
        await peer.send("go")
        await peer.wait_blocked()
        peer.resume_reading()
        assert [await peer.receive() for _ in range(3)] == ["a", "b", "c"]
        assert await peer.wait_closed() == (1000, "")


async def test_closing_a_connection_whose_peer_is_gone_is_no_error() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await peer.abort()
        await ws.close(4004)
        assert ws.close_code == 4004

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()


async def test_abort_asks_the_server_through_the_extension_while_a_send_is_stuck() -> None:
    seen: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.pause_reading()
        stuck = asyncio.create_task(outcome(ws.send("stuck")))
        await until(lambda: peer.unread_bytes)
        await ws.abort()
        await ws.abort()
        seen.append(told(await outcome(ws.receive())))
        seen.append(told(await stuck))

    async with WebSocketCommunicator(handler, extensions=ABORTS, high_water=0) as peer:
        await peer.connect()
        assert await peer.wait_closed() == (1006, "")
    assert seen == [(1006, ""), (1006, "")]


async def test_a_close_that_times_out_aborts_where_the_server_can() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.pause_reading()
        await ws.close(4005, timeout=0)
        assert ws.close_code == 4005

    async with WebSocketCommunicator(handler, extensions=ABORTS, high_water=0) as peer:
        await peer.connect()
        await peer.wait()
    assert peer.extension_events == [{"type": ABORT_EXTENSION}]


@pytest.mark.parametrize("accepted", [True, False])
async def test_abort_without_the_extension_is_a_close_with_1011(accepted: bool) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        if accepted:
            await ws.accept()
        await ws.abort()
        assert ws.close_code == 1011

    async with WebSocketCommunicator(handler) as peer:
        answer = await peer.connect()
        if accepted:
            assert await peer.wait_closed() == (1011, "")
        else:
            assert answer == Denied(403, Headers(), close_code=1011)


class Code(enum.IntEnum):
    """Codes of an application's own."""

    GONE = 4001


async def test_a_close_code_may_be_an_enum_and_a_reason_none() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept(headers=None)
        await ws.close(Code.GONE, None)

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        assert await peer.wait_closed() == (4001, "")
        assert type(peer.close_code) is int


async def test_abort_drops_a_connection_whose_close_is_stuck() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.pause_reading()
        stuck = asyncio.create_task(outcome(ws.send("stuck")))
        await until(lambda: peer.unread_bytes)
        closing = asyncio.create_task(ws.close(4007))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await ws.abort()
        await closing
        await stuck
        assert ws.close_code == 4007

    async with WebSocketCommunicator(handler, extensions=ABORTS, high_water=0) as peer:
        await peer.connect()
        assert await peer.wait_closed() == (1006, "")


@pytest.mark.parametrize(
    ("call", "event_type", "error"),
    [
        ("close", "websocket.close", RuntimeError("unexpected message in this state")),
        ("abort", ABORT_EXTENSION, ConnectionResetError()),
    ],
)
async def test_a_server_that_fails_on_an_ending_does_not_fail_the_handler(
    call: str, event_type: str, error: Exception
) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await getattr(ws, call)()
        assert ws.closed

    async with WebSocketCommunicator(failing(handler, event_type, error), extensions=ABORTS) as peer:
        await peer.connect()


async def test_abort_without_the_extension_gives_a_stuck_close_one_second() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.pause_reading()
        closing = asyncio.create_task(outcome(ws.close(4008, timeout=60)))
        await until(lambda: peer.unread_bytes)
        await ws.abort()
        await asyncio.wait([closing])

    with VirtualClock() as clock:
        async with WebSocketCommunicator(handler, high_water=0) as peer:
            await peer.connect()
            await clock.advance(0.9)
            assert not peer.future.done()
            await clock.advance(0.1)
            assert peer.future.done()


@pytest.mark.parametrize("call", ["close", "deny"])
async def test_a_cancelled_end_leaves_no_task_behind_and_drops_the_connection_after_a_second(call: str) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        if call == "close":
            await ws.accept()
        gate.open.clear()
        ending = asyncio.create_task(getattr(ws, call)())
        await until(lambda: len(gate.begun) == (2 if call == "close" else 1))
        ending.cancel()

    gate = Gate(handler)
    gate.open.set()
    with VirtualClock() as clock:
        async with WebSocketCommunicator(gate, extensions=ABORTS) as peer:
            connecting = asyncio.create_task(peer.connect())
            await clock.settle()
            peer.stop()
            # The client can still take the answer.
            await clock.advance(FORCED_CLOSE_TIMEOUT - 0.1)
            assert not peer.future.done()
            await clock.advance(0.1)
            assert peer.future.cancelled()
            assert connecting.done()
    assert gate.begun[-1] == {"type": ABORT_EXTENSION}
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("asgi_ws")] == []


async def test_a_denial_to_a_peer_that_does_not_read_is_bounded_in_time() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.deny(401)
        assert ws.closed

    with VirtualClock() as clock:
        async with WebSocketCommunicator(Gate(handler), server="uvicorn") as peer:
            connecting = asyncio.create_task(peer.connect())
            await clock.advance(CLOSE_TIMEOUT - 1)
            assert not peer.future.done()
            await clock.advance(1)
            assert peer.future.done()
            assert not (await connecting).accepted
