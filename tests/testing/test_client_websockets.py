"""The WebSockets of the test client without await: handshakes, messages, and a network that fails."""

import sys
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any

import httpx2
import pytest
import starlette.testclient
import starlette.websockets

from asgi_ws import (
    App,
    ConnectionClosed,
    HTTPError,
    UnexpectedMessageType,
    WebSocket,
    WebSocketDisconnect,
    WebSocketRoute,
    websocket_app,
)
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import ApplicationEnded, TestClient, WebSocketDenialResponse

Handler = Callable[[WebSocket], Awaitable[None]]


@websocket_app
async def echo(ws: WebSocket) -> None:
    await ws.accept(headers=[("x-greeting", "hello")])
    async for message in ws:
        await ws.send(message)


@websocket_app
async def head(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_json({"url": str(ws.url), "headers": dict(ws.headers.multi_items())})


@websocket_app
async def denies(ws: WebSocket) -> None:
    raise HTTPError(418, "no coffee", headers={"x-kind": "pot"})


app = App([WebSocketRoute("/echo", echo), WebSocketRoute("/head", head), WebSocketRoute("/denies", denies)])


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


def only(handler: Handler, **options: Any) -> TestClient:
    return TestClient(App([WebSocketRoute("/", websocket_app(handler))]), **options)


# -- handshakes


def test_the_clients_settings_apply_to_the_handshake() -> None:
    client = TestClient(
        app, "https://example.org:8443", headers={"x-always": "1"}, cookies={"session": "s"}, client=("192.0.2.1", 9)
    )
    client.auth = ("user", "pass")
    with client.websocket_connect("/head", params={"q": "1"}, headers={"x-once": "2"}) as websocket:
        seen = websocket.receive_json()
        websocket.wait_closed()
    assert seen["url"] == "wss://example.org:8443/head?q=1"
    expected = {
        "host": "example.org:8443",
        "x-always": "1",
        "x-once": "2",
        "cookie": "session=s",
        "authorization": "Basic dXNlcjpwYXNz",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "user-agent": "testclient",
    }
    assert {name: seen["headers"].get(name) for name in expected} == expected
    assert websocket.scope["client"] == ["192.0.2.1", 9]


@pytest.mark.parametrize("url", ["ws://other.example/head", "http://other.example/head"])
def test_a_whole_url_has_its_own_host(client: TestClient, url: str) -> None:
    with client.websocket_connect(url) as websocket:
        assert websocket.receive_json()["url"] == "ws://other.example/head"


def test_a_url_of_another_scheme_is_refused(client: TestClient) -> None:
    with pytest.raises(ValueError, match="expected a path, or a ws:// or wss:// URL"):
        client.websocket_connect("ftp://testserver/head")


@pytest.mark.parametrize("how", [{"subprotocols": ["a", "b"]}, {"headers": {"sec-websocket-protocol": "a, b"}}])
def test_subprotocols_are_offered(how: dict[str, Any]) -> None:
    async def picks(ws: WebSocket) -> None:
        assert ws.subprotocols == ["a", "b"]
        await ws.accept(subprotocol="b")

    with only(picks).websocket_connect("/", **how) as websocket:
        assert websocket.accepted_subprotocol == "b"


def test_a_denial_is_a_response_and_an_exception(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect) as denied, client.websocket_connect("/denies"):
        pass
    response = denied.value
    assert isinstance(response, WebSocketDenialResponse)
    assert (response.status_code, response.text, response.headers["x-kind"]) == (418, "no coffee", "pot")
    assert (response.code, response.reason) == (1006, "")
    assert str(response) == "the handshake was denied with HTTP 418: a browser sees the close code 1006"


def test_the_code_of_a_close_before_accept_is_what_a_browser_sees() -> None:
    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 4001, "reason": "no token"})

    with pytest.raises(WebSocketDenialResponse) as denied, TestClient(refuses).websocket_connect("/"):
        pass
    assert (denied.value.status_code, denied.value.code, denied.value.unseen_code) == (403, 1006, 4001)
    assert "never the code 4001 that the application gave before accept" in str(denied.value)


# -- messages


def test_messages_of_every_kind_come_back(client: TestClient) -> None:
    with client.websocket_connect("/echo") as websocket:
        websocket.send_text("text")
        assert websocket.receive_text() == "text"
        websocket.send_bytes(b"bytes")
        assert websocket.receive_bytes() == b"bytes"
        websocket.send_json({"a": "ä"})
        assert websocket.receive_json() == {"a": "ä"}
        websocket.send_json([1], mode="binary")
        assert websocket.receive_json(mode="binary") == [1]
        assert websocket.receive_nothing()


def test_events_go_and_come_as_they_are(client: TestClient) -> None:
    with client.websocket_connect("/echo") as websocket:
        websocket.send({"type": "websocket.receive", "text": "x"})
        assert websocket.receive() == {"type": "websocket.send", "text": "x"}
        websocket.send({"type": "websocket.receive", "text": None, "bytes": b"x"})
        assert websocket.receive() == {"type": "websocket.send", "bytes": b"x"}
        websocket.send({"type": "websocket.disconnect", "code": 4000, "reason": "bye"})
        assert websocket.wait_closed() == (4000, "bye")
        with pytest.raises(ConnectionClosed, match="4000"):
            websocket.receive()


