"""Every wait of the test client has a bound. Its error names the application's current line."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from asgi_ws import App, Request, Response, Route, WebSocket, WebSocketRoute, http_app, websocket_app
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import TestClient, WaitTimeout, WebSocketTestSession
from asgi_ws.testing.portal import BlockingPortal
from tests.kit_bounds import USERS_BOUNDS

# Handlers that block a loop return when this is set, so that no thread is left for the next test.
LET_GO = threading.Event()


@pytest.fixture(autouse=True)
def _unblocked() -> Iterator[None]:
    LET_GO.clear()
    yield
    LET_GO.set()


def block() -> None:
    LET_GO.wait(30)


@http_app
async def hangs(request: Request) -> Response:
    await asyncio.Event().wait()
    return Response("")


@http_app
async def blocks(request: Request) -> Response:
    block()
    return Response("")


@http_app
async def answers(request: Request) -> Response:
    return Response("ok")


@websocket_app
async def silent(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive()


@websocket_app
async def deaf(ws: WebSocket) -> None:
    await ws.accept()
    await asyncio.Event().wait()


@websocket_app
async def blocks_at_a_message(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive()
    block()


app = App(
    [
        Route("/hangs", hangs),
        Route("/blocks", blocks),
        WebSocketRoute("/silent", silent),
        WebSocketRoute("/deaf", deaf),
        WebSocketRoute("/blocks", blocks_at_a_message),
    ]
)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(app, timeout=0.2) as client:
        yield client


def test_a_wait_of_a_user_is_bounded_by_a_second_or_five() -> None:
    assert USERS_BOUNDS == {"WebSocketCommunicator": 1.0, "TestClient": 5.0, "LifespanManager": 5.0, "http_client": 5.0}


# -- applications that wait


def test_a_request_without_a_response_ends(client: TestClient) -> None:
    with pytest.raises(WaitTimeout, match=r"await asyncio\.Event") as late:
        client.get("/hangs")
    assert late.value.awaited == "the application to answer and end"


def test_an_application_that_outlives_its_peer_fails_the_test(client: TestClient) -> None:
    with pytest.raises(WaitTimeout, match="the application to end"), client.websocket_connect("/deaf"):
        pass


# -- applications that block the loop


def test_a_request_that_blocks_the_loop_ends_with_the_line_that_does(client: TestClient) -> None:
    with pytest.raises(WaitTimeout, match="the event loop is blocked") as late:
        client.get("/blocks")
    assert "LET_GO.wait(30)" in str(late.value)
    assert "in blocks" in str(late.value)
    assert "asyncio" not in str(late.value)
    assert late.value.awaited == "the response to GET http://testserver/blocks"
    LET_GO.set()


def test_leaving_a_loop_that_is_blocked_does_not_hang() -> None:
    with pytest.raises(WaitTimeout, match=r"an earlier call blocked the event loop: .* the application to end") as late:
        _blocks_everything()
    assert "waiting for lifespan.shutdown.complete" in "".join(late.value.__notes__)


def _blocks_everything() -> None:
    with (
        TestClient(app, timeout=0.2) as client,
        client.virtual_time(),
        client.websocket_connect("/blocks") as websocket,
    ):
        with pytest.raises(WaitTimeout, match=r"LET_GO\.wait"):
            _say_and_listen(websocket)
        with pytest.raises(WaitTimeout, match=r"an earlier call blocked the event loop: .* for room") as later:
            websocket.send_text("x")
        assert later.value.place.startswith("test_client_waits.py:")


def _say_and_listen(websocket: WebSocketTestSession) -> None:
    websocket.send_text("x")
    websocket.receive_text()


def test_a_loop_that_goes_on_after_all_is_used_again() -> None:
    client = TestClient(app, timeout=0.2)
    with pytest.raises(WaitTimeout):
        client.get("/blocks")
    LET_GO.set()
    assert client.get("/blocks").status_code == 200


def test_a_client_that_is_left_blocked_starts_again_in_another_loop() -> None:
    client = TestClient(app, timeout=0.2)
    with pytest.raises(WaitTimeout, match=r"an earlier call blocked the event loop: .* lifespan\.shutdown"):
        _is_blocked_twice(client)
    with client, client.websocket_connect("/silent") as websocket:
        websocket.send_text("x")
        assert websocket.wait_closed() == (1000, "")


def _is_blocked_twice(client: TestClient) -> None:
    with client:
        with pytest.raises(WaitTimeout, match="the event loop is blocked"):
            client.get("/blocks")
        with pytest.raises(WaitTimeout, match=r"an earlier call blocked the event loop: .* the response to GET"):
            client.get("/silent")


def test_a_client_without_a_block_goes_on_in_another_loop() -> None:
    client = TestClient(App([Route("/blocks", blocks), Route("/", answers)]), timeout=0.2)
    with pytest.raises(WaitTimeout, match="the event loop is blocked"):
        client.get("/blocks")
    assert client.get("/").text == "ok"


def test_a_loop_that_has_recovered_is_left_as_any_other() -> None:
    events = []

    @asynccontextmanager
    async def resource() -> AsyncIterator[None]:
        yield
        events.append("closed")

    @websocket_app
    async def blocks_and_fails(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()
        block()
        raise KeyError("own")

    def use(client: TestClient) -> None:
        with client.websocket_connect("/") as websocket:
            with pytest.raises(WaitTimeout, match="the event loop is blocked"):
                _say_and_listen(websocket)
            LET_GO.set()

    recovers = App([WebSocketRoute("/", blocks_and_fails)], lifespan=[resource])
    with TestClient(recovers, timeout=0.2) as client, pytest.raises(KeyError, match="own"):
        use(client)
    assert events == ["closed"]


def test_a_loop_that_does_not_end_is_a_note_to_the_tests_own_error() -> None:
    async def stays(scope: Scope, receive: Receive, send: Send) -> None:
        kept.append(asyncio.create_task(_stubborn()))
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    kept: list[asyncio.Task[None]] = []
    with pytest.raises(ZeroDivisionError) as own, TestClient(stays, timeout=0.1, check_leaks=False):
        raise ZeroDivisionError
    assert own.value.__notes__ == [
        "Besides, WaitTimeout: timed out after 0.1 s waiting for the test client's loop to end"
    ]


async def _stubborn() -> None:
    while not LET_GO.is_set():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)


def test_a_loop_that_cannot_be_made_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(asyncio.events, "new_event_loop", fails)
    with pytest.raises(OSError, match="too many open files"):
        TestClient(app).get("/")


# -- callbacks that would end the loop


def test_an_application_that_ends_the_process_ends_the_test() -> None:
    async def exits(scope: Scope, receive: Receive, send: Send) -> None:
        sys.exit(3)

    client = TestClient(exits)
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            client.get("/")
        assert ended.value.code == 3


def test_one_that_does_so_over_a_websocket_leaves_the_others_alone() -> None:
    async def exits(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        if (await receive())["type"] == "websocket.receive":
            sys.exit(3)

    client = TestClient(exits)
    with client.websocket_connect("/") as other:
        with client.websocket_connect("/") as websocket, pytest.raises(SystemExit):
            _say_and_listen(websocket)
        other.close()


def _of_handler(act: Callable[[], object]) -> TestClient:
    """Return a client of an application that calls `act` outside of its tasks, in a callback of the loop."""

    @http_app
    async def handler(request: Request) -> Response:
        asyncio.get_running_loop().call_soon(act)
        return Response("")

    return TestClient(App([Route("/", handler), Route("/other", answers)]))


def test_a_callback_that_ends_the_process_ends_the_test() -> None:
    client = _of_handler(lambda: sys.exit(3))
    with pytest.raises(SystemExit) as ended:
        client.get("/")
    assert ended.value.code == 3
    assert client.get("/other").text == "ok"


def test_what_left_the_loop_last_is_raised_by_its_end() -> None:
    loop = BlockingPortal(5)

    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def exits() -> None:
        left.set()
        sys.exit(3)

    left = threading.Event()
    loop.call(running, "the loop").call_soon_threadsafe(exits)
    assert left.wait(30)
    with pytest.raises(SystemExit):
        loop.stop()
    loop.stop()


def test_an_application_that_stops_the_loop_is_told_so() -> None:
    @http_app
    async def stops(request: Request) -> Response:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.05)
        return Response("")

    client = TestClient(App([Route("/", stops), Route("/other", answers)]))
    with pytest.raises(RuntimeError, match=r"the application stopped the event loop: it called loop\.stop\(\)"):
        client.get("/")
    assert client.get("/other").text == "ok"


def test_a_call_that_has_no_bound_of_its_own_gets_one() -> None:
    loop = BlockingPortal(0.01)
    with pytest.raises(WaitTimeout, match="the event loop goes on, and nothing in it ends this wait"):
        loop.call(asyncio.Event().wait, "an event")
    loop.stop()


def test_a_call_ends_when_another_thread_ends_the_loop() -> None:
    loop, is_under_way, raised = BlockingPortal(5), threading.Event(), []

    async def waits() -> None:
        is_under_way.set()
        await asyncio.Event().wait()

    def calls() -> None:
        with pytest.raises(RuntimeError) as ended:
            loop.call(waits, "an event")
        raised.append(str(ended.value))

    caller = threading.Thread(target=calls)
    caller.start()
    assert is_under_way.wait(30)
    loop.stop()
    caller.join(30)
    assert raised == ["an event: the test client's loop has ended, with the block of the client or by close()"]


def test_an_application_that_calls_its_own_test_client_is_told_so() -> None:
    @http_app
    async def calls(request: Request) -> Response:
        return Response(own.get("/").text)

    own = TestClient(App([Route("/", calls)]))
    with pytest.raises(RuntimeError, match="in the loop that it needs"):
        own.get("/")


def test_a_connection_is_never_without_its_loop() -> None:
    client = TestClient(app, timeout=0.2)
    with client.websocket_connect("/silent") as websocket:
        with pytest.raises(WaitTimeout, match="the event loop is blocked"):
            client.get("/blocks")
        with pytest.raises(WaitTimeout, match="an earlier call blocked the event loop"):
            client.get("/blocks")
        LET_GO.set()
        websocket.send_text("x")
        assert websocket.wait_closed() == (1000, "")
