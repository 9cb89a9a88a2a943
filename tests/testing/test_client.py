"""The test client without await: requests, the lifespan, time, and the loop behind them."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asgi_ws import App, Limits, Request, Response, Route, WebSocket, WebSocketRoute, http_app, websocket_app
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import TestClient, WebSocketTestSession


@http_app
async def show(request: Request) -> Response:
    body = await request.body()
    lines = [request.method, str(request.url), request.headers.get("cookie", ""), body.decode()]
    return Response("\n".join(lines), headers={"set-cookie": "visited=yes"})


@http_app
async def elsewhere(request: Request) -> Response:
    return Response("", status=307, headers={"location": "/show"})


@websocket_app
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws:
        await ws.send(message)


app = App(
    [Route("/show", show, methods=["GET", "POST"]), Route("/elsewhere", elsewhere), WebSocketRoute("/echo", echo)]
)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


# -- HTTP


def test_cookies_are_kept_and_redirects_followed(client: TestClient) -> None:
    response = client.get("/elsewhere")
    assert [r.status_code for r in response.history] == [307]
    assert response.cookies["visited"] == "yes"
    assert client.get("/show").text.splitlines()[2] == "visited=yes"
    assert client.get("/elsewhere", follow_redirects=False).status_code == 307


def test_the_template_of_a_response_is_there_as_with_starlettes_client() -> None:
    async def renders(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.debug", "info": {"template": "index.html", "context": {"a": 1}}})
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    response: Any = TestClient(renders).get("/")
    assert (response.template, response.context) == ("index.html", {"a": 1})


def test_arguments_stand_where_starlette_has_them() -> None:
    client = TestClient(app, "http://testserver", True, "", "asyncio", None, {"name": "value"})
    assert client.get("/show").text.splitlines()[2] == "name=value"


@pytest.mark.parametrize("backend", [{"backend": "trio"}, {"backend_options": {"use_uvloop": True}}])
def test_another_backend_is_refused(backend: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="this client needs asyncio, without options"):
        TestClient(app, **backend)


def test_a_websocket_url_is_no_request(client: TestClient) -> None:
    with pytest.raises(ValueError, match=r"a WebSocket is for TestClient\.websocket_connect"):
        client.get("ws://testserver/echo")


# -- the lifespan and the loop


def test_the_state_of_the_lifespan_reaches_requests_and_connections() -> None:
    events = []

    @asynccontextmanager
    async def resource() -> AsyncIterator[dict[str, str]]:
        events.append("open")
        yield {"database": "theirs"}
        events.append("closed")

    @http_app
    async def asks(request: Request) -> Response:
        return Response(request.state["database"])

    @websocket_app
    async def asks_too(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send(ws.state["database"])

    stated = App([Route("/", asks), WebSocketRoute("/", asks_too)], lifespan=[resource])
    with TestClient(stated) as client:
        assert client.app_state == {"database": "theirs"}
        assert client.get("/").text == "theirs"
        with client.websocket_connect("/") as websocket:
            assert websocket.receive_text() == "theirs"
        assert events == ["open"]
    assert events == ["open", "closed"]


def test_a_server_that_has_no_lifespan_runs_none() -> None:
    async def knows_connections_alone(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    with TestClient(knows_connections_alone, server="daphne") as client:
        assert client.get("/").status_code == 204
        with pytest.raises(RuntimeError, match="already entered"):
            client.__enter__()


def test_a_failure_of_the_start_is_raised_and_leaves_no_thread() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("no database")

    before = set(threading.enumerate())
    with pytest.raises(KeyError, match="no database"), TestClient(fails):
        pass
    assert not set(threading.enumerate()) - before


@pytest.mark.parametrize("how", ["close", "forget"])
def test_the_thread_ends_when_the_client_does(how: str) -> None:
    before = set(threading.enumerate())
    client = TestClient(app)
    client.get("/show")
    (thread,) = set(threading.enumerate()) - before
    if how == "close":
        client.close()
    else:
        del client
        gc.collect()
        # Dropping the last reference to the client does not wait for its thread.
        thread.join(30)
    assert not thread.is_alive()


def test_the_thread_ends_when_the_client_is_dropped_with_a_connection_and_says_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = set(threading.enumerate())
    websocket = TestClient(app).websocket_connect("/echo").__enter__()
    (thread,) = set(threading.enumerate()) - before
    del websocket
    gc.collect()
    thread.join(30)
    assert (thread.is_alive(), caplog.text) == (False, "")


def test_what_goes_wrong_at_the_end_of_the_loop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def leaves(scope: Scope, receive: Receive, send: Send) -> None:
        kept.append(asyncio.create_task(fails()))
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("own")

    kept: list[asyncio.Task[None]] = []
    client = TestClient(leaves, check_leaks=False)
    client.get("/")
    client.close()
    assert "KeyError: 'own'" in caplog.text


def test_a_closed_client_is_closed() -> None:
    client = TestClient(app)
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.get("/show")
    with pytest.raises(RuntimeError, match="closed"), client:
        pass
    with pytest.raises(RuntimeError, match="closed"), client.virtual_time():
        pass


def test_a_session_that_outlives_its_client_is_told_so() -> None:
    with TestClient(app) as client:
        websocket: WebSocketTestSession = client.websocket_connect("/echo").__enter__()
    with pytest.raises(RuntimeError, match="the test client's loop has ended"):
        websocket.send_text("x")
    with pytest.raises(RuntimeError, match="the test client's loop has ended"):
        websocket.__exit__(None, None, None)


# -- time


def test_an_idle_connection_is_closed_after_its_time() -> None:
    idle = websocket_app(limits=Limits(idle_timeout=60))(_listens)
    client = TestClient(App([WebSocketRoute("/", idle)]))
    with client.virtual_time() as clock, client.websocket_connect("/") as websocket:
        clock.settle()
        assert clock.next_timer == 60
        started = clock.time()
        clock.advance(59)
        websocket.send_text("still here")
        clock.advance(59)
        assert websocket.receive_nothing()
        clock.advance(1)
        assert websocket.wait_closed()[0] == 4408
        assert clock.elapsed == 119
        assert clock.time() - started == pytest.approx(119)


async def _listens(ws: WebSocket) -> None:
    await ws.accept()
    async for _ in ws:
        pass
