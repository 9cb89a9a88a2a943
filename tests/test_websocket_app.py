"""A handler as an ASGI application: every ending has an answer of ours, and the handler's mistakes are told once."""

import asyncio
from typing import Any

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

from .conversation import Conversation, daphne_scope, until, websocket_scope


class Boom(Exception):
    """What a handler raises here."""


async def test_a_handler_that_returns_is_closed_with_1000() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert await peer.closed() == (1000, "")
    assert peer.error is None


async def test_a_handler_that_raises_is_closed_with_1011_and_its_exception_goes_on_unchanged() -> None:
    error = Boom()

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise error

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert await peer.closed() == (1011, "")
    assert peer.error is error
    assert handler.statistics().failed == 1


async def test_a_handler_that_raises_before_accept_is_refused_with_500() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        raise Boom

    async with Conversation(handler) as peer:
        assert await peer.denied() == (500, b"Internal Server Error")
    assert isinstance(peer.error, Boom)


async def test_a_handler_that_returns_before_accept_is_refused_with_403() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        pass

    async with Conversation(handler) as peer:
        assert await peer.denied() == (403, b"not accepted")
    assert peer.error is None
    assert handler.statistics().refused == {"NOT_ACCEPTED": 1}


async def test_a_handler_that_raises_after_it_denied_adds_nothing_to_the_wire() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.deny(401)
        raise Boom

    async with Conversation(handler) as peer:
        assert (await peer.denied())[0] == 401
        await peer.ended()
        assert peer.nothing_sent()
    assert isinstance(peer.error, Boom)


async def test_an_http_error_before_accept_is_the_denial() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        raise HTTPError(401, "no token", [(b"www-authenticate", b"Bearer")])

    async with Conversation(handler) as peer:
        start = await peer.sent()
        assert (start["status"], start["headers"][0]) == (401, (b"www-authenticate", b"Bearer"))
        assert (await peer.sent())["body"] == b"no token"
    assert peer.error is None
    assert handler.statistics().failed == 0


async def test_an_http_error_that_cannot_be_sent_refuses_with_500() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        raise HTTPError(401, headers=[(b"x", b"a\r\nb")])

    async with Conversation(handler) as peer:
        assert (await peer.denied())[0] == 500
    assert isinstance(peer.error, InvalidHeader)


async def test_an_http_error_after_accept_is_a_mistake_of_the_handler() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise HTTPError(404)

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert (await peer.closed())[0] == 1011
    assert isinstance(peer.error, HTTPError)


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

    async with Conversation(handler) as peer:
        peer.leave()
    assert peer.error is None
    assert handler.statistics().failed == 0


async def test_a_group_with_a_mistake_in_it_goes_on_whole() -> None:
    group = ExceptionGroup("both", [ConnectionClosed(1001), Boom()])

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise group

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert (await peer.closed())[0] == 1011
    assert peer.error is group


async def test_a_group_with_a_bad_message_closes_with_its_code() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with asyncio.TaskGroup() as group:
            group.create_task(ws.receive_text())

    async with Conversation(handler) as peer:
        await peer.accepted()
        peer.binary(b"x")
        assert await peer.closed() == (1003, "unexpected message type")
    assert peer.error is None


async def test_the_end_of_something_else_is_a_mistake_of_the_handler() -> None:
    error = ClientDisconnected()

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        raise error

    async with Conversation(handler) as peer:
        assert (await peer.denied())[0] == 500
    assert peer.error is error


async def test_a_bad_payload_before_accept_refuses_with_400() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        raise UnexpectedMessageType("text")

    async with Conversation(handler) as peer:
        assert await peer.denied() == (400, b"unexpected message type")
    assert peer.error is None


async def test_a_bad_message_that_is_found_after_the_end_is_quiet() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(4000)
        raise UnexpectedMessageType("text")

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert (await peer.closed())[0] == 4000
    assert peer.error is None
    assert handler.statistics().refused == {}


async def test_a_cancelled_handler_says_goodbye_with_1012() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()

    async with Conversation(handler) as peer:
        await peer.accepted()
        peer.task.cancel()
        assert await peer.closed() == (1012, "")
    assert isinstance(peer.error, asyncio.CancelledError)


async def test_a_cancellation_that_the_handler_let_through_is_its_mistake() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        other = asyncio.create_task(asyncio.Event().wait())
        other.cancel()
        await other

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert (await peer.closed())[0] == 1011


