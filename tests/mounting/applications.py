"""What the frameworks mount: an application of ours that tells where it finds itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from asgi_ws import App, JSONResponse, Request, Route, WebSocket, WebSocketRoute, http_app, websocket_app
from asgi_ws._asgi import ASGIApp, Scope

from ..conversation import Conversation, websocket_scope


@http_app
async def where(request: Request) -> JSONResponse:
    return JSONResponse({"root": request.scope["root_path"], "url": request.url, "params": dict(request.path_params)})


@websocket_app
async def where_ws(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws:
        started = ws.state.get("started")
        await ws.send_json({"params": dict(ws.path_params), "url": ws.url, "said": message, "started": started})


def ours(end: str = "") -> App:
    """HTTP and a WebSocket, each with a parameter and `end` at the end, and something to start."""

    @asynccontextmanager
    async def started() -> AsyncIterator[dict[str, bool]]:
        yield {"started": True}

    return App([Route(f"/where/{{x}}{end}", where), WebSocketRoute(f"/ws/{{x}}{end}", where_ws)], lifespan=[started])


def client(app: ASGIApp, root_path: str = "") -> httpx.AsyncClient:
    """A client of an application in memory."""
    transport = httpx.ASGITransport(app, root_path=root_path)
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


def scope_of(path: str, *, root_path: str = "", origin: bytes = b"http://testserver") -> Scope:
    """A browser's handshake."""
    return websocket_scope(path, [(b"origin", origin)], root_path=root_path)


async def say(app: ASGIApp, scope: Scope, text: str = "hello") -> str:
    """Say something over a WebSocket; the answer."""
    async with Conversation(app, scope) as talk:
        await talk.accepted()
        talk.text(text)
        answer: str = (await talk.sent())["text"]
        talk.leave(1000)
    assert talk.error is None
    return answer
