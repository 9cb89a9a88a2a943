"""An application for the contract suite, built with what the package exports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asgi_ws import App, HTTPEndpoint, JSONResponse, Limits, Request, Response, Route, WebSocketRoute, http_app
from asgi_ws._asgi import Receive, Scope, Send

from .bare_handlers import bare_app
from .journal import show_log
from .probe_handlers import HANDLERS, KIB, journal

show_log()


class Hello(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return Response("Hello, World!")


@http_app(limits=Limits(max_body_bytes=KIB))
async def upload(request: Request) -> Response:
    return Response(str(len(await request.body())))


@http_app
async def raise_http(request: Request) -> Response:
    raise RuntimeError(request.query_params["id"])


@http_app
async def view_http(request: Request) -> Response:
    assert request.client is not None
    return JSONResponse(
        {"client": list(request.client), "state": {name: request.state[name] for name in request.state}}
    )


@asynccontextmanager
async def lifespan() -> AsyncIterator[dict[str, Any]]:
    journal.note("lifespan", "started")
    yield {"greeting": "hello"}
    journal.note("lifespan", "stopped")


_probe = App(
    [
        Route("/hello", Hello.as_asgi()),
        Route("/upload", upload, methods=["POST"]),
        Route("/raise", raise_http),
        Route("/view", view_http),
        Route("/events/{id}", http_app(journal.read)),
        Route("/go/{id}", http_app(journal.go), methods=["POST"]),
        *(WebSocketRoute(f"/ws/{name}", handler) for name, handler in HANDLERS.items()),
    ],
    lifespan=[lifespan],
)
_bare = bare_app(journal)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the probe, or below `/bare/` a bare application, with the unchanged scope of the server."""
    # A server that prepends its root path to the path is one of the facts to be noted.
    serves = _bare if scope["type"] == "websocket" and "/bare/" in scope["path"] else _probe
    await serves(scope, receive, send)
