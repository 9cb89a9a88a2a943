"""An application whose WebSockets have limits of their own, below the server's."""

from typing import Final

from asgi_ws import (
    App,
    ConnectionClosed,
    JSONResponse,
    Limits,
    Request,
    Response,
    Route,
    WebSocket,
    WebSocketRoute,
    http_app,
    websocket_app,
)
from tests.servers.journal import Journal

from .probe import hello

LARGEST: Final = 1000

journal: Final = Journal()


@websocket_app(limits=Limits(max_message_bytes=LARGEST))
async def limited(ws: WebSocket) -> None:
    await ws.accept()
    try:
        while True:
            await ws.send(await ws.receive())
    except ConnectionClosed as error:
        journal.note(ws, "closed", error.code, error.reason)
        raise
    finally:
        journal.note(ws, "end")


@websocket_app(limits=Limits(max_message_bytes=None))
async def unlimited(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws:
        await ws.send(str(len(message)))


@http_app
async def statistics(request: Request) -> Response:
    return JSONResponse(dict(limited.statistics().refused))


app: Final = App(
    [
        Route("/hello", hello),
        Route("/events/{id}", http_app(journal.read)),
        Route("/statistics", statistics),
        WebSocketRoute("/ws/limited", limited),
        WebSocketRoute("/ws/unlimited", unlimited),
    ]
)
