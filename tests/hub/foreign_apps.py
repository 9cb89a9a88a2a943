"""Applications of other frameworks whose sockets join a hub, written as their documentation has it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute as StarletteWebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket

from asgi_ws import App, Hub, WebSocket as OurWebSocket, WebSocketRoute, websocket_app
from asgi_ws._asgi import Receive, Scope, Send

from . import served_app
from .served_app import PADDING, hub, journal

# -- FastAPI


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with hub:
        yield


app = FastAPI(lifespan=lifespan)


@app.websocket("/fastapi/{room}")
async def fastapi_member(websocket: WebSocket, room: str, id: str) -> None:  # noqa: A002 -- the query's name
    await websocket.accept()
    how = "went on"
    try:
        async with hub.join(websocket, room, identity=id) as membership:
            await websocket.send_text("joined")
            while True:
                await membership.publish(await websocket.receive_text())
    except WebSocketDisconnect as left:
        how = f"left {left.code}"
    except BaseException as error:
        how = repr(error)
        raise
    finally:
        journal.note(id, "end", how)


@app.websocket("/careless/{room}")
async def careless_member(websocket: WebSocket, room: str, id: str) -> None:  # noqa: A002 -- the query's name
    await websocket.accept()
    async with hub.join(websocket, room, identity=id) as membership:
        await websocket.send_text("joined")
        while True:
            await membership.publish(await websocket.receive_text())


@app.post("/publish/{room}")
async def publish(room: str, text: str, count: int = 1, size: int = 0) -> dict[str, int]:
    for _ in range(count):
        await hub.publish(room, text.ljust(size, PADDING))
    return {"members": len(hub.members(room))}


def delivered_from_thread(room: str, text: str) -> dict[str, int]:
    before = hub.statistics().delivered
    hub.publish_from_thread(room, text)
    return {"delivered": hub.statistics().delivered - before}


@app.get("/synchronous/{room}")
def publish_from_thread(room: str, text: str) -> dict[str, int]:
    return delivered_from_thread(room, text)


@app.websocket("/finale/{room}")
async def finale_member(websocket: WebSocket, room: str, id: str) -> None:  # noqa: A002 -- the query's name
    await websocket.accept()
    async with hub.join(websocket, room, identity=id) as membership:
        await websocket.send_text("joined")
        _, arguments = await websocket.receive_json()
        for text in (*["large".ljust(arguments["size"], PADDING)] * arguments["count"], "see", "bye"):
            await membership.publish(text)
        journal.note(id, "published")


# -- Starlette


async def starlette_member(websocket: StarletteWebSocket) -> None:
    name = websocket.query_params["id"]
    await websocket.accept()
    how = "went on"
    try:
        async with hub.join(websocket, websocket.path_params["room"], identity=name) as membership:
            await websocket.send_text("joined")
            async for text in websocket.iter_text():
                await membership.publish(text)
            how = "left"
    finally:
        journal.note(name, "end", how)


app.mount("/starlette", Starlette(routes=[StarletteWebSocketRoute("/{room}", starlette_member)]))

# -- a synchronous view of Django


def publish_in_django(request: HttpRequest, room: str) -> JsonResponse:
    return JsonResponse(delivered_from_thread(room, str(request.GET["text"])))


urlpatterns = [path("django/<str:room>", publish_in_django)]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.django_settings")
django.setup()
settings.ROOT_URLCONF = __name__
settings.ALLOWED_HOSTS = ["127.0.0.1"]
app.mount("/below", get_asgi_application())

# -- no framework


async def bare_member(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve `/{room}?id=ID` as a plain ASGI callable."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    room = scope["path"].rpartition("/")[2]
    name = scope["query_string"].decode().removeprefix("id=")
    how = "went on"
    try:
        async with hub.join(send, room, identity=name) as membership:
            await send({"type": "websocket.send", "text": "joined"})
            while (event := await receive())["type"] == "websocket.receive":
                await membership.publish(event["text"])
            how = "left"
    finally:
        journal.note(name, "end", how)


app.mount("/bare", bare_member)
app.mount("/ours", served_app.app)

# -- an App below another framework, which does not run its lifespan: the hub starts at its first use

mounted_hub = Hub()


@websocket_app
async def mounted_member(ws: OurWebSocket) -> None:
    await ws.accept()
    async with mounted_hub.join(ws, ws.path_params["room"]) as membership:
        await ws.send("joined")
        async for message in ws:
            await membership.publish(message)


app.mount("/mounted", App([WebSocketRoute("/{room}", mounted_member)], lifespan=[mounted_hub]))
