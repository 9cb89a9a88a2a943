"""The behaviour of each imitated server, with applications that conform to the ASGI text and that do not."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest

from asgi_ws import ConnectionClosed
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import ApplicationEnded, ProtocolViolation, Unanswered, WebSocketCommunicator
from asgi_ws.testing.servers.profiles import PROFILES

from ..applications import ACCEPT, CLOSE, TIMEOUT, accepts, connected, echo, fails, sends
from ..conformance.test_websocket import BROKEN, START, close, meet


@pytest.mark.parametrize("server", PROFILES)
async def test_an_event_that_breaks_the_text_fails_the_test_with_its_clause_whatever_the_server(server: str) -> None:
    for name in ("accept twice", "send after close", "text and bytes", "close code that no frame has"):
        events, why, clause = BROKEN[name]
        error = await fails(ProtocolViolation, sends(*events), meet, subprotocols=["a", "b"], server=server)
        assert (error.why, error.clause) == (why, clause)


BODY = {"type": "websocket.http.response.body", "body": b""}
# Events that the ASGI text allows, and the servers whose `send` raises for the last of them.
REFUSED: Mapping[str, tuple[list[Any], set[str]]] = {
    "denial without headers": ([{"type": START["type"], "status": 401}], {"hypercorn", "granian"}),
    "denial without body": ([START, {"type": BODY["type"]}], {"uvicorn"}),
    "denial in parts": ([START, {**BODY, "more_body": True}], {"granian"}),
    "registered close code": ([ACCEPT, close(code=1001)], {"daphne"}),
}


@pytest.mark.parametrize("refusal", REFUSED)
async def test_an_event_that_the_text_allows_and_a_server_does_not_is_an_error_of_that_server(refusal: str) -> None:
    events, servers = REFUSED[refusal]
    raised: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for event in events:
            try:
                await send(event)
            except RuntimeError as error:
                raised.append(str(error))

    for profile in PROFILES.values():
        if events[0]["type"] == ACCEPT["type"] or profile.denial_response:
            async with WebSocketCommunicator(app, server=profile.name) as ws:
                # The test does not depend on an answer.
                with suppress(Unanswered, ConnectionClosed):
                    await ws.connect()
                await ws.wait()
    assert raised == [f"{name} does not take a {refusal}" for name in PROFILES if name in servers]


@pytest.mark.parametrize("reason", ["\ud800", ["a list"]])
async def test_a_refusal_may_have_any_reason_since_it_goes_nowhere(reason: object) -> None:
    for server in PROFILES:
        async with WebSocketCommunicator(sends(close(code=4001, reason=reason)), server=server) as ws:
            assert (await ws.connect()).accepted is False


@pytest.mark.parametrize(
    ("server", "events"),
    [
        ("uvicorn", [{"code": 1006}, {"code": 1005}]),
        ("hypercorn", [{"code": 1000}]),
        ("granian", [{"code": 1005}]),
        ("asgi_ws", [{"code": 1006, "reason": ""}] * 3),
    ],
)
async def test_an_application_receives_the_disconnect_after_its_own_refusal_so_often(
    server: str, events: list[dict[str, Any]]
) -> None:
    received: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(CLOSE)
        received.extend([await receive() for _ in events])
        if server != "asgi_ws":
            await receive()

    ws = WebSocketCommunicator(app, server=server)
    async with ws:
        await ws.connect()
        assert await ws.receive_nothing()
        ws.stop(exceptions=False)
    assert received == [{"type": "websocket.disconnect", **event} for event in events]


Use = Callable[[WebSocketCommunicator], Awaitable[object]]
BYE = {"code": 4001, "reason": "bye"}


async def _is_closed(ws: WebSocketCommunicator) -> None:
    await ws.close(4001, "bye")


async def _gets_bytes(ws: WebSocketCommunicator) -> None:
    await ws.send(b"x")


async def _gets_too_much(ws: WebSocketCommunicator) -> None:
    await ws.send(bytes(16 * 1024 * 1024 + 1))


@pytest.mark.parametrize(
    ("server", "use", "events", "seen"),
    [
        pytest.param("spec", _is_closed, [BYE], 4001, id="the peer's close on spec"),
        pytest.param("uvicorn", _is_closed, [BYE, {"code": 1005}], 4001, id="the peer's close on uvicorn"),
        pytest.param("asgi_ws", _is_closed, [BYE] * 3, 4001, id="the peer's close on asgi_ws"),
        pytest.param("hypercorn", _is_closed, [{"code": 1006}], 4001, id="the peer's close on hypercorn"),
        pytest.param("daphne", _is_closed, [{"code": 4001}], 1000, id="the peer's close on daphne"),
        pytest.param("hypercorn", _gets_bytes, [{"text": None, "bytes": b"x"}], None, id="both keys on hypercorn"),
        pytest.param("granian", _gets_too_much, [{"code": 1005}], None, id="too long a message on granian"),
    ],
)
async def test_an_application_receives_what_its_server_gives_it(
    server: str, use: Use, events: list[dict[str, Any]], seen: int | None
) -> None:
    received: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        received.extend([await receive() for _ in events])

    async with connected(app, server=server) as ws:
        await use(ws)
        assert ws.close_code == seen
        await ws.wait()
    kind = "receive" if "text" in events[0] else "disconnect"
    assert received == [{"type": f"websocket.{kind}", **event} for event in events]


async def test_a_message_that_is_too_long_leaves_the_connection_to_the_application_with_granian() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await receive()
        # From now on only a close is sent.
        await send({"type": "websocket.send", "text": "late"})
        await send(close(code=4001))

    async with connected(app, server="granian") as ws:
        await _gets_too_much(ws)
        assert await ws.wait_closed() == (4001, "")
        assert ws.output_queue.qsize() == 1


# A message of the largest size. One more byte closes the connection.
@pytest.mark.parametrize(("server", "longest"), [("daphne", 1024 * 1024), ("uvicorn", 16 * 1024 * 1024)])
async def test_the_longest_message_arrives(server: str, longest: int) -> None:
    async with connected(echo, server=server) as ws:
        await ws.send("x" * longest)
        assert len(await ws.receive()) == longest


@pytest.mark.parametrize(("server", "code"), [("spec", 1006), ("asgi_ws", 1011), ("granian", 1005)])
async def test_an_application_that_raises_ends_the_connection_with_the_servers_code(server: str, code: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        raise LookupError

    async with connected(app, server=server, raise_server_exceptions=False) as ws:
        with pytest.raises(ApplicationEnded) as ended:
            await ws.receive()
    assert ended.value.code == code


async def test_no_answer_comes_over_a_lost_connection_though_the_server_gives_one() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        ws.lose_connection()

    async with WebSocketCommunicator(app, server="uvicorn") as ws:
        with pytest.raises(ApplicationEnded):
            await ws.connect()


@pytest.mark.parametrize(("server", "code"), [("granian", 1005), ("uvicorn", 4001)])
async def test_a_close_before_the_peers_was_received_is_what_the_application_receives_where_so(
    server: str, code: int
) -> None:
    has_left = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await has_left.wait()
        try:
            await send(close(code=4002))
        except OSError:
            raised.append(server)
        received.append((await receive())["code"])

    received: list[int] = []
    raised: list[str] = []
    async with connected(app, server=server) as ws:
        await ws.close(4001)
        has_left.set()
        await ws.wait()
    assert (received, raised) == ([code], ["uvicorn"] * (server == "uvicorn"))


@pytest.mark.parametrize(("server", "count"), [("daphne", 1), ("uvicorn", 2)])
async def test_empty_messages_go_out_but_from_daphne(server: str, count: int) -> None:
    app = sends(ACCEPT, {"type": "websocket.send", "text": ""}, {"type": "websocket.send", "text": "x"})
    async with connected(app, server=server) as ws:
        assert [await ws.receive() for _ in range(count)] == ["", "x"][-count:]


async def test_an_abort_of_the_application_ends_the_connection_with_asgi_ws() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await send({"type": "asgi_ws.abort"})
        assert await receive() == {"type": "websocket.disconnect", "code": 1006, "reason": ""}

    async with connected(app, server="asgi_ws") as ws:
        assert await ws.wait_closed() == (1006, "")
        await ws.wait()


@pytest.mark.parametrize(("server", "is_eager"), [("asgi_ws", False), ("granian", False), ("granian", True)])
async def test_an_application_that_receives_without_end_leaves_the_test_its_turn(server: str, is_eager: bool) -> None:
    factory = getattr(asyncio, "eager_task_factory", None) if is_eager else None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        while True:
            await receive()

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        ws = WebSocketCommunicator(app, server=server, timeout=TIMEOUT)
        with pytest.raises(TimeoutError, match="the application to end"):
            async with ws:
                await ws.connect()
    finally:
        loop.set_task_factory(None)
