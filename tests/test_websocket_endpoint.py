"""WebSocketEndpoint: a class for each handler, an instance for each connection."""

import asyncio
import gc
import weakref
from typing import Any, Literal

import pytest

from asgi_ws import (
    ConnectionClosed,
    HTTPError,
    InvalidEndpoint,
    InvalidOrigin,
    JSONCodec,
    Limits,
    WebSocket,
    WebSocketEndpoint,
)

from .conversation import Conversation, daphne_scope, until, websocket_scope


class Recorder(WebSocketEndpoint):
    """Keeps what it was called with."""

    def __init__(self, calls: list[Any]) -> None:
        self.calls = calls

    async def on_connect(self, ws: WebSocket) -> None:
        self.calls.append("connect")
        await ws.accept()

    async def on_receive(self, ws: WebSocket, data: Any) -> None:
        self.calls.append(data)

    async def on_disconnect(self, ws: WebSocket, close_code: int) -> None:
        assert ws.closed
        self.calls.append(close_code)


async def calls_of(endpoint: type[Recorder], *messages: str | bytes, **options: Any) -> tuple[list[Any], Conversation]:
    """What an endpoint is called with, and the conversation, which the peer ends with 1001."""
    calls: list[Any] = []
    peer = Conversation(endpoint.as_asgi(init={"calls": calls}, **options))
    async with peer:
        for message in messages:
            peer.text(message) if isinstance(message, str) else peer.binary(message)
        peer.leave(1001)
    return calls, peer


async def test_the_three_methods_are_called_in_order_with_what_the_peer_sent() -> None:
    calls, peer = await calls_of(Recorder, "a", b"b")
    assert calls == ["connect", "a", b"b", 1001]
    assert peer.error is None


async def test_the_default_endpoint_accepts_and_takes_messages_without_an_answer() -> None:
    async with Conversation(WebSocketEndpoint.as_asgi()) as peer:
        await peer.accepted()
        peer.text("into the void")
        peer.leave()
        await peer.ended()
        assert peer.nothing_sent()
    assert peer.error is None


async def test_every_connection_has_an_instance_of_its_own() -> None:
    class Counter(WebSocketEndpoint):
        count = 0

        async def on_receive(self, ws: WebSocket, data: Any) -> None:
            self.count += 1
            await ws.send(str(self.count))

    app = Counter.as_asgi()
    async with Conversation(app) as one, Conversation(app) as two:
        for peer in (one, two):
            await peer.accepted()
            peer.text("x")
            assert (await peer.sent())["text"] == "1"
            peer.leave()


@pytest.mark.parametrize(
    ("encoding", "good", "decoded", "bad", "code"),
    [
        ("text", "a", "a", b"a", 1003),
        ("bytes", b"a", b"a", "a", 1003),
        ("json", '{"a":1}', {"a": 1}, "{", 1007),
        ("json", b"[1]", [1], b"\xff", 1007),
        ("json", '"x"', "x", "NaN", 1007),
    ],
)
async def test_each_encoding_decodes_what_is_right_and_closes_on_what_is_not(
    encoding: Literal["text", "bytes", "json"], good: Any, decoded: Any, bad: Any, code: int
) -> None:
    class Encoded(Recorder):
        pass

    Encoded.encoding = encoding
    calls, peer = await calls_of(Encoded, good, bad, good)
    assert calls == ["connect", decoded, code]
    assert [event["type"] for event in peer.begun] == ["websocket.accept", "websocket.close"]
    assert peer.begun[-1]["code"] == code
    assert peer.error is None


async def test_json_is_decoded_by_the_codec_of_the_endpoint() -> None:
    class Encoded(Recorder):
        encoding = "json"

    calls, _ = await calls_of(Encoded, "x", json=JSONCodec(repr, lambda data: f"decoded {data!r}"))
    assert calls == ["connect", "decoded 'x'", 1001]


def test_an_unknown_encoding_is_an_error_where_the_endpoint_is_made() -> None:
    class Odd(WebSocketEndpoint):
        encoding = "latin-1"  # type: ignore[assignment] # the mistake that this is about  # pyright: ignore

    with pytest.raises(InvalidEndpoint, match=r"Odd: encoding is .* not 'latin-1'"):
        Odd.as_asgi()


def test_arguments_that_the_class_does_not_take_are_an_error_where_the_endpoint_is_made() -> None:
    with pytest.raises(InvalidEndpoint, match="Recorder: init does not fit: missing a required argument: 'calls'"):
        Recorder.as_asgi()
    with pytest.raises(InvalidEndpoint, match="got an unexpected keyword argument 'other'"):
        Recorder.as_asgi(init={"calls": [], "other": 1})


async def test_an_endpoint_that_cannot_be_made_refuses_with_500() -> None:
    class Failing(WebSocketEndpoint):
        def __init__(self) -> None:
            raise Boom

    async with Conversation(Failing.as_asgi()) as peer:
        assert (await peer.denied())[0] == 500
    assert isinstance(peer.error, Boom)


