"""A handler as an ASGI application: every ending is answered, and errors of the handler are reported once."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from asgi_ws import (
    App,
    ClientDisconnected,
    ConnectionClosed,
    HTTPError,
    InvalidCloseCode,
    InvalidHeader,
    Limits,
    PayloadError,
    UnexpectedMessageType,
    UnsupportedScope,
    WebSocket,
    WebSocketRoute,
    websocket_app,
)
from asgi_ws.extensions import ABORT_EXTENSION
from asgi_ws.testing import Denied, VirtualClock, WebSocketCommunicator

from ..odd_servers import failing
from ..outcomes import outcome, refusal, told, until


class Boom(Exception):
    """An error of a handler."""


class Fatal(BaseException):
    """An error of a handler that is not an Exception."""


class TooPolite(PayloadError):
    """A payload error with a close code of the application."""

    close_code = 4100


class Odd(PayloadError):
    """A payload error with a code that may not be sent."""

    close_code = 1006


@dataclass
class Ending:
    """The acts of a handler (accept or not, then return or raise), and the expected end.

    Attributes:
        end: close code and reason; or, before accept, status and body of the refusal.
        error: the exception that reaches the server; by default the raised one, None for no exception.
    """

    accepts: bool
    raises: BaseException | None
    end: tuple[int, str | bytes]
    error: type[BaseException] | None = None
    refused: str | None = None

    def __str__(self) -> str:
        return f"{self.raises!r} {'after' if self.accepts else 'before'} accept"


SERVER_ERROR = (500, b"Internal Server Error")
BAD_HEADER = [(b"x", b"a\r\nb")]
ENDINGS = [
    Ending(True, None, (1000, "")),
    Ending(False, None, (403, b"not accepted"), refused="NOT_ACCEPTED"),
    Ending(True, Boom(), (1011, ""), Boom),
    Ending(False, Boom(), SERVER_ERROR, Boom),
    Ending(True, Fatal(), (1011, ""), Fatal),
    Ending(False, HTTPError(401, "no token"), (401, b"no token")),
    Ending(False, ExceptionGroup("checks", [HTTPError(401, "no token")]), (401, b"no token")),
    Ending(False, HTTPError(401, headers=BAD_HEADER), SERVER_ERROR, InvalidHeader),
    Ending(True, HTTPError(404), (1011, ""), HTTPError),
    Ending(True, ExceptionGroup("both", [ConnectionClosed(1001), Boom()]), (1011, ""), ExceptionGroup),
    # The end of another connection is an error of the handler.
    Ending(False, ClientDisconnected(), SERVER_ERROR, ClientDisconnected),
    Ending(False, UnexpectedMessageType("text"), (400, b"unexpected message type"), refused="MESSAGE_TYPE"),
    Ending(True, TooPolite(), (4100, "invalid payload"), refused="PAYLOAD"),
    Ending(True, Odd(), (1011, ""), InvalidCloseCode, refused="PAYLOAD"),
]


@pytest.mark.parametrize("ending", ENDINGS, ids=str)
async def test_every_ending_has_an_answer_and_a_mistake_goes_on_to_the_server_unchanged(ending: Ending) -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        if ending.accepts:
            await ws.accept()
        if ending.raises is not None:
            raise ending.raises

    async with WebSocketCommunicator(handler, raise_server_exceptions=False) as peer:
        if ending.accepts:
            await peer.connect()
            assert await peer.wait_closed() == ending.end
        else:
            assert await refusal(peer) == ending.end
    if type(ending.raises) is ending.error:
        assert peer.error is ending.raises
    else:
        assert type(peer.error) is (ending.error or type(None))
    statistics = handler.statistics()
    assert statistics.failed == isinstance(peer.error, Exception)
    assert statistics.refused == ({} if ending.refused is None else {ending.refused: 1})


async def test_the_headers_of_an_http_error_are_those_of_the_denial() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        raise HTTPError(401, "", [(b"www-authenticate", b"Bearer")])

    async with WebSocketCommunicator(handler) as peer:
        answer = await peer.connect()
    assert isinstance(answer, Denied)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_handler_that_raises_after_it_denied_adds_nothing_to_the_wire() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.deny(401)
        raise Boom

    async with WebSocketCommunicator(handler, raise_server_exceptions=False) as peer:
        assert (await refusal(peer))[0] == 401
        await peer.wait()
        assert await peer.receive_nothing()
    assert isinstance(peer.error, Boom)


async def test_a_group_of_nothing_but_the_peers_doings_is_quiet() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with asyncio.TaskGroup() as outer:

            async def inner() -> None:
                async with asyncio.TaskGroup() as group:
                    group.create_task(asyncio.Event().wait())
                    await ws.receive()

            outer.create_task(inner())

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
    assert handler.statistics().failed == 0


async def test_a_group_with_a_bad_message_closes_with_its_code() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with asyncio.TaskGroup() as group:
            group.create_task(ws.receive_text())

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        await peer.send(b"x")
        assert await peer.wait_closed() == (1003, "unexpected message type")


async def test_a_bad_message_that_is_found_after_the_end_is_quiet() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(4000)
        raise UnexpectedMessageType("text")

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        assert (await peer.wait_closed())[0] == 4000
    assert handler.statistics().refused == {}


async def test_a_cancelled_handler_says_goodbye_with_1012() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()

    async with WebSocketCommunicator(handler) as peer:
        await peer.connect()
        peer.stop()
        assert await peer.wait_closed() == (1012, "")
    assert peer.future.cancelled()


async def test_a_cancellation_that_the_handler_let_through_is_its_mistake() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        other = asyncio.create_task(asyncio.Event().wait())
        other.cancel()
        await other

    async with WebSocketCommunicator(handler, raise_server_exceptions=False) as peer:
        await peer.connect()
        assert (await peer.wait_closed())[0] == 1011


async def test_a_close_frame_goes_out_though_the_close_was_cancelled() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        closing = asyncio.create_task(ws.close(4010))
        peer.pause_reading()
        await until(lambda: peer.unread_bytes)
        closing.cancel()
        await asyncio.wait([closing])
        asyncio.get_running_loop().call_soon(peer.resume_reading)

    async with WebSocketCommunicator(handler, high_water=0) as peer:
        await peer.connect()
        assert await peer.wait_closed() == (4010, "")


async def test_a_cancelled_handler_whose_close_is_stuck_ends_within_a_second() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.pause_reading()
        asyncio.get_running_loop().call_soon(peer.stop)
        await ws.close(timeout=60)

    with VirtualClock() as clock:
        async with WebSocketCommunicator(handler, extensions={ABORT_EXTENSION: {}}, high_water=0) as peer:
            await peer.connect()
            await clock.advance(0.9)
            assert not peer.future.done()
            await clock.advance(0.1)
            assert peer.future.cancelled()
    assert peer.extension_events == [{"type": ABORT_EXTENSION}]


async def test_a_server_that_fails_on_the_denial_does_not_hide_the_handlers_exception() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        raise Boom

    server = failing(handler, "websocket.http.response.start", RuntimeError("odd state"))
    async with WebSocketCommunicator(server, raise_server_exceptions=False) as peer:
        await peer.connect()
    assert isinstance(peer.error, Boom)


async def test_a_client_that_leaves_before_accept_ends_the_time_to_accept() -> None:
    @websocket_app(limits=Limits(accept_timeout=1))
    async def handler(ws: WebSocket) -> None:
        await peer.abort()
        try:
            await ws.accept()
        except ConnectionClosed:
            await asyncio.sleep(60)

    with VirtualClock() as clock:
        async with WebSocketCommunicator(handler) as peer:
            connecting = asyncio.create_task(outcome(peer.connect()))
            await clock.advance(60)
            assert told(await connecting) == (1006, "")
    assert handler.statistics().refused == {}


async def test_a_websocket_app_serves_nothing_but_websockets() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None: ...

    async def never(*_: Any) -> Any:
        raise AssertionError

    with pytest.raises(UnsupportedScope) as raised:
        await handler({"type": "http"}, never, never)
    assert str(raised.value) == "unsupported ASGI scope type 'http'; this application serves websocket"


async def test_on_error_of_the_app_is_told_of_the_handlers_exception_and_of_nothing_the_peer_did() -> None:
    errors: list[Exception] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive_text()
        raise Boom

    app = App([WebSocketRoute("/", handler)], on_error=lambda error, scope: errors.append(error))
    async with WebSocketCommunicator(app) as peer:
        await peer.connect()
        await peer.send(b"")
    assert errors == []
    async with WebSocketCommunicator(app, raise_server_exceptions=False) as peer:
        await peer.connect()
        await peer.send("")
    assert [type(error) for error in errors] == [Boom]
    assert app.statistics().failed == 1


async def test_a_websocket_can_be_used_by_hand_on_any_scope() -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        ws = WebSocket(scope, receive, send)
        await ws.accept()
        await ws.send(await ws.receive())
        await ws.close()

    async with WebSocketCommunicator(plain, "/päth", server="daphne") as peer:
        await peer.connect()
        await peer.send("echo")
        assert await peer.receive() == "echo"


async def test_the_repr_of_a_websocket_shows_path_client_and_state_without_control_characters() -> None:
    seen: list[str] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        seen.append(repr(ws))

    async with WebSocketCommunicator(handler, "/a%0Ab", client=("192.0.2.7", 50000)) as peer:
        await peer.connect()
    assert seen == ["<WebSocket '/a\\nb' from 192.0.2.7:50000, CONNECTING>"]
    assert repr(handler) == "<WebSocketApp handler>"
