"""Applications that work on every server work with the kit. Suites of other projects showed these cases."""

import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from asgi_ws import websocket_app
from asgi_ws._asgi import Receive, Scope, Send
from asgi_ws.testing import Denied, ProtocolViolation, TestClient, WaitTimeout, WebSocketCommunicator, http_client

from ..applications import connected

user: ContextVar[str] = ContextVar("user", default="nobody")
ALL = ["spec", "uvicorn", "asgi_ws", "hypercorn", "daphne", "granian"]


async def tells_user(scope: Scope, receive: Receive, send: Send) -> None:
    """Report the current user over HTTP, WebSockets or in the state of the lifespan, and change it."""
    seen = user.get()
    user.set("the application's")
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["user"] = seen
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        await Response(seen)(scope, receive, send)
    else:
        ws = WebSocket(scope, receive, send)
        await ws.accept()
        await ws.send_text(seen)
        await ws.close()


def test_the_application_runs_in_a_copy_of_the_tests_context() -> None:
    user.set("ada")
    with TestClient(tells_user) as client:
        assert client.app_state["user"] == "ada"
        user.set("bob")
        assert client.get("/").text == "bob"
        with client.stream("GET", "/") as response:
            assert response.read() == b"bob"
        with client.websocket_connect("/") as websocket:
            assert websocket.receive_text() == "bob"
        assert user.get() == "bob"


async def test_with_await_it_runs_in_a_context_of_its_own() -> None:
    user.set("ada")
    async with http_client(tells_user) as client:
        assert (await client.get("/")).text == "nobody"
    async with connected(tells_user) as ws:
        assert await ws.receive() == "nobody"


@pytest.mark.parametrize(("server", "expected"), [(name, name != "granian") for name in ALL])
def test_a_request_is_disconnected_after_its_response_where_the_server_says_so(server: str, expected: bool) -> None:
    seen: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        seen.append(await request.is_disconnected())
        await Response(body)(scope, receive, send)
        seen.append(await request.is_disconnected())

    assert TestClient(app, server=server).post("/", content=b"foo").text == "foo"
    assert seen == [False, expected]


async def test_who_has_had_the_only_disconnect_waits_for_another_in_vain() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await Response("")(scope, receive, send)
        await receive()
        await receive()

    async with http_client(app, server="hypercorn", timeout=0.1) as client:
        with pytest.raises(WaitTimeout, match="waiting in receive"):
            await client.get("/")


def echo_of(body: Any) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
        await receive()
        await send({"type": f"{kind}.start", "status": 403, "headers": [(b"X-Kind", b"buffer")]})
        await send({"type": f"{kind}.body", "body": body})

    return app


@pytest.mark.parametrize("body", [bytearray(b"01234567"), memoryview(b"01234567")])
async def test_a_body_may_be_a_buffer_but_on_daphne(body: Any) -> None:
    for server in ALL[:4] + ALL[5:]:
        response = TestClient(echo_of(body), server=server).get("/")
        assert (response.content, response.headers["x-kind"]) == (b"01234567", "buffer")
        async with WebSocketCommunicator(echo_of(body), server=server) as ws:
            answer = await ws.connect()
            assert isinstance(answer, Denied)
            assert (answer.status, answer.body, answer.headers["x-kind"]) == (403, b"01234567", "buffer")
    with pytest.raises(ProtocolViolation, match=f"body: expected bytes, got {type(body).__name__}"):
        TestClient(echo_of(body), server="daphne").get("/")


async def test_a_buffer_of_wider_items_is_refused_since_servers_count_a_wrong_length() -> None:
    body = memoryview(b"01234567").cast("I")
    with pytest.raises(ProtocolViolation, match="body: expected bytes, got memoryview"):
        TestClient(echo_of(body)).get("/")
    with pytest.raises(ProtocolViolation, match="body: expected bytes, got memoryview"):
        async with connected(echo_of(body)):
            pass