def test_a_wrong_policy_is_an_error_where_the_endpoint_is_made() -> None:
    with pytest.raises(InvalidOrigin, match=r"'example\.org' is not an origin"):
        WebSocketEndpoint.as_asgi(origins=["example.org"])


# -- on_disconnect: once, with the code, whenever on_connect was entered


class Boom(Exception):
    """What a handler raises here."""


@pytest.mark.parametrize("method", ["on_connect", "on_receive"])
async def test_on_disconnect_gets_1011_when_a_handler_raised_after_accept(method: str) -> None:
    class Raising(Recorder):
        pass

    async def raising(self: Raising, ws: WebSocket, *data: Any) -> None:
        if not data:
            await ws.accept()
        raise Boom

    setattr(Raising, method, raising)
    calls, peer = await calls_of(Raising, "x")
    assert calls[-1] == 1011
    assert calls.count(1011) == 1
    assert peer.begun[-1]["code"] == 1011
    assert isinstance(peer.error, Boom)


@pytest.mark.parametrize(
    ("how", "code", "last_event"),
    [
        ("return", 1006, "websocket.http.response.body"),
        ("raise", 1006, "websocket.http.response.body"),
        ("http error", 1006, "websocket.http.response.body"),
        ("deny", 1006, "websocket.http.response.body"),
        ("close", 4401, "websocket.close"),
        ("accept and close", 4400, "websocket.close"),
    ],
)
async def test_on_disconnect_is_called_once_when_on_connect_did_not_leave_it_open(
    how: str, code: int, last_event: str
) -> None:
    class Refusing(Recorder):
        async def on_connect(self, ws: WebSocket) -> None:
            match how:
                case "raise":
                    raise Boom
                case "http error":
                    raise HTTPError(401)
                case "deny":
                    await ws.deny(401)
                case "close":
                    await ws.close(4401)
                case "accept and close":
                    await ws.accept()
                    await ws.close(4400)

    calls, peer = await calls_of(Refusing, "never seen")
    assert calls == [code]
    assert peer.begun[-1]["type"] == last_event
    assert (type(peer.error) is Boom) if how == "raise" else (peer.error is None)
    assert how != "return" or peer.begun[0]["status"] == 403


async def test_on_disconnect_is_not_called_where_on_connect_was_not_entered() -> None:
    calls: list[Any] = []
    scope = websocket_scope(headers=[(b"origin", b"https://evil.example")])
    async with Conversation(Recorder.as_asgi(init={"calls": calls}), scope) as peer:
        assert (await peer.denied())[0] == 403
    assert calls == []


@pytest.mark.parametrize("code", [None, 1005, 1006])
async def test_on_disconnect_gets_the_servers_code_for_an_abrupt_end_and_1005_where_there_is_none(
    code: int | None,
) -> None:
    calls: list[Any] = []
    async with Conversation(Recorder.as_asgi(init={"calls": calls}), daphne_scope()) as peer:
        peer.leave(code)
    assert calls == ["connect", code or 1005]


async def test_on_disconnect_gets_1012_when_the_server_stops() -> None:
    calls: list[Any] = []
    async with Conversation(Recorder.as_asgi(init={"calls": calls})) as peer:
        await peer.accepted()
        peer.task.cancel()
        assert (await peer.closed())[0] == 1012
    assert calls == ["connect", 1012]


async def test_on_disconnect_gets_the_code_of_our_own_close() -> None:
    class Closing(Recorder):
        async def on_receive(self, ws: WebSocket, data: Any) -> None:
            await ws.close(4321)

    calls, _ = await calls_of(Closing, "x")
    assert calls == ["connect", 4321]


async def test_on_disconnect_runs_when_the_time_to_accept_is_over() -> None:
    class Slow(Recorder):
        async def on_connect(self, ws: WebSocket) -> None:
            await asyncio.Event().wait()

    calls, peer = await calls_of(Slow, limits=Limits(accept_timeout=0.01))
    assert calls == [1006]
    assert peer.begun[0]["status"] == 503


async def test_an_exception_of_on_disconnect_goes_on_to_the_server() -> None:
    class Failing(Recorder):
        async def on_disconnect(self, ws: WebSocket, close_code: int) -> None:
            raise Boom

    _, peer = await calls_of(Failing)
    assert isinstance(peer.error, Boom)


@pytest.mark.parametrize("error", [ConnectionClosed(1006), ExceptionGroup("", [ConnectionClosed(1001)])])
async def test_what_the_peers_did_is_no_exception_in_on_disconnect_either(error: Exception) -> None:
    class Leaving(Recorder):
        async def on_disconnect(self, ws: WebSocket, close_code: int) -> None:
            raise error

    _, peer = await calls_of(Leaving)
    assert peer.error is None


