"""An application that the frameworks mount, and that reports where it is mounted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asgi_ws import App, JSONResponse, Request, Route, WebSocket, WebSocketRoute, http_app, websocket_app
from asgi_ws._asgi import ASGIApp
from asgi_ws.testing import WebSocketCommunicator


@http_app
async def where(request: Request) -> JSONResponse:
    return JSONResponse({"root": request.scope["root_path"], "url": request.url, "params": dict(request.path_params)})


@websocket_app
async def where_ws(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws:
        started = getattr(ws.state, "started", None)
        await ws.send_json({"params": dict(ws.path_params), "url": ws.url, "said": message, "started": started})


def ours(end: str = "") -> App:
    """Return an application with HTTP, a WebSocket and a lifespan; each path has a parameter and ends in `end`."""

    @asynccontextmanager
    async def started() -> AsyncIterator[dict[str, bool]]:
        yield {"started": True}

    return App([Route(f"/where/{{x}}{end}", where), WebSocketRoute(f"/ws/{{x}}{end}", where_ws)], lifespan=[started])


async def say(app: ASGIApp, path: str, *, root_path: str = "") -> str | bytes:
    """Say hello over a WebSocket, as a page of the same origin; the answer."""
    async with WebSocketCommunicator(app, path, origin="http://testserver", root_path=root_path) as peer:
        await peer.connect()
        await peer.send("hello")
        return await peer.receive()
