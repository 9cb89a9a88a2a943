"""Endpoints, handshakes and context managers that several tests use."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from asgi_ws import App, Request, Response, WebSocket, http_app, websocket_app
from asgi_ws._asgi import Scope

from .asgi import Exchange, http_scope, websocket_scope


@http_app
async def show(request: Request) -> Response:
    """Return the root path, the path and the parameters of a request."""
    scope = request.scope
    return Response(f"{scope['root_path']}|{scope['path']}|{sorted(request.path_params.items())}")


@websocket_app
async def show_ws(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send(f"{ws.scope['root_path']}|{ws.scope['path']}|{sorted(ws.path_params.items())}")


def posted(*pieces: bytes, **more: Any) -> Exchange:
    return Exchange(http_scope("POST"), pieces, **more)


async def pieces() -> AsyncIterator[str | bytes]:
    yield "é"
    yield b""
    yield b"\x01"
    yield ""


def handshake(*headers: tuple[str, str], scheme: str | None = "ws") -> Scope:
    scope = websocket_scope()
    scope["headers"] = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    if scheme is None:
        del scope["scheme"]
    else:
        scope["scheme"] = scheme
    return scope


def from_origin(origin: str, host: str = "example.org", scheme: str | None = "ws") -> Scope:
    return handshake(("host", host), ("origin", origin), scheme=scheme)


class Journal:
    """Makes context managers that write down what happens to them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def context(self, name: str, value: object = None) -> Callable[[], AbstractAsyncContextManager[Any]]:
        @asynccontextmanager
        async def manager() -> AsyncIterator[object]:
            if name.startswith("bad start"):
                raise ValueError(name)
            self.lines.append(f"+{name}")
            try:
                yield value
            finally:
                self.lines.append(f"-{name}")
            if name.startswith("bad stop"):
                raise ValueError(name)

        return manager

    def mounted(self, name: str) -> App:
        return App([], lifespan=[self.context(name)])
