"""An application on a WebSocket class with limits of its own."""

import uvicorn

from asgi_ws import App, WebSocket, WebSocketEndpoint, WebSocketRoute
from asgi_ws.uvicorn_protocol import WebSocketProtocol


class Strict(WebSocketProtocol):
    accept_timeout = 5.0
    close_timeout = 3.0
    max_fragments = 64
    max_queue_bytes = 32 * 1024
    server_context_takeover = False


class Echo(WebSocketEndpoint):
    async def on_receive(self, ws: WebSocket, data: str | bytes) -> None:
        await ws.send(data)


app = App([WebSocketRoute("/echo", Echo.as_asgi())])

if __name__ == "__main__":
    uvicorn.run(app, ws=Strict, ws_max_size=64 * 1024)
