"""An application of every kind of endpoint that a client can harm, for the soak of attacks."""

import asyncio
import gc
from dataclasses import asdict
from typing import Any, Final

from asgi_ws import (
    App,
    Hub,
    JSONResponse,
    Limits,
    OutboxLimits,
    Request,
    Response,
    Route,
    WebSocket,
    WebSocketEndpoint,
    WebSocketRoute,
    http_app,
    websocket_app,
)
from asgi_ws.uvicorn_protocol import WebSocketProtocol

KIB: Final = 1024

hub = Hub(outbox=OutboxLimits(max_bytes=64 * KIB, max_age=1.0))


class Impatient(WebSocketProtocol):
    """The class under test, for which fragments without an end are few."""

    max_fragments = 100


@websocket_app
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws:
        await ws.send(message)


@websocket_app
async def deaf(ws: WebSocket) -> None:
    """Read nothing for a while."""
    await ws.accept()
    await asyncio.sleep(0.5)


@websocket_app
async def flood(ws: WebSocket) -> None:
    """Send without end."""
    await ws.accept()
    async with ws.until_closed():
        while True:
            await ws.send("x" * 16 * KIB)
            await asyncio.sleep(0)


@websocket_app
async def room(ws: WebSocket) -> None:
    await ws.accept()
    async with hub.join(ws, ws.path_params["room"]) as membership:
        await ws.send("joined")
        async for message in ws:
            await membership.publish(message)


@websocket_app
async def denied(ws: WebSocket) -> None:
    await ws.deny(401, "x" * 64 * KIB)


@websocket_app
async def brief(ws: WebSocket) -> None:
    """Return at once."""
    await ws.accept()


@websocket_app
async def late(ws: WebSocket) -> None:
    """Accept after a while."""
    await asyncio.sleep(0.05)
    await ws.accept()
    await ws.send("late")


@websocket_app(limits=Limits(accept_timeout=0.2))
async def never(ws: WebSocket) -> None:
    """Do not answer."""
    await asyncio.sleep(3600)


class Numbers(WebSocketEndpoint):
    encoding = "json"

    async def on_receive(self, ws: WebSocket, data: Any) -> None:
        await ws.send_json(data)


@http_app
async def facts(request: Request) -> Response:
    """Return the open connections, the tasks and the hub's statistics, after a garbage collection."""
    gc.collect()
    tasks = sorted(task.get_name().rpartition("-")[0] or task.get_name() for task in asyncio.all_tasks())
    return JSONResponse({"open": app.statistics().open, "tasks": tasks, "hub": asdict(hub.statistics())})


app = App(
    [
        Route("/facts", facts),
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/deaf", deaf),
        WebSocketRoute("/flood", flood),
        WebSocketRoute("/room/{room}", room),
        WebSocketRoute("/denied", denied),
        WebSocketRoute("/brief", brief),
        WebSocketRoute("/late", late),
        WebSocketRoute("/never", never),
        WebSocketRoute("/json", Numbers.as_asgi()),
        WebSocketRoute("/busy", Numbers.as_asgi(limits=Limits(messages_per_second=5))),
        WebSocketRoute("/idle", Numbers.as_asgi(limits=Limits(idle_timeout=0.2))),
    ],
    lifespan=[hub],
)
