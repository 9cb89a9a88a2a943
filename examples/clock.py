"""A handler that only sends, and ends when the client leaves."""

import asyncio
from datetime import UTC, datetime

from asgi_ws import App, WebSocket, WebSocketRoute, websocket_app


@websocket_app
async def clock(ws: WebSocket) -> None:
    await ws.accept()
    async with ws.until_closed():
        while True:
            await ws.send(datetime.now(UTC).isoformat(timespec="seconds"))
            await asyncio.sleep(1)


app = App([WebSocketRoute("/", clock)])
