"""The examples of Starlette's and FastAPI's documentation, as they stand there but for the imports of the client.

From docs/testclient.md and docs/websockets.md of Starlette (BSD-3-Clause, Copyright Encode OSS Ltd.), and from
docs_src/websockets_, docs_src/app_testing and the tests of them in FastAPI (MIT, Copyright Sebastián Ramírez).
"""

# ruff: noqa: PT012, SIM117 -- the tests are as their authors have them

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import fastapi
import fastapi.websockets
import pytest
from fastapi import Cookie, Depends, FastAPI, Query, WebSocketException, status
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from asgi_ws.testing import TestClient, WebSocketDenialResponse

# -- Starlette, docs/testclient.md


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    response = HTMLResponse("<html><body>Hello, world!</body></html>")
    await response(scope, receive, send)


def test_app() -> None:
    client = TestClient(page)
    response = client.get("/")
    assert response.status_code == 200


async def echo_request(request: Request) -> PlainTextResponse:
    body = await request.body()
    return PlainTextResponse(f"{request.headers.get('authorization')} {body.decode()}")


def test_headers_and_files(tmp_path: Path) -> None:
    (tmp_path / "example.txt").write_text("x")
    client = TestClient(Starlette(routes=[Route("/", echo_request), Route("/form", echo_request, methods=["POST"])]))

    # Set headers on the client for future requests
    client.headers = {"Authorization": "..."}
    assert client.get("/").text == "... "

    # Set headers for each request separately
    assert client.get("/", headers={"Authorization": "other"}).text == "other "

    # Send a single file
    with (tmp_path / "example.txt").open("rb") as f:
        response = client.post("/form", files={"file": f})
    assert 'filename="example.txt"' in response.text


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "websocket"
    websocket = WebSocket(scope, receive=receive, send=send)
    await websocket.accept()
    await websocket.send_text("Hello, world!")
    await websocket.close()


def test_websocket_app() -> None:
    client = TestClient(hello)
    with client.websocket_connect("/") as websocket:
        data = websocket.receive_text()
        assert data == "Hello, world!"


async def show_client(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(request.client))


def test_change_client_address() -> None:
    app = Starlette(routes=[Route("/", show_client)])
    client = TestClient(app, client=("localhost", 8000))
    assert client.get("/").text == "Address(host='localhost', port=8000)"


# -- Starlette, docs/websockets.md


async def iterate(scope: Scope, receive: Receive, send: Send) -> None:
    websocket = WebSocket(scope=scope, receive=receive, send=send)
    await websocket.accept()
    async for message in websocket.iter_text():
        await websocket.send_text(f"Message text was: {message}")
    await websocket.close()


def test_iterating_data() -> None:
    with TestClient(iterate).websocket_connect("/") as websocket:
        websocket.send_text("one")
        assert websocket.receive_text() == "Message text was: one"


def is_authorized(subprotocols: list[str]) -> bool:
    return subprotocols == ["Authorization", "token"]


async def websocket_endpoint(websocket: WebSocket) -> None:
    subprotocols = websocket.scope["subprotocols"]
    if not is_authorized(subprotocols):
        raise HTTPException(status_code=401, detail="Unauthorized")
    await websocket.accept("Authorization")
    await websocket.send_text("Hello, world!")
    await websocket.close()


def test_send_denial_response() -> None:
    client = TestClient(Starlette(debug=True, routes=[WebSocketRoute("/ws", websocket_endpoint)]))
    with client.websocket_connect("/ws", subprotocols=["Authorization", "token"]) as websocket:
        assert websocket.accepted_subprotocol == "Authorization"
        assert websocket.receive_text() == "Hello, world!"
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/ws"):
        pass
    assert (denied.value.status_code, denied.value.text) == (401, "Unauthorized")


# -- FastAPI, docs_src/app_testing

items: dict[str, Any] = {}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    items["foo"] = {"name": "Fighters"}
    items["bar"] = {"name": "Tenders"}
    yield
    # clean up items
    items.clear()


documented = FastAPI(lifespan=lifespan)


@documented.get("/")
async def read_main() -> dict[str, str]:
    return {"msg": "Hello World"}


@documented.get("/items/{item_id}")
async def read_items(item_id: str) -> Any:
    return items[item_id]