def test_a_close_of_the_application_is_an_event_or_an_exception() -> None:
    async def closes(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(4001, "done")

    with only(closes).websocket_connect("/") as websocket:
        assert websocket.receive() == {"type": "websocket.close", "code": 4001, "reason": "done"}
        with pytest.raises(WebSocketDisconnect, match="done"):
            websocket.receive_text()
        assert (websocket.close_code, websocket.close_reason) == (4001, "done")


@pytest.mark.parametrize("event", [{"type": "websocket.receive", "text": "x", "bytes": b"x"}, {}])
def test_what_a_test_gets_wrong_is_refused(client: TestClient, event: dict[str, Any]) -> None:
    websocket = client.websocket_connect("/echo")
    with pytest.raises(RuntimeError, match="not connected"):
        websocket.send_text("x")
    websocket.__exit__(None, None, None)
    with client.websocket_connect("/echo") as websocket:
        with pytest.raises(ValueError, match="a peer cannot cause"):
            websocket.send(event)
        with pytest.raises(ValueError, match="expected 'text' or 'binary'"):
            websocket.send_json(1, mode="html")  # type: ignore[arg-type] # a mistake that a test can make
        websocket.send_text("x")
        with pytest.raises(UnexpectedMessageType, match="expected a bytes message"):
            websocket.receive_bytes()


def test_an_application_that_ends_without_closing_is_an_error_and_not_an_event() -> None:
    async def bare(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    with TestClient(bare).websocket_connect("/") as websocket, pytest.raises(ApplicationEnded):
        websocket.receive()


# -- the network


def test_a_peer_may_stop_reading_and_lose_the_connection() -> None:
    ended = []

    async def floods(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive()
        for _ in range(1000):
            await ws.send("x" * 1024)
        await ws.wait_closed()
        ended.append(ws.close_code)

    with only(floods).websocket_connect("/") as websocket:
        websocket.pause_reading()
        websocket.send_text("go")
        websocket.wait_blocked()
        websocket.resume_reading()
        assert [websocket.receive_text() for _ in range(1000)] == ["x" * 1024] * 1000
        websocket.lose_connection()
        assert ended == []
        websocket.abort()
        assert websocket.wait_closed() == (1006, "")
    assert ended == [1006]


# -- tests that were written for Starlette


def test_a_test_may_catch_starlettes_exceptions_and_the_application_never_meets_them() -> None:
    async def closes(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await ws.receive()
        except ConnectionClosed as closed:
            met.append(type(closed))
        else:
            await ws.close(4001, "why")

    met: list[type[Exception]] = []
    with only(closes).websocket_connect("/"):
        pass
    with only(closes).websocket_connect("/") as websocket:
        websocket.send_text("x")
        with pytest.raises(starlette.websockets.WebSocketDisconnect) as raised:
            websocket.receive_text()
    closed: Any = raised.value
    assert isinstance(closed, ConnectionClosed)
    assert (closed.code, closed.reason, closed.args) == (4001, "why", (4001, "why"))
    assert (str(closed), repr(type(closed))) == (
        "connection closed with code 4001 ('why')",
        "<class 'asgi_ws.errors.ConnectionClosed'>",
    )
    assert not issubclass(met[0], starlette.websockets.WebSocketDisconnect)


@pytest.mark.parametrize("module", ["starlette.websockets", "starlette.testclient"])
def test_a_denial_is_one_of_them_too(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def denies(ws: WebSocket) -> None:
        await ws.close(4003)

    if module == "starlette.websockets":
        monkeypatch.delitem(sys.modules, "starlette.testclient")
    with pytest.raises(WebSocketDenialResponse) as raised, only(denies).websocket_connect("/"):
        pass
    kinds = {each.__module__ for each in type(raised.value).__mro__}
    assert kinds & {"starlette.websockets", "starlette.testclient"} == {"starlette.websockets", module}
    denial = raised.value
    assert (denial.status_code, denial.code, denial.unseen_code) == (403, 1006, 4003)


def test_without_starlette_they_are_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("starlette.websockets", "starlette.testclient"):
        monkeypatch.delitem(sys.modules, module)

    async def closes(ws: WebSocket) -> None:
        await ws.accept()

    with only(closes).websocket_connect("/") as websocket, pytest.raises(ConnectionClosed) as raised:
        websocket.receive_text()
    assert type(raised.value) is ConnectionClosed


def test_an_exception_of_the_applications_own_stays_what_it_is() -> None:
    async def lets_out(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        raise own

    own = ConnectionClosed(4000)
    with TestClient(lets_out).websocket_connect("/") as websocket, pytest.raises(ConnectionClosed) as raised:
        websocket.receive_text()
    assert raised.value is own


# -- handshakes are not requests


def test_hooks_see_the_handshake_and_no_response_to_it() -> None:
    seen: list[Any] = []

    class Auth(httpx2.Auth):
        def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
            request.headers["x-token"] = "t"
            seen.append((yield request))

    client = TestClient(app)
    client.event_hooks = {"request": [seen.append], "response": [seen.append]}
    client.auth = Auth()
    with client.websocket_connect("/head") as websocket:
        assert websocket.receive_json()["headers"]["x-token"] == "t"
    assert [type(each) for each in seen] == [httpx2.Request]


def test_nothing_is_kept_of_what_is_over() -> None:
    async def denies_or_raises(ws: WebSocket) -> None:
        if ws.query_params.get("denied"):
            await ws.close()
            return
        await ws.accept()
        raise KeyError("own")

    with only(denies_or_raises) as client:
        loop: Any = client._portal
        for _ in range(3):
            with pytest.raises(WebSocketDenialResponse), client.websocket_connect("/?denied=1"):
                pass
            with pytest.raises(KeyError), client.websocket_connect("/"):
                pass
        assert len(loop.kept) == 1
