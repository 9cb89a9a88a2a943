"""The endings of a connection, the errors that they raise in pending calls, and the calls that each state allows."""

import asyncio
import gc
from typing import Any

import pytest

from asgi_ws import InvalidCloseCode, InvalidCloseReason, LifecycleError, WebSocket, WebSocketState, websocket_app
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import WebSocketCommunicator

from ..odd_servers import Gate, failing
from ..outcomes import outcome, refusal, told, until

pytestmark = pytest.mark.usefixtures("each_task_start")


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

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.close(4001, "bye")
        await peer.wait()
        assert await peer.receive_nothing()
    assert seen == [(4001, "bye")] * 5


@pytest.mark.parametrize("event", [{}, {"code": 1005}, {"code": None, "reason": None}])
async def test_a_disconnect_without_a_code_is_1005(event: dict[str, Any]) -> None:
    ended: list[tuple[int | None, str | None]] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async for _ in ws:
            pass
        ended.append((ws.close_code, ws.close_reason))

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.send_input({"type": "websocket.disconnect", "unknown key": 1, **event})
    assert ended == [(1005, "")]


async def test_a_server_that_cannot_send_any_more_means_that_the_peer_has_left() -> None:
    seen: list[tuple[int, str]] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await peer.abort()
        for call in (lambda: ws.send("a"), lambda: ws.send("b"), ws.receive):
            seen.append(told(await outcome(call())))

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
    assert seen == [(1006, "")] * 3


async def test_an_uncaught_connection_closed_is_no_error_of_the_handler() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()


async def test_using_a_connection_before_accept_is_an_error_that_names_call_and_state() -> None:
    errors: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        for call in (ws.receive(), ws.send("x"), ws.wait_closed()):
            errors.append(await outcome(call))
        raise errors[0]

    async with WebSocketCommunicator(handler, raise_server_exceptions=False) as peer:
        assert await refusal(peer) == (500, b"Internal Server Error")
    assert {type(error) for error in errors} == {LifecycleError}
    assert [str(error) for error in errors] == [
        "receive() is not allowed in state CONNECTING: call accept() first",
        "send() is not allowed in state CONNECTING",
        "wait_closed() is not allowed in state CONNECTING: call accept() first",
    ]


DENIAL = ["websocket.http.response.start", "websocket.http.response.body"]


@pytest.mark.parametrize(
    ("server", "ending", "sent"),
    [
        ("spec", "accept", ["websocket.accept", "websocket.close"]),
        ("spec", "close", ["websocket.close"]),
        ("spec", "deny", DENIAL),
        ("daphne", "deny", ["websocket.close"]),
    ],
)
async def test_a_second_answer_to_the_handshake_is_refused_and_never_sent(
    server: str, ending: str, sent: list[str]
) -> None:
    errors: list[Any] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await getattr(ws, ending)()
        errors.extend([await outcome(ws.accept()), await outcome(ws.deny())])

    gate = Gate(handler)
    gate.open.set()
    async with WebSocketCommunicator(gate, server=server) as peer:
        await peer.connect()
        await peer.wait()
    assert [type(error) for error in errors] == [LifecycleError] * 2
    assert [str(error).partition(" in state ")[0] for error in errors] == [
        f"{call}() is not allowed" for call in ("accept", "deny")
    ]
    assert [event["type"] for event in gate.begun] == sent


async def test_an_event_that_the_server_may_not_deliver_is_a_lifecycle_error() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()

    async with WebSocketCommunicator(handler, raise_server_exceptions=False) as peer:
        await peer.connect()
        await peer.send_input({"type": "websocket.unheard"})
        assert await peer.wait_closed() == (1011, "")
    assert str(peer.error) == "the server's 'websocket.unheard' is not allowed in state CONNECTED"


async def test_a_close_that_may_not_be_sent_is_an_error_at_the_call_and_nothing_is_sent() -> None:
    codes: list[Any] = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, -1, "1000", None, 1000.0, True]
    reasons: list[Any] = ["x" * 124, "é" * 62, "\ud800", b"bytes"]

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        assert {type(await outcome(ws.close(code))) for code in codes} == {InvalidCloseCode}
        assert {type(await outcome(ws.close(1000, reason))) for reason in reasons} == {InvalidCloseReason}
        assert not ws.closed
        await ws.close(3000, "é" * 61)

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        assert await peer.wait_closed() == (3000, "é" * 61)