@documented.websocket("/ws")
async def say_hello(websocket: fastapi.WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json({"msg": "Hello WebSocket"})
    await websocket.close()


def test_read_main() -> None:
    client = TestClient(documented)
    response = client.get("/")
    assert response.status_code == 200
    assert response.json() == {"msg": "Hello World"}


def test_websocket() -> None:
    client = TestClient(documented)
    with client.websocket_connect("/ws") as websocket:
        data = websocket.receive_json()
        assert data == {"msg": "Hello WebSocket"}


def test_read_items() -> None:
    # Before the lifespan starts, "items" is still empty
    assert items == {}

    with TestClient(documented) as client:
        # Inside the "with TestClient" block, the lifespan starts and items added
        assert items == {"foo": {"name": "Fighters"}, "bar": {"name": "Tenders"}}

        response = client.get("/items/foo")
        assert response.status_code == 200
        assert response.json() == {"name": "Fighters"}

    # The end of the "with TestClient" block simulates terminating the app, so
    # the lifespan ends and items are cleaned up
    assert items == {}


# -- FastAPI, docs_src/websockets_/tutorial002 and its tests

credentials = FastAPI()


async def get_cookie_or_token(
    websocket: fastapi.WebSocket,
    session: Annotated[str | None, Cookie()] = None,
    token: Annotated[str | None, Query()] = None,
) -> str | None:
    if session is None and token is None:
        raise WebSocketException(code=status.WS_1008_POLICY_VIOLATION)
    return session or token


@credentials.websocket("/items/{item_id}/ws")
async def item_endpoint(
    *,
    websocket: fastapi.WebSocket,
    item_id: str,
    q: int | None = None,
    cookie_or_token: Annotated[str, Depends(get_cookie_or_token)],
) -> None:
    await websocket.accept()
    while True:
        data = await websocket.receive_text()
        await websocket.send_text(f"Session cookie or query token value is: {cookie_or_token}")
        if q is not None:
            await websocket.send_text(f"Query parameter q is: {q}")
        await websocket.send_text(f"Message text was: {data}, for item ID: {item_id}")


def test_websocket_with_cookie() -> None:
    client = TestClient(credentials, cookies={"session": "fakesession"})
    # The application lets FastAPI's own exception out when the client leaves, as FastAPI's tests expect.
    with pytest.raises(fastapi.websockets.WebSocketDisconnect):
        with client.websocket_connect("/items/foo/ws") as websocket:
            message = "Message one"
            websocket.send_text(message)
            data = websocket.receive_text()
            assert data == "Session cookie or query token value is: fakesession"
            data = websocket.receive_text()
            assert data == f"Message text was: {message}, for item ID: foo"


def test_websocket_with_header_and_query() -> None:
    client = TestClient(credentials)
    with pytest.raises(fastapi.websockets.WebSocketDisconnect):
        with client.websocket_connect("/items/2/ws?q=3&token=some-token") as websocket:
            message = "Message one"
            websocket.send_text(message)
            data = websocket.receive_text()
            assert data == "Session cookie or query token value is: some-token"
            data = websocket.receive_text()
            assert data == "Query parameter q is: 3"
            data = websocket.receive_text()
            assert data == f"Message text was: {message}, for item ID: 2"


def test_websocket_no_credentials() -> None:
    client = TestClient(credentials)
    with pytest.raises(fastapi.WebSocketDisconnect):
        with client.websocket_connect("/items/foo/ws"):
            pytest.fail("did not raise WebSocketDisconnect on __enter__")


def test_websocket_invalid_data() -> None:
    client = TestClient(credentials)
    with pytest.raises(fastapi.WebSocketDisconnect):
        with client.websocket_connect("/items/foo/ws?q=bar&token=some-token"):
            pytest.fail("did not raise WebSocketDisconnect on __enter__")


# -- FastAPI, docs_src/websockets_/tutorial003 and its tests

rooms = FastAPI()


class ConnectionManager:
    def __init__(self) -> None:
        self.active_connections: list[fastapi.WebSocket] = []

    async def connect(self, websocket: fastapi.WebSocket) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: fastapi.WebSocket) -> None:
        self.active_connections.remove(websocket)

    async def send_personal_message(self, message: str, websocket: fastapi.WebSocket) -> None:
        await websocket.send_text(message)

    async def broadcast(self, message: str) -> None:
        for connection in self.active_connections:
            await connection.send_text(message)


manager = ConnectionManager()


@rooms.websocket("/ws/{client_id}")
async def room_endpoint(websocket: fastapi.WebSocket, client_id: int) -> None:
    await manager.connect(websocket)
    try:
        while True:
            data = await websocket.receive_text()
            await manager.send_personal_message(f"You wrote: {data}", websocket)
            await manager.broadcast(f"Client #{client_id} says: {data}")
    except fastapi.WebSocketDisconnect:
        manager.disconnect(websocket)
        await manager.broadcast(f"Client #{client_id} left the chat")


def test_websocket_handle_disconnection() -> None:
    client = TestClient(rooms)
    with (
        client.websocket_connect("/ws/1234") as connection,
        client.websocket_connect("/ws/5678") as connection_two,
    ):
        connection.send_text("Hello from 1234")
        data1 = connection.receive_text()
        assert data1 == "You wrote: Hello from 1234"
        data2 = connection_two.receive_text()
        client1_says = "Client #1234 says: Hello from 1234"
        assert data2 == client1_says
        data1 = connection.receive_text()
        assert data1 == client1_says
        connection_two.close()
        data1 = connection.receive_text()
        assert data1 == "Client #5678 left the chat"
