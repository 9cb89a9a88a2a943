"""An application that answers with the address and the scheme of its client."""

from asgi_ws import App, WebSocket, WebSocketRoute, websocket_app


@websocket_app
async def where(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_json({"client": ws.client and ws.client.host, "scheme": ws.url.scheme})


app = App([WebSocketRoute("/where", where)])