def test_a_buffer_is_sent_as_it_is_in_that_moment() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        buffer = bytearray(b"one")
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": memoryview(buffer), "more_body": True})
        buffer[:] = b"two"
        await send({"type": "http.response.body", "body": memoryview(buffer)})

    assert TestClient(app).get("/").content == b"onetwo"


def test_an_application_of_asgi_2_is_called_twice() -> None:
    def function(scope: Scope) -> Any:
        async def instance(receive: Receive, send: Send) -> None:
            await tells_user(scope, receive, send)

        return instance

    class Double:
        def __init__(self, scope: Scope) -> None:
            self.scope = scope

        async def __call__(self, receive: Receive, send: Send) -> None:
            await tells_user(self.scope, receive, send)

    double: list[Any] = [function, Double]
    for app in double:
        with TestClient(app) as client:
            assert client.get("/").status_code == 200
            with client.websocket_connect("/") as websocket:
                assert websocket.receive_text() == user.get()


def test_an_application_that_returns_an_awaitable_is_called_once_also_where_its_signature_cannot_be_seen() -> None:
    class Plain:
        def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            return tells_user(scope, receive, send)

    class Unseen(Plain):
        @property
        def __signature__(self) -> inspect.Signature:
            raise ValueError

    for app in (Plain(), Unseen()):
        assert TestClient(app).get("/").status_code == 200


@pytest.mark.parametrize(
    ("base_url", "server", "host"),
    [
        ("http://testserver:0", ["testserver", 0], "testserver:0"),
        ("http://[::1]", ["::1", 80], "[::1]"),
        ("http://[::1]:8000", ["::1", 8000], "[::1]:8000"),
        ("http://[::1]:0", ["::1", 0], "[::1]:0"),
    ],
)
def test_a_base_url_may_have_any_host_and_port(base_url: str, server: list[Any], host: str) -> None:
    def seen(scope: Scope) -> dict[str, Any]:
        return {"server": scope["server"], "host": dict(scope["headers"])[b"host"].decode()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await JSONResponse(seen(scope))(scope, receive, send)
            return
        ws = WebSocket(scope, receive, send)
        await ws.accept()
        await ws.send_json(seen(scope))
        await ws.close()

    client = TestClient(app, base_url=base_url)
    assert client.get("/").json() == {"server": server, "host": host}
    with client.websocket_connect("/") as websocket:
        assert websocket.receive_json() == {"server": server, "host": host}


@pytest.mark.parametrize("way", ["close", "event"])
@pytest.mark.parametrize(
    ("code", "seen", "server"), [(1006, 1006, "spec"), (1005, 1005, "spec"), (1006, 1005, "uvicorn")]
)
def test_a_session_plays_a_peer_that_is_lost_or_gives_no_code(way: str, code: int, seen: int, server: str) -> None:
    codes: list[int | None] = []

    @websocket_app(origins=())
    async def app(ws: Any) -> None:
        await ws.accept()
        await ws.wait_closed()
        codes.append(ws.close_code)

    with TestClient(app, server=server).websocket_connect("/") as websocket:
        if way == "close":
            websocket.close(code)
        else:
            websocket.send({"type": "websocket.disconnect", "code": code})
        assert websocket.close_code == code
    assert codes == [seen]


def test_extensions_of_the_client_are_in_each_scope() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["extensions"]["tls"])
        await tells_user(scope, receive, send)

    client = TestClient(app, extensions={"tls": {"tls_version": 0x0304}})
    client.get("/")
    with client.websocket_connect("/"):
        pass
    assert seen == [{"tls_version": 0x0304}] * 2


@pytest.mark.parametrize("links", [None, b"</a.css>", ["</a.css>"]])
def test_early_hints_are_held_against_the_text(links: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": links})

    with pytest.raises(ProtocolViolation, match="links are values of Link headers"):
        TestClient(app, extensions={"http.response.early_hint": {}}).get("/")
