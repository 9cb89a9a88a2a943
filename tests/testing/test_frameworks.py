"""Applications of Starlette and FastAPI. `make suites` runs those projects' own tests with the kit."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated

import fastapi
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_ws import ConnectionClosed
from asgi_ws._asgi import ASGIApp
from asgi_ws.testing import (
    Denied,
    LifespanManager,
    TestClient,
    WebSocketCommunicator,
    WebSocketDenialResponse,
    WebSocketTestSession,
    http_client,
)

Handler = Callable[[WebSocket], Awaitable[None]]


def handled_by(handler: Handler) -> Starlette:
    return Starlette(routes=[WebSocketRoute("/", handler)])


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


class Echo(WebSocketEndpoint):
    encoding = "json"

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="v1" if "v1" in websocket.scope["subprotocols"] else None)

    async def on_receive(self, websocket: WebSocket, data: object) -> None:
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


@pytest.mark.parametrize("app", [fast, starlette], ids=["fastapi", "starlette"])
def test_the_lifespan_runs_again_in_each_block(app: ASGIApp) -> None:
    client = TestClient(app)
    for _ in range(2):
        with client:
            assert client.app_state == {"prices": {"tea": 3}}
        assert client.app_state == {}


# -- WebSockets of Starlette, as its own tests and its documentation use them


async def says_url(ws: WebSocket) -> None:
    await ws.accept(headers=[(b"additional", b"header")])
    await ws.send_json({"url": str(ws.url), "params": dict(ws.query_params), "port": ws.url.port})
    await ws.close()


async def iterates(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_json(await ws.receive_json(mode="binary"), mode="binary")
    await ws.send_bytes(await ws.receive_bytes())
    async for message in ws.iter_json():
        await ws.send_json({"message": message})


async def denies(ws: WebSocket) -> None:
    await ws.send_denial_response(Response(status_code=404, content="foo", headers={"foo": "bar"}))


def test_a_handler_sees_the_url_and_the_test_its_headers() -> None:
    with TestClient(handled_by(says_url)).websocket_connect("ws://example.com:123/?a=abc") as websocket:
        assert websocket.extra_headers == [(b"additional", b"header")]
        seen = websocket.receive_json()
    assert seen == {"url": "ws://example.com:123/?a=abc", "params": {"a": "abc"}, "port": 123}


def test_messages_of_each_kind_go_there_and_back() -> None:
    with TestClient(handled_by(iterates)).websocket_connect("/") as websocket:
        websocket.send_json({"test": "data"}, mode="binary")
        assert websocket.receive_json(mode="binary") == {"test": "data"}
        websocket.send_bytes(b"Hello, world!")
        assert websocket.receive_bytes() == b"Hello, world!"
        websocket.send_json("数据")
        assert websocket.receive_text() == '{"message":"数据"}'


def test_a_denial_response_is_raised_with_its_content() -> None:
    with pytest.raises(WebSocketDenialResponse) as denied, TestClient(handled_by(denies)).websocket_connect("/"):
        pass
    assert (denied.value.status_code, denied.value.content, denied.value.headers["foo"]) == (404, b"foo", "bar")


def test_each_end_is_told_of_the_others_close() -> None:
    told: list[WebSocketDisconnect] = []

    async def waits_and_closes(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await ws.receive_text()
        except WebSocketDisconnect as left:
            told.append(left)
        else:
            await ws.close(1001, "Going Away")

    client = TestClient(handled_by(waits_and_closes))
    with client.websocket_connect("/") as websocket:
        websocket.close(1001, "Going Away")
    with client.websocket_connect("/") as websocket:
        websocket.send_text("close")
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive_text()
    assert [(each.code, each.reason) for each in (told[0], closed.value)] == [(1001, "Going Away")] * 2


async def receives_twice_after_the_end(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive()
    await ws.receive()


# Starlette's own class finds these wrong. Its error reaches the test, and nothing of the kit's comes first.
WRONG: Mapping[str, Handler] = {
    "receive after the end": receives_twice_after_the_end,
    "receive before accept": lambda ws: ws.receive_json(),
    "send before accept": lambda ws: ws.send({"type": "websocket.send"}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_that_starlette_finds_is_its_own_error(name: str) -> None:
    def use(websocket: WebSocketTestSession) -> None:
        websocket.close()

    with pytest.raises(RuntimeError), TestClient(handled_by(WRONG[name])).websocket_connect("/") as websocket:
        use(websocket)


def test_a_disconnect_that_a_handler_lets_out_fails_the_test_as_a_server_logs_it() -> None:
    client = TestClient(handled_by(iterates))
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/"):
        pass
