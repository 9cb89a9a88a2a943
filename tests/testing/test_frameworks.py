"""A FastAPI and a Starlette application, tested with await and without."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request, WebSocket, WebSocketDisconnect
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket

from asgi_ws import ConnectionClosed
from asgi_ws._asgi import ASGIApp
from asgi_ws.testing import (
    Denied,
    LifespanManager,
    TestClient,
    WebSocketCommunicator,
    WebSocketDenialResponse,
    http_client,
)

# -- the applications


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[dict[str, dict[str, int]]]:
    yield {"prices": {"tea": 3}}


fast = FastAPI(lifespan=lifespan)


async def known_user(authorization: Annotated[str | None, Header()] = None) -> str:
    if authorization is None:
        raise HTTPException(401, "who are you?")
    return authorization.removeprefix("Bearer ")


@fast.get("/price/{item}")
async def price(item: str, request: Request, user: Annotated[str, Depends(known_user)]) -> dict[str, str | int]:
    return {"user": user, "price": request.state.prices[item]}


@fast.get("/blocking")
def blocking() -> str:
    return "from a thread"


@fast.websocket("/orders")
async def orders(websocket: WebSocket, user: Annotated[str, Depends(known_user)]) -> None:
    await websocket.accept()
    try:
        async for item in websocket.iter_text():
            await websocket.send_json({"user": user, "price": websocket.state.prices[item]})
    except WebSocketDisconnect:
        pass


class Echo(WebSocketEndpoint):
    encoding = "json"

    async def on_connect(self, websocket: StarletteWebSocket) -> None:
        await websocket.accept(subprotocol="v1" if "v1" in websocket.scope["subprotocols"] else None)

    async def on_receive(self, websocket: StarletteWebSocket, data: object) -> None:
        if data == "bye":
            await websocket.close(4000, "as you wish")
        else:
            await websocket.send_json(data)


async def state(request: StarletteRequest) -> JSONResponse:
    return JSONResponse(request.state.prices)


async def stream(request: StarletteRequest) -> StreamingResponse:
    async def parts() -> AsyncIterator[str]:
        for word in ("one", "two", "three"):
            yield word

    return StreamingResponse(parts())


async def fail(request: StarletteRequest) -> PlainTextResponse:
    raise KeyError("the application's own")


starlette = Starlette(
    routes=[
        Route("/state", state),
        Route("/stream", stream),
        Route("/fail", fail),
        Mount("/sub", routes=[WebSocketRoute("/echo", Echo)]),
    ],
    lifespan=lifespan,
    middleware=[Middleware(GZipMiddleware, minimum_size=1)],
)

ALICE = {"authorization": "Bearer alice"}

# -- with await


async def test_fastapi_with_await() -> None:
    async with LifespanManager(fast) as manager, http_client(fast, state=manager.state) as client:
        assert (await client.get("/price/tea", headers=ALICE)).json() == {"user": "alice", "price": 3}
        assert (await client.get("/price/tea")).status_code == 401
        assert (await client.get("/blocking")).json() == "from a thread"
        async with WebSocketCommunicator(fast, "/orders", headers=ALICE, state=manager.state) as ws:
            assert (await ws.connect()).accepted
            await ws.send("tea")
            assert await ws.receive_json() == {"user": "alice", "price": 3}


async def test_fastapi_refuses_with_await() -> None:
    async with WebSocketCommunicator(fast, "/orders") as ws:
        answer = await ws.connect()
        assert isinstance(answer, Denied)
        assert (answer.status, answer.body) == (401, b'{"detail":"who are you?"}')


async def test_starlette_with_await() -> None:
    async with LifespanManager(starlette) as manager, http_client(starlette, state=manager.state) as client:
        assert (await client.get("/state")).json() == {"tea": 3}
        response = await client.get("/stream")
        assert (response.text, response.headers["content-encoding"]) == ("onetwothree", "gzip")
        with pytest.raises(KeyError, match="the application's own"):
            await client.get("/fail")
    async with WebSocketCommunicator(starlette, "/sub/echo", subprotocols=["v1"]) as ws:
        await ws.connect()
        assert ws.accepted_subprotocol == "v1"
        await ws.send_json([1, 2])
        assert await ws.receive_json() == [1, 2]
        await ws.send_json("bye")
        with pytest.raises(ConnectionClosed, match="as you wish"):
            await ws.receive()


# -- without


def test_fastapi_without_await() -> None:
    with TestClient(fast, headers=ALICE) as client:
        assert client.get("/price/tea").json() == {"user": "alice", "price": 3}
        assert client.get("/blocking").json() == "from a thread"
        with client.websocket_connect("/orders") as websocket:
            websocket.send_text("tea")
            assert websocket.receive_json() == {"user": "alice", "price": 3}
        with client.websocket_connect("/orders", headers={"authorization": "Bearer bob"}) as websocket:
            websocket.send_text("tea")
            assert websocket.receive_json() == {"user": "bob", "price": 3}


def test_fastapi_refuses_without_await() -> None:
    client = TestClient(fast)
    assert client.get("/price/tea").status_code == 401
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/orders"):
        pass
    assert (denied.value.status_code, denied.value.json()) == (401, {"detail": "who are you?"})


def test_starlette_without_await() -> None:
    with TestClient(starlette) as client:
        assert client.get("/state").json() == {"tea": 3}
        assert client.get("/stream").text == "onetwothree"
        with pytest.raises(KeyError, match="the application's own"):
            client.get("/fail")
        with client.websocket_connect("/sub/echo", subprotocols=["v1"]) as websocket:
            assert websocket.accepted_subprotocol == "v1"
            websocket.send_json([1, 2])
            assert websocket.receive_json() == [1, 2]
            websocket.send_json("bye")
            assert websocket.wait_closed() == (4000, "as you wish")


@pytest.mark.parametrize("app", [fast, starlette], ids=["fastapi", "starlette"])
def test_the_lifespan_runs_again_in_each_block(app: ASGIApp) -> None:
    client = TestClient(app)
    for _ in range(2):
        with client:
            assert client.app_state == {"prices": {"tea": 3}}
        assert client.app_state == {}
