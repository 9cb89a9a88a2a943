"""on_disconnect: called once, with the code, if on_connect was entered, for every way in which that ended."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from asgi_ws import ConnectionClosed, HTTPError, Limits, WebSocket, WebSocketEndpoint
from asgi_ws.testing import Denied, VirtualClock, WebSocketCommunicator

from ..outcomes import refusal
from ..recorder import Boom, Recorder, calls_of


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
    assert peer.close_code == 1011
    assert isinstance(peer.error, Boom)


@pytest.mark.parametrize(
    ("how", "code", "status"),
    [
        ("return", 1006, 403),
        ("raise", 1006, 500),
        ("http error", 1006, 401),
        ("deny", 1006, 401),
        ("close", 4401, 403),
        ("accept and close", 4400, None),
    ],
)
async def test_on_disconnect_is_called_once_when_on_connect_did_not_leave_it_open(
    how: str, code: int, status: int | None
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

    calls: list[Any] = []
    app = Refusing.as_asgi(init={"calls": calls})
    async with WebSocketCommunicator(app, raise_server_exceptions=False) as peer:
        answer = await peer.connect()
        if isinstance(answer, Denied):
            assert answer.status == status
            assert answer.close_code == (code if how == "close" else None)
        else:
            assert status is None
            await peer.send("never seen")
            assert (await peer.wait_closed())[0] == code
    assert calls == [code]
    assert type(peer.error) is (Boom if how == "raise" else type(None))


async def test_on_disconnect_is_not_called_where_on_connect_was_not_entered() -> None:
    calls: list[Any] = []
    async with WebSocketCommunicator(Recorder.as_asgi(init={"calls": calls}), origin="https://evil.example") as peer:
        assert (await refusal(peer))[0] == 403
    assert calls == []


@pytest.mark.parametrize(
    ("server", "after_abort", "after_empty_close"),
    [
        ("uvicorn", 1005, 1005),
        ("asgi_ws", 1006, 1005),
        ("hypercorn", 1006, 1006),
        ("daphne", 1006, 1005),
        ("granian", 1005, 1005),
    ],
)
async def test_on_disconnect_gets_the_servers_code_for_an_abrupt_end_and_1005_where_there_is_none(
    server: str, after_abort: int, after_empty_close: int
) -> None:
    for is_abrupt, code in ((True, after_abort), (False, after_empty_close)):
        calls: list[Any] = []
        async with WebSocketCommunicator(Recorder.as_asgi(init={"calls": calls}), server=server) as peer:
            await peer.connect()
            await (peer.abort() if is_abrupt else peer.close(None))
        assert calls == ["connect", code]


async def test_an_on_disconnect_that_was_set_on_the_instance_is_called() -> None:
    seen: list[int] = []

    class Endpoint(WebSocketEndpoint):
        def __init__(self) -> None:
            async def note(ws: WebSocket, close_code: int) -> None:
                seen.append(close_code)

            self.on_disconnect = note  # type: ignore[method-assign]

    async with WebSocketCommunicator(Endpoint.as_asgi()) as peer:
        await peer.connect()
        await peer.close(4000)
        await peer.wait()
    assert seen == [4000]


async def test_an_on_disconnect_that_was_put_into_the_base_class_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    async def note(self: WebSocketEndpoint, ws: WebSocket, close_code: int) -> None:
        seen.append(close_code)

    class Endpoint(WebSocketEndpoint):
        pass

    monkeypatch.setattr(WebSocketEndpoint, "on_disconnect", note)
    async with WebSocketCommunicator(Endpoint.as_asgi()) as peer:
        await peer.connect()
        await peer.close(4000)
        await peer.wait()
    assert seen == [4000]


async def test_on_disconnect_gets_1012_when_the_server_stops() -> None:
    calls: list[Any] = []
    async with WebSocketCommunicator(Recorder.as_asgi(init={"calls": calls})) as peer:
        await peer.connect()
        peer.stop()
        assert (await peer.wait_closed())[0] == 1012
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

    calls: list[Any] = []
    with VirtualClock() as clock:
        async with WebSocketCommunicator(Slow.as_asgi(init={"calls": calls})) as peer:
            connecting = asyncio.create_task(refusal(peer))
            await clock.advance(Limits().accept_timeout or 0)
            assert (await connecting)[0] == 503
    assert calls == [1006]


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
    async with WebSocketCommunicator(app, raise_server_exceptions=False) as peer:
        await peer.connect()
        await peer.send("x")
    assert isinstance(peer.error, Boom)
    assert app.statistics().failed == 1
    assert [record.getMessage() for record in caplog.records] == ["on_disconnect raised after the endpoint had raised"]


async def test_on_disconnect_runs_though_the_end_itself_is_cancelled() -> None:
    calls: list[Any] = []
    with VirtualClock() as clock:
        async with WebSocketCommunicator(Recorder.as_asgi(init={"calls": calls}), high_water=0) as peer:
            await peer.connect()
            peer.pause_reading()
            peer.stop()
            await peer.wait_blocked()
            peer.stop()
            await clock.advance(1)
            assert peer.future.cancelled()
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
        async with WebSocketCommunicator(Seen.as_asgi(limits=limits)) as peer:
            await peer.connect()
        await asyncio.sleep(0)
        assert seen[0]() is None
    finally:
        gc.enable()