async def test_a_failure_of_on_disconnect_does_not_hide_the_one_before_it(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Recorder):
        async def on_receive(self, ws: WebSocket, data: Any) -> None:
            raise Boom

        async def on_disconnect(self, ws: WebSocket, close_code: int) -> None:
            raise LookupError

    calls: list[Any] = []
    app = Failing.as_asgi(init={"calls": calls})
    async with Conversation(app) as peer:
        peer.text("x")
    assert isinstance(peer.error, Boom)
    assert app.statistics().failed == 1
    assert [record.getMessage() for record in caplog.records] == ["on_disconnect raised, after its endpoint had raised"]


async def test_on_disconnect_runs_though_the_end_itself_is_cancelled() -> None:
    calls: list[Any] = []
    async with Conversation(Recorder.as_asgi(init={"calls": calls})) as peer:
        await peer.accepted()
        peer.stall()
        peer.task.cancel()
        await until(lambda: len(peer.begun) == 2)
        peer.task.cancel()
        await peer.ended()
    assert calls == ["connect", 1012]


@pytest.mark.parametrize("limits", [Limits(), Limits(idle_timeout=60, messages_per_second=10)])
async def test_a_connection_that_has_ended_is_freed_without_the_garbage_collector(limits: Limits) -> None:
    seen: list[weakref.ref[WebSocket]] = []

    class Seen(WebSocketEndpoint):
        async def on_connect(self, ws: WebSocket) -> None:
            seen.append(weakref.ref(ws))
            await ws.accept()

    gc.collect()
    gc.disable()
    try:
        async with Conversation(Seen.as_asgi(limits=limits)) as peer:
            peer.leave()
        await asyncio.sleep(0)
        assert seen[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["decode", "dispatch"])
def test_a_method_of_starlettes_that_is_never_called_here_is_an_error_where_the_endpoint_is_made(name: str) -> None:
    class Ported(WebSocketEndpoint):
        pass

    setattr(Ported, name, lambda self: None)
    with pytest.raises(InvalidEndpoint, match=f"Ported: {name}.. is not called here"):
        Ported.as_asgi()


async def test_an_endpoint_may_receive_inside_of_its_own_methods() -> None:
    class Login(Recorder):
        async def on_connect(self, ws: WebSocket) -> None:
            await ws.accept()
            self.calls.append(("login", await ws.receive_text()))

        async def on_receive(self, ws: WebSocket, data: Any) -> None:
            self.calls.append((data, await ws.receive_text()))

    calls, _ = await calls_of(Login, "me", "question", "answer")
    assert calls == [("login", "me"), ("question", "answer"), 1001]


async def test_messages_kept_while_an_endpoint_waited_come_to_on_receive_in_order() -> None:
    class Waiting(Recorder):
        async def on_connect(self, ws: WebSocket) -> None:
            await ws.accept()
            await ws.wait_closed()

    calls, _ = await calls_of(Waiting, "a", "b")
    assert calls == ["a", "b", 1001]


async def test_messages_kept_on_an_open_connection_come_before_the_next_ones() -> None:
    class Waiting(Recorder):
        async def on_connect(self, ws: WebSocket) -> None:
            await ws.accept()
            async with ws.until_closed():
                await until(peer.everything_read)
            peer.text("c")
            peer.leave()

    calls: list[Any] = []
    peer = Conversation(Waiting.as_asgi(init={"calls": calls}))
    async with peer:
        peer.text("a")
        peer.text("b")
    assert calls == ["a", "b", "c", 1001]


async def test_a_second_reader_beside_an_endpoint_is_refused() -> None:
    errors: list[str] = []

    class Two(Recorder):
        async def on_connect(self, ws: WebSocket) -> None:
            await ws.accept()
            self.task = asyncio.create_task(self.read(ws))

        async def read(self, ws: WebSocket) -> None:
            try:
                await ws.receive()
            except RuntimeError as error:
                errors.append(str(error))

    calls: list[Any] = []
    async with Conversation(Two.as_asgi(init={"calls": calls})) as peer:
        await peer.accepted()
        while not errors:
            await asyncio.sleep(0)
        peer.leave()
    assert errors == ["receive() is not allowed in state CONNECTED: another task is reading from this connection"]


async def test_an_endpoint_is_told_of_a_close_by_another_task_even_if_the_server_never_tells_it() -> None:
    class ClosedFromOutside(Recorder):
        async def on_connect(self, ws: WebSocket) -> None:
            await ws.accept()
            self.task = asyncio.create_task(ws.close(4999))

    calls, peer = await calls_of(ClosedFromOutside)
    assert calls[-1] in (4999, 1001)
    assert peer.error is None
    calls = []
    async with Conversation(ClosedFromOutside.as_asgi(init={"calls": calls})) as silent:
        await silent.accepted()
        assert (await silent.closed())[0] == 4999
    assert calls == [4999]
    assert silent.error is None


async def test_a_cancelled_endpoint_is_cancelled() -> None:
    class Cancelled(Recorder):
        async def on_connect(self, ws: WebSocket) -> None:
            await ws.accept()

    calls: list[Any] = []
    async with Conversation(Cancelled.as_asgi(init={"calls": calls})) as peer:
        await peer.accepted()
        peer.task.cancel()
    assert isinstance(peer.error, asyncio.CancelledError)
