"""A FastAPI and a Starlette application in the manner of their documentation."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import (
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Query,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    status,
)
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from benchmarks.apps.connection_manager import ConnectionManager

# The endings of handlers, by name or by close code.
endings: list[str | int] = []


async def ended(request: object) -> JSONResponse:
    return JSONResponse(endings)


# -- FastAPI

fastapi_app = FastAPI()
fastapi_app.add_route("/endings", ended)
manager = ConnectionManager()


@fastapi_app.websocket("/chat/{client_id}")
async def chat(websocket: WebSocket, client_id: int) -> None:
    await manager.connect(websocket)
    try:
        while True:
            data = await websocket.receive_text()
            await manager.broadcast(f"Client #{client_id} says: {data}")
    except WebSocketDisconnect as left:
        manager.disconnect(websocket)
        await manager.broadcast(f"Client #{client_id} left the chat: {left.code} {left.reason}")


async def token(websocket: WebSocket, token: Annotated[str | None, Query()] = None) -> str:
    if token is None:
        raise WebSocketException(code=status.WS_1008_POLICY_VIOLATION)
    return token


@fastapi_app.websocket("/items/{item}")
async def items(
    websocket: WebSocket, item: int, token: Annotated[str, Depends(token)], x_probe: Annotated[str, Header()] = ""
) -> None:
    await websocket.accept(subprotocol="b", headers=[(b"x-probe", x_probe.encode())])
    await websocket.send_json({"item": item, "token": token, "url": str(websocket.url.path)})
    await websocket.send_bytes(await websocket.receive_bytes())
    await websocket.close(code=4001, reason="done")


@fastapi_app.websocket("/denied")
async def denied(websocket: WebSocket) -> None:
    await websocket.send_denial_response(JSONResponse({"why": "no"}, status_code=402, headers={"x-probe": "denied"}))


@fastapi_app.websocket("/refused")
async def refused(websocket: WebSocket) -> None:
    raise HTTPException(status_code=401, detail="who are you?")


@fastapi_app.websocket("/careless")
async def careless(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.receive_text()
    finally:
        endings.append("careless")


@fastapi_app.websocket("/pushing")
async def pushing(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text("tick")
            await asyncio.sleep(0.01)
    finally:
        endings.append("pushing")


@fastapi_app.websocket("/tidy")
async def tidy(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass
    finally:
        await websocket.close()
        endings.append("tidy")


@fastapi_app.websocket("/stumbles")
async def stumbles(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        await websocket.receive_text()
    except WebSocketDisconnect:
        endings.append("stumbles")
        raise KeyError("on purpose") from None


@fastapi_app.websocket("/fails")
async def fails(websocket: WebSocket) -> None:
    await websocket.accept()
    raise RuntimeError("on purpose")


@fastapi_app.get("/http")
async def http() -> dict[str, str]:
    return {"hello": "world"}


# -- Starlette


class Echo(WebSocketEndpoint):
    encoding = "json"

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json({"greeting": websocket.state.greeting})

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_json({"received": data})

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        endings.append(close_code)


async def letters(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        for letter in text:
            await websocket.send_text(letter)
    endings.append("letters")


async def hello(request: object) -> PlainTextResponse:
    return PlainTextResponse("Hello, World!")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
    yield {"greeting": "hello"}


starlette_app = Starlette(
    routes=[
        Route("/http", hello),
        Route("/endings", ended),
        WebSocketRoute("/echo", Echo),
        Mount("/below", routes=[WebSocketRoute("/letters", letters)]),
    ],
    lifespan=lifespan,
)
