"""Applications of Starlette and FastAPI. `make suites` runs those projects' own tests with the kit."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated

import fastapi
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_ws.testing import (
    Denied,
    LifespanManager,
    TestClient,
    WebSocketCommunicator,
    WebSocketDenialResponse,
    http_client,
)

Handler = Callable[[WebSocket], Awaitable[None]]


# -- whole applications


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
async def orders(websocket: fastapi.WebSocket, user: Annotated[str, Depends(known_user)]) -> None:
    await websocket.accept()
    try:
        async for item in websocket.iter_text():
            await websocket.send_json({"user": user, "price": websocket.state.prices[item]})
    except WebSocketDisconnect:
        pass


ALICE = {"authorization": "Bearer alice"}


async def test_fastapi_with_await() -> None:
    async with LifespanManager(fast) as manager, http_client(fast, state=manager.state) as client:
        assert (await client.get("/price/tea", headers=ALICE)).json() == {"user": "alice", "price": 3}
        assert (await client.get("/price/tea")).status_code == 401
        assert (await client.get("/blocking")).json() == "from a thread"
        async with WebSocketCommunicator(fast, "/orders", headers=ALICE, state=manager.state) as ws:
            assert (await ws.connect()).accepted
            await ws.send("tea")
            assert await ws.receive_json() == {"user": "alice", "price": 3}
    async with WebSocketCommunicator(fast, "/orders") as ws:
        answer = await ws.connect()
        assert isinstance(answer, Denied)
        assert (answer.status, answer.body) == (401, b'{"detail":"who are you?"}')


def test_fastapi_without_await() -> None:
    with TestClient(fast, headers=ALICE) as client:
        assert client.get("/price/tea").json() == {"user": "alice", "price": 3}
        assert client.get("/blocking").json() == "from a thread"
        for name in ("alice", "bob"):
            with client.websocket_connect("/orders", headers={"authorization": f"Bearer {name}"}) as websocket:
                websocket.send_text("tea")
                assert websocket.receive_json() == {"user": name, "price": 3}
    with pytest.raises(WebSocketDenialResponse) as denied, TestClient(fast).websocket_connect("/orders"):
        pass
    assert (denied.value.status_code, denied.value.json()) == (401, {"detail": "who are you?"})


# -- WebSockets of Starlette, as its own tests and its documentation use them


async def receives_twice_after_the_end(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive()
    await ws.receive()


# Starlette's own class refuses these. Its error reaches the test, and the kit does not raise before it.
WRONG: Mapping[str, Handler] = {
    "receive after the end": receives_twice_after_the_end,
    "receive before accept": lambda ws: ws.receive_json(),
    "send before accept": lambda ws: ws.send({"type": "websocket.send"}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_that_starlette_finds_is_its_own_error(name: str) -> None:
    app = Starlette(routes=[WebSocketRoute("/", WRONG[name])])
    with pytest.raises(RuntimeError), TestClient(app).websocket_connect("/") as websocket:
        websocket.close()


def test_a_disconnect_that_a_handler_lets_out_fails_the_test_as_a_server_logs_it() -> None:
    async def listens(ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive_text()

    app = Starlette(routes=[WebSocketRoute("/", listens)])
    with pytest.raises(WebSocketDisconnect), TestClient(app).websocket_connect("/"):
        pass


def test_a_client_runs_the_lifespan_again_in_each_block() -> None:
    client = TestClient(fast)
    for _ in range(2):
        with client:
            assert client.app_state == {"prices": {"tea": 3}}
        assert client.app_state == {}
