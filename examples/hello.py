"""One HTTP endpoint and one WebSocket endpoint."""

from asgi_ws import (
    App,
    HTTPEndpoint,
    Request,
    Response,
    Route,
    WebSocket,
    WebSocketEndpoint,
    WebSocketRoute,
)


class Hello(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return Response("Hello, World!")


class Echo(WebSocketEndpoint):
    async def on_receive(self, ws: WebSocket, data: str | bytes) -> None:
        await ws.send(data)


app = App(
    [
        Route("/hello", Hello.as_asgi()),
        WebSocketRoute("/echo", Echo.as_asgi()),
    ]
)
