"""The default application: what `uvicorn asgi_ws:app` and `python -m asgi_ws` serve."""

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
    "page.css",
    "page.js",
    "chat.css",
    "chat.js",
    "chat-client.js",
    "chat-form.js",
    "chat-name.js",
    "common.js",
    "icon.svg",
)


class Hello(HTTPEndpoint):
    """Answers "Hello, World!"."""

    async def get(self, request: Request) -> Response:
        return Response("Hello, World!")


class OK(WebSocketEndpoint):
    """Answers "OK!" to every message, and logs who comes and goes."""

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
    """Show this package's log lines where nobody has set up logging: uvicorn sets up its own loggers alone."""
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
