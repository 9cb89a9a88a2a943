"""WebSocketEndpoint: a class for each handler, an instance for each connection."""

import asyncio
from typing import Any, Literal

import pytest

from asgi_ws import InvalidEndpoint, InvalidOrigin, JSONCodec, WebSocket, WebSocketEndpoint
from asgi_ws.testing import WebSocketCommunicator

from ..odd_servers import untold
from ..outcomes import refusal, until
from ..recorder import Boom, Recorder, calls_of


async def test_the_three_methods_are_called_in_order_with_what_the_peer_sent() -> None:
    calls, peer = await calls_of(Recorder, "a", b"b")
    assert calls == ["connect", "a", b"b", 1001]
    assert peer.error is None


async def test_the_default_endpoint_accepts_and_takes_messages_without_an_answer() -> None:
    async with WebSocketCommunicator(WebSocketEndpoint.as_asgi()) as peer:
        assert (await peer.connect()).accepted
        await peer.send("into the void")
        await peer.close(1001)
        await peer.wait()
        assert await peer.receive_nothing()


async def test_every_connection_has_an_instance_of_its_own() -> None:
    class Counter(WebSocketEndpoint):
        count = 0

        async def on_receive(self, ws: WebSocket, data: Any) -> None:
            self.count += 1
            await ws.send(str(self.count))

    app = Counter.as_asgi()
    async with WebSocketCommunicator(app) as one, WebSocketCommunicator(app) as two:
        for peer in (one, two):
            await peer.connect()
            await peer.send("x")
            assert await peer.receive() == "1"


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
    assert peer.close_code == code
    assert peer.error is None


async def test_json_is_decoded_by_the_codec_of_the_endpoint() -> None:
    class Encoded(Recorder):
        encoding = "json"

    calls, _ = await calls_of(Encoded, "x", json=JSONCodec(repr, lambda data: f"decoded {data!r}"))
    assert calls == ["connect", "decoded 'x'", 1001]


def test_an_unknown_encoding_is_an_error_where_the_endpoint_is_made() -> None:
    class Odd(WebSocketEndpoint):
        encoding = "latin-1"  # type: ignore[assignment] # the mistake that this is about  # pyright: ignore

    with pytest.raises(InvalidEndpoint, match=r"Odd: encoding='latin-1': expected"):
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

    async with WebSocketCommunicator(Failing.as_asgi(), raise_server_exceptions=False) as peer:
        assert (await refusal(peer))[0] == 500
    assert isinstance(peer.error, Boom)


def test_a_wrong_policy_is_an_error_where_the_endpoint_is_made() -> None:
    with pytest.raises(InvalidOrigin, match=r"'example\.org' is not an origin"):
        WebSocketEndpoint.as_asgi(origins=["example.org"])


@pytest.mark.parametrize("name", ["decode", "dispatch"])
def test_a_method_of_starlettes_that_is_never_called_here_is_an_error_where_the_endpoint_is_made(name: str) -> None:
    class Ported(WebSocketEndpoint):
        pass

    setattr(Ported, name, lambda self: None)
    with pytest.raises(InvalidEndpoint, match=f"Ported: {name}.. is never called"):
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
                await ends.wait()

    calls: list[Any] = []
    ends = asyncio.Event()
    async with WebSocketCommunicator(Waiting.as_asgi(init={"calls": calls})) as peer:
        await peer.connect()
        await peer.send("a")
        await peer.send("b")
        await until(peer.input_queue.empty)
        ends.set()
        await peer.send("c")
        await peer.close(1001)
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
    async with WebSocketCommunicator(Two.as_asgi(init={"calls": calls})) as peer:
        await peer.connect()
        await until(lambda: errors)
    assert errors == ["receive() is not allowed in state CONNECTED: another task is reading from this connection"]


async def test_an_endpoint_is_told_of_a_close_by_another_task_even_if_the_server_never_tells_it() -> None:
    class ClosedFromOutside(Recorder):
        async def on_connect(self, ws: WebSocket) -> None:
            await ws.accept()
            self.task = asyncio.create_task(ws.close(4999))

    calls, peer = await calls_of(ClosedFromOutside)
    assert calls[-1] == 4999
    assert peer.error is None
    calls = []
    async with WebSocketCommunicator(untold(ClosedFromOutside.as_asgi(init={"calls": calls}))) as silent:
        await silent.connect()
        assert (await silent.wait_closed())[0] == 4999
        # It returns, and is not cancelled.
        await silent.wait()
        assert not silent.future.cancelled()
    assert calls == [4999]


async def test_a_cancelled_endpoint_is_cancelled() -> None:
    class Cancelled(Recorder):
        async def on_connect(self, ws: WebSocket) -> None:
            await ws.accept()

    calls: list[Any] = []
    async with WebSocketCommunicator(Cancelled.as_asgi(init={"calls": calls})) as peer:
        await peer.connect()
        peer.stop()
    assert peer.future.cancelled()
