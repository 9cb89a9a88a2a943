"""The same application, ported."""

from typing import Any

from asgi_ws import (
    App,
    WebSocket,
    WebSocketDisconnect,
    WebSocketEndpoint,
    WebSocketRoute,
    websocket_app,
)


class Chat(WebSocketEndpoint):
    encoding = "json"

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept()

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_json({"you said": data})

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        pass


@websocket_app
async def shout(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            text = await websocket.receive_text()
            await websocket.send_text(text.upper())
    except WebSocketDisconnect:
        pass


app = App(
    routes=[
        WebSocketRoute("/chat", Chat.as_asgi()),
        WebSocketRoute("/shout", shout),
    ]
)
