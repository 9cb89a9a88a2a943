"""A Starlette application, to be ported."""

from typing import Any

from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect


class Chat(WebSocketEndpoint):
    encoding = "json"

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept()

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_json({"you said": data})

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        pass


async def shout(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            text = await websocket.receive_text()
            await websocket.send_text(text.upper())
    except WebSocketDisconnect:
        pass


app = Starlette(
    routes=[
        WebSocketRoute("/chat", Chat),
        WebSocketRoute("/shout", shout),
    ]
)
