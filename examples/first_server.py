"""A guest book: read it over HTTP, sign it over a WebSocket."""

import logging

from asgi_ws import (
    App,
    HTTPEndpoint,
    JSONResponse,
    Request,
    Route,
    WebSocket,
    WebSocketEndpoint,
    WebSocketRoute,
)

logger = logging.getLogger("uvicorn.error")

guests: list[str] = []


class GuestBook(HTTPEndpoint):
    async def get(self, request: Request) -> JSONResponse:
        return JSONResponse(guests)


class Sign(WebSocketEndpoint):
    encoding = "text"

    async def on_connect(self, ws: WebSocket) -> None:
        await ws.accept()
        await ws.send("Who are you?")

    async def on_receive(self, ws: WebSocket, data: str) -> None:
        guests.append(data)
        await ws.send(f"Welcome, {data}! You are guest number {len(guests)}.")

    async def on_disconnect(self, ws: WebSocket, close_code: int) -> None:
        logger.info("%s left with code %d", ws.client, close_code)


app = App(
    [
        Route("/guests", GuestBook.as_asgi()),
        WebSocketRoute("/sign", Sign.as_asgi()),
    ]
)