async def test_a_close_frame_goes_out_though_the_close_was_cancelled() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        closing = asyncio.create_task(ws.close(4010))
        peer.stall()
        await until(lambda: len(peer.begun) == 2)
        closing.cancel()
        await asyncio.wait([closing])
        asyncio.get_running_loop().call_soon(peer.resume)

    peer = Conversation(handler)
    async with peer:
        await peer.accepted()
        assert await peer.closed() == (4010, "")
        await peer.ended()
        assert peer.nothing_sent()
    assert peer.error is None


async def test_a_cancelled_handler_whose_close_is_stuck_ends_within_a_second() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        peer.stall()
        asyncio.get_running_loop().call_soon(peer.task.cancel)
        await ws.close(timeout=60)

    peer = Conversation(handler, websocket_scope(extensions={"asgi_ws.abort": {}}))
    async with peer:
        await peer.accepted()
        assert await peer.sent() == {"type": "asgi_ws.abort"}
        await peer.ended()
    assert isinstance(peer.error, asyncio.CancelledError)


class Fatal(BaseException):
    """What is no Exception."""


async def test_a_handler_that_raises_what_is_no_exception_is_closed_with_1011_too() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise Fatal

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert (await peer.closed())[0] == 1011
    assert isinstance(peer.error, Fatal)


async def test_a_payload_error_with_a_code_that_may_not_be_sent_is_a_mistake_and_closes_with_1011() -> None:
    class Odd(PayloadError):
        close_code = 1006

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise Odd

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert (await peer.closed())[0] == 1011
    assert isinstance(peer.error, InvalidCloseCode)
    assert handler.statistics().failed == 1


async def test_a_server_that_fails_on_the_denial_does_not_hide_the_handlers_exception() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        peer.break_send(RuntimeError("odd state"))
        raise Boom

    peer = Conversation(handler)
    async with peer:
        pass
    assert isinstance(peer.error, Boom)


async def test_a_group_with_a_refusal_before_accept_is_the_denial() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None:
        raise ExceptionGroup("checks", [HTTPError(401, "no token")])

    async with Conversation(handler) as peer:
        assert await peer.denied() == (401, b"no token")
    assert peer.error is None


async def test_a_client_that_leaves_before_accept_ends_the_time_to_accept() -> None:
    @websocket_app(limits=Limits(accept_timeout=0.02))
    async def handler(ws: WebSocket) -> None:
        try:
            await ws.accept()
        except ConnectionClosed:
            loop = asyncio.get_running_loop()
            passed = loop.create_future()
            loop.call_later(0.05, passed.set_result, None)
            await passed

    peer = Conversation(handler)
    peer.leave()
    async with peer:
        pass
    assert peer.error is None
    assert handler.statistics().refused == {}


async def test_a_websocket_app_serves_nothing_but_websockets() -> None:
    @websocket_app
    async def handler(ws: WebSocket) -> None: ...

    async with Conversation(handler, {"type": "http"}) as peer:
        pass
    assert isinstance(peer.error, UnsupportedScope)
    assert str(peer.error) == "unsupported ASGI scope type 'http'; this application serves websocket"


async def test_on_error_of_the_app_is_told_of_the_handlers_exception_and_of_nothing_the_peer_did() -> None:
    told: list[Exception] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive_text()
        raise Boom

    app = App([WebSocketRoute("/", handler)], on_error=lambda error, scope: told.append(error))
    async with Conversation(app) as peer:
        peer.binary(b"")
    assert told == []
    async with Conversation(app) as peer:
        peer.text("")
    assert [type(error) for error in told] == [Boom]
    assert app.statistics().failed == 1


async def test_a_websocket_can_be_used_by_hand_on_any_scope() -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        ws = WebSocket(scope, receive, send)
        await ws.accept()
        await ws.send(await ws.receive())
        await ws.close()

    async with Conversation(plain, daphne_scope("/päth")) as peer:
        await peer.accepted()
        peer.text("echo")
        assert (await peer.sent())["text"] == "echo"


async def test_the_repr_of_a_websocket_shows_path_client_and_state_without_control_characters() -> None:
    seen: list[str] = []

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        seen.append(repr(ws))

    async with Conversation(handler, websocket_scope("/a\nb")):
        pass
    assert seen == ["<WebSocket '/a\\nb' from 192.0.2.7:50000, CONNECTING>"]
    assert repr(handler) == "<WebSocketApp handler>"


async def test_a_payload_error_of_ones_own_closes_with_its_close_code() -> None:
    class TooPolite(PayloadError):
        close_code = 4100

    @websocket_app
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise TooPolite

    async with Conversation(handler) as peer:
        await peer.accepted()
        assert await peer.closed() == (4100, "invalid payload")
    assert peer.error is None
    assert handler.statistics().refused == {"PAYLOAD": 1}