async def test_a_close_after_the_end_does_nothing_whatever_its_arguments() -> None:
    arguments: list[tuple[Any, Any]] = [(1005, ""), (1006, None), (99, "x" * 124), ("1000", b"bytes")]

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        assert told(await outcome(ws.receive())) == (1005, "")
        for code, reason in arguments:
            await ws.close(code, reason)
            assert ws.close_code == 1005

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.close(None)
        for code, reason in arguments:
            await peer.close(code, reason)
        await peer.wait()


async def test_an_exception_of_the_server_keeps_its_cause() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send("x")

    error = RuntimeError("middleware")
    error.__cause__ = KeyError("cause")
    async with WebSocketCommunicator(failing(handler, "websocket.send", error), raise_server_exceptions=False) as peer:
        await peer.connect()
    assert peer.error is error
    assert isinstance(error.__cause__, KeyError)


@pytest.mark.parametrize(("server", "answer"), [("spec", (401, b"who are you?")), ("daphne", (403, b""))])
async def test_a_denial_goes_out_whole_though_the_call_was_cancelled(server: str, answer: tuple[int, bytes]) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        denying = asyncio.create_task(ws.deny(401, "who are you?"))
        await until(lambda: gate.begun)
        denying.cancel()
        await asyncio.wait([denying])
        asyncio.get_running_loop().call_soon(gate.open.set)

    gate = Gate(handler)
    async with WebSocketCommunicator(gate, server=server) as peer:
        assert await refusal(peer) == answer


@pytest.mark.parametrize("server", ["spec", "daphne"])
async def test_a_denial_that_fails_after_its_call_was_cancelled_is_nobodys_error(
    server: str, reports: list[dict[str, Any]]
) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        denying = asyncio.create_task(ws.deny(401))
        await until(lambda: gate.begun)
        denying.cancel()
        await asyncio.wait([denying])
        await peer.abort()
        asyncio.get_running_loop().call_soon(gate.open.set)

    gate = Gate(handler)
    first = "websocket.close" if server == "daphne" else "websocket.http.response.start"
    async with WebSocketCommunicator(failing(gate, first, OSError()), server=server) as peer:
        assert told(await outcome(peer.connect())) == (1006, "")
    gc.collect()
    assert reports == []


async def test_an_accept_that_is_cancelled_after_another_task_has_closed_is_just_cancelled() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        accepting = asyncio.create_task(ws.accept())
        await until(lambda: gate.begun)
        asyncio.get_running_loop().call_soon(gate.open.set)
        closing = asyncio.create_task(ws.close(4000))
        await until(lambda: ws.closed)
        accepting.cancel()
        await asyncio.wait([accepting, closing])
        assert accepting.cancelled()

    gate = Gate(handler)
    async with WebSocketCommunicator(gate) as peer:
        await refusal(peer)


async def test_an_accept_that_is_cancelled_while_the_server_answers_ends_the_connection() -> None:
    later: list[tuple[int, str]] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        accepting = asyncio.create_task(ws.accept())
        await until(lambda: gate.begun)
        accepting.cancel()
        await asyncio.wait([accepting])
        gate.open.set()
        later.extend([told(await outcome(ws.send("late"))), told(await outcome(ws.receive()))])

    gate = Gate(handler)
    async with WebSocketCommunicator(gate) as peer:
        assert (await refusal(peer))[0] == 403
    assert later == [(1011, "")] * 2
    assert handler.statistics().accepted == 0


@pytest.mark.parametrize(("call", "cancellations"), [("accept", 2), ("accept", 20), ("close", 20), ("deny", 20)])
async def test_the_client_is_answered_though_the_handler_is_cancelled_again_and_again(
    call: str, cancellations: int
) -> None:
    # anyio cancels a task in each iteration of the event loop until it ends.

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await getattr(ws, call)()

    async def cancelled(scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.ensure_future(handler(scope, receive, send))
        await until(lambda: gate.begun)
        for _ in range(cancellations):
            task.cancel()
            await asyncio.sleep(0)
        gate.open.set()
        await asyncio.wait([task])
        assert task.cancelled()

    gate = Gate(cancelled)
    async with WebSocketCommunicator(gate) as peer:
        assert (await refusal(peer))[0] == 403


@pytest.mark.parametrize("text", ["ASGI flow error: Connection already upgraded", "ASGI transport error: gone"])
async def test_granians_word_for_a_client_that_has_left_is_connection_closed(text: str) -> None:
    outcomes: list[tuple[int, str]] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        outcomes.append(told(await outcome(ws.deny(401))))
        await ws.deny(401)

    server = failing(handler, "websocket.http.response.body", RuntimeError(text))
    async with WebSocketCommunicator(server, server="granian") as peer:
        await outcome(peer.connect())
    assert outcomes == [(1006, "")]
    assert handler.statistics().failed == 0
