"""What breaks the ASGI text meets what a named server does with it, and is reported when the block is left."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from asgi_ws import ConnectionClosed
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import Accepted, Denied, HandshakeFailed, ProtocolViolation, WebSocketCommunicator
from asgi_ws.testing.servers.profiles import PROFILES, SPEC

from ..applications import ACCEPT, CLOSE, TIMEOUT, accepts, fails, sends, until_left
from ..conformance.test_websocket import BROKEN, accept, close, start

# Of a `receive` that is in vain.
MOMENT = 0.05
SERVERS = [profile for profile in PROFILES.values() if profile is not SPEC]


@pytest.mark.parametrize("profile", SERVERS, ids=lambda profile: profile.name)
@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_event_raises_what_the_server_raises_or_nothing(name: str, profile: Any) -> None:
    events, _, _ = BROKEN[name]
    raised: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for event in events:
            try:
                await send(event)
            except Exception as error:  # noqa: BLE001 -- which it is, is what the test looks at
                raised.append(error)

    async def use(ws: WebSocketCommunicator) -> None:
        # Whether the handshake has an answer after that is the contract suite's to say.
        with suppress(ConnectionClosed, HandshakeFailed):
            await ws.connect()
        await ws.wait()

    await fails(ProtocolViolation, app, use, server=profile.name, subprotocols=["a", "b"])
    for error in raised:
        assert type(error) in {*profile.raises.values(), profile.raises_else}
        assert f"{profile.name} raises this in send: " in str(error)


async def test_the_error_of_a_server_is_short_and_its_cause_is_told_once() -> None:
    met: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await send({"type": "websocket.send", "text": "early"})
        except RuntimeError as error:
            met.append(error)
            raise

    async def use(ws: WebSocketCommunicator) -> None:
        answer = await ws.connect()
        assert isinstance(answer, Denied)
        assert answer.status == 500

    violation = await fails(ProtocolViolation, app, use, server="uvicorn")
    why = "websocket.send before websocket.accept: the handshake is not answered yet"
    assert [str(error) for error in met] == [f"uvicorn raises this in send: {why}"]
    assert met[0].__cause__ is violation
    assert not hasattr(violation, "__notes__")


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "granian"])
async def test_bytes_of_another_kind_go_out_and_wait_for_a_peer_that_does_not_read(server: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await receive()
        await send({"type": "websocket.send", "bytes": bytearray(b"ab")})
        await until_left(receive)

    async def use(ws: WebSocketCommunicator) -> None:
        await ws.connect()
        ws.pause_reading()
        await ws.send("go")
        await ws.wait_blocked()
        ws.resume_reading()
        assert await ws.receive() == b"ab"

    error = await fails(ProtocolViolation, app, use, server=server, high_water=1)
    assert error.misuse == "bytes-like"


async def test_a_subprotocol_in_headers_goes_out_with_uvicorn_in_capitals_too() -> None:
    async def use(ws: WebSocketCommunicator) -> None:
        answer = await ws.connect()
        assert isinstance(answer, Accepted)
        assert answer.subprotocol == "b"
        assert answer.headers.multi_items() == [("x-a", "1")]

    headers = [(b"X-A", b"1"), (b"Sec-WebSocket-Protocol", b"b")]
    app = sends(accept(headers=headers))
    error = await fails(ProtocolViolation, app, use, server="uvicorn", subprotocols=["a", "b"])
    assert error.misuse == "subprotocol in headers"


@pytest.mark.parametrize("reason", ["\ud800", ["a list"]])
async def test_a_refusal_may_have_any_reason_since_it_goes_nowhere(reason: object) -> None:
    for profile in PROFILES.values():
        async with WebSocketCommunicator(sends(close(code=4001, reason=reason)), server=profile.name) as ws:
            assert (await ws.connect()).accepted is False


async def test_a_reason_that_is_no_text_goes_out_without_what_cannot_with_granian() -> None:
    async def use(ws: WebSocketCommunicator) -> None:
        await ws.connect()
        assert await ws.wait_closed() == (4001, "ab")

    app = sends(ACCEPT, close(code=4001, reason="a\ud800b"))
    await fails(ProtocolViolation, app, use, server="granian")


async def test_a_denial_that_raises_with_its_body_may_be_begun_anew_with_hypercorn() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(start(headers=None))
        with pytest.raises(TypeError, match="hypercorn raises this in send"):
            await send({"type": "websocket.http.response.body", "body": b""})
        await send(start(status=402))
        await send({"type": "websocket.http.response.body", "body": b"pay"})

    async def use(ws: WebSocketCommunicator) -> None:
        answer = await ws.connect()
        assert isinstance(answer, Denied)
        assert (answer.status, answer.body) == (402, b"pay")

    await fails(ProtocolViolation, app, use, server="hypercorn")


@pytest.mark.parametrize(("server", "codes"), [("uvicorn", [1006, 1005]), ("hypercorn", [1000]), ("granian", [1005])])
async def test_an_application_is_told_of_its_own_refusal_so_often(server: str, codes: list[int]) -> None:
    told: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(CLOSE)
        for _ in codes:
            told.append((await receive())["code"])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(MOMENT):
                await receive()

    async with WebSocketCommunicator(app, server=server) as ws:
        await ws.connect()
        await ws.wait()
    assert told == codes


@pytest.mark.parametrize("is_refused", [False, True])
async def test_an_application_is_told_the_same_end_again_and_again_with_asgi_ws(is_refused: bool) -> None:
    told: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(CLOSE if is_refused else ACCEPT)
        told.extend([await receive() for _ in range(3)])

    async with WebSocketCommunicator(app, server="asgi_ws") as ws:
        await ws.connect()
        if not is_refused:
            await ws.close(4001, "bye")
            assert await ws.wait_closed() == (4001, "bye")
        await ws.wait()
    code, reason = (1006, "") if is_refused else (4001, "bye")
    assert told == [{"type": "websocket.disconnect", "code": code, "reason": reason}] * 3


async def test_a_send_after_an_abort_is_one_after_the_peer_left_with_asgi_ws() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        await send({"type": "asgi_ws.abort"})
        with pytest.raises(OSError, match="the peer has left"):
            await send({"type": "websocket.send", "text": "late"})

    async def use(ws: WebSocketCommunicator) -> None:
        await ws.connect()
        assert await ws.wait_closed() == (1006, "")
        await ws.wait()

    await fails(ProtocolViolation, app, use, server="asgi_ws")


@pytest.mark.parametrize("is_eager", [False, True])
async def test_an_application_that_receives_without_end_leaves_the_test_its_turn(is_eager: bool) -> None:
    factory = getattr(asyncio, "eager_task_factory", None) if is_eager else None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await accepts(receive, send)
        while True:
            await receive()

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        ws = WebSocketCommunicator(app, server="granian", timeout=TIMEOUT)
        with pytest.raises(TimeoutError, match="the application to end"):
            async with ws:
                await ws.connect()
    finally:
        loop.set_task_factory(None)
