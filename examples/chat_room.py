"""Chat rooms: in each, everyone gets what anyone says."""

from asgi_ws import App, Hub, Limits, WebSocket, WebSocketRoute, websocket_app

hub = Hub()


@websocket_app(limits=Limits(max_message_bytes=64 * 1024))
async def chat(ws: WebSocket) -> None:
    await ws.accept()
    async with hub.join(ws, f"chat:{ws.path_params['room']}") as room:
        async for message in ws:
            await room.publish(message)


app = App([WebSocketRoute("/chat/{room}", chat)], lifespan=[hub])
