"""The default application: `uvicorn asgi_ws:app` and `python -m asgi_ws` serve it.

Its page at `/` connects to a WebSocket, sends text, JSON or binary messages, and shows the answers. To try your own
WebSockets, mount the application in yours. All its URLs are relative, so any path and any proxy prefix will do:

    from fastapi import FastAPI, WebSocket
    from fastapi.responses import RedirectResponse

    import asgi_ws

    app = FastAPI()
    app.mount("/try", asgi_ws.app)

    @app.websocket("/notes/{name}")
    async def notes(ws: WebSocket, name: str) -> None:
        await ws.accept(subprotocol="notes.v1")
        async for text in ws.iter_text():
            await ws.send_text(f"{name}: {text}")

    @app.get("/")
    async def index() -> RedirectResponse:
        return RedirectResponse("try/?url=../notes/Ada&protocol=notes.v1")

`/try/` connects to the WebSocket of the default application. The link in `index` fills in the form with your own route,
as a path relative to `/try/`, and with a subprotocol; the visitor then presses Connect. The page connects only to its
own server, because its Content-Security-Policy forbids other hosts.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ..application import App
from ..endpoints import HTTPEndpoint, WebSocketEndpoint
from ..http.request import Request
from ..http.responses import Response
from ..routing.routes import AnyRoute, Route, WebSocketRoute
from ..websocket.websocket import WebSocket
from . import pages
from .chat import LIMITS, NUMBERS, Chat, chat_hub, chat_page

logger = logging.getLogger("asgi_ws")

_MEDIA_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FILES: Final = (
    "chat-client.js",
    "chat-name.js",
    "chat.js",
    "common.js",
    "icon.svg",
    "log.js",
    "page.js",
    "reconnecting-socket.js",
    "style.css",
)


class Hello(HTTPEndpoint):
    """The route that answers "Hello, World!"."""

    async def get(self, request: Request) -> Response:
        return Response("Hello, World!")


class OK(WebSocketEndpoint):
    """The WebSocket that answers "OK!" to every message, and logs each connection."""

    async def on_connect(self, ws: WebSocket) -> None:
        await ws.accept()
        logger.info("WebSocket connected: %s", ws.client)

    async def on_receive(self, ws: WebSocket, data: str | bytes) -> None:
        await ws.send("OK!")

    async def on_disconnect(self, ws: WebSocket, close_code: int) -> None:
        logger.info("WebSocket disconnected (code %d): %s", close_code, ws.client)


def _page_routes() -> list[AnyRoute]:
    files = [
        Route(f"/{name}", pages.file(name, _MEDIA_TYPES[name.rpartition(".")[2]]), methods=["GET"]) for name in _FILES
    ]
    return [Route("/", pages.html("page.html", NUMBERS), methods=["GET"]), *files]


@asynccontextmanager
async def _shown_log() -> AsyncIterator[None]:
    """Print the log lines of this package if logging is not set up. uvicorn sets up only its own loggers."""
    if logger.hasHandlers():
        yield
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s:     %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


app: Final = App(
    [
        *_page_routes(),
        Route("/hello", Hello.as_asgi()),
        Route("/healthz", Response("ok"), methods=["GET"]),
        WebSocketRoute("/ws", OK.as_asgi()),
        WebSocketRoute("/chat/{room}", Chat.as_asgi(limits=LIMITS)),
        Route("/chat/{room}", chat_page, methods=["GET"]),
    ],
    lifespan=[_shown_log, chat_hub],
)
