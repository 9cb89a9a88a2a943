"""The default application: what `uvicorn asgi_ws:app` and `python -m asgi_ws` serve."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pkgutil import get_data
from typing import Final

from ..application import App
from ..endpoints import HTTPEndpoint, WebSocketEndpoint
from ..http import Request
from ..responses import Response
from ..routing import AnyRoute, Route, WebSocketRoute
from ..websocket import WebSocket

logger = logging.getLogger("asgi_ws")

# Everything the page needs comes from here, and nothing inline is run.
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_FILES: Final = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


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
    headers = {
        "content-security-policy": _CONTENT_SECURITY_POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }
    return [
        Route(path, Response(get_data(__name__, name) or b"", headers=headers, media_type=media_type), methods=["GET"])
        for path, (name, media_type) in _PAGE_FILES.items()
    ]


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
    ],
    lifespan=[_shown_log],
)
