"""The application on this package: class endpoints with default limits, and a hub for the room."""

from asgi_ws import (
    App,
    HTTPEndpoint,
    Hub,
    Request,
    Response,
    Route,
    WebSocket,
    WebSocketEndpoint,
    WebSocketRoute,
)

from .flood import flood


class Hello(HTTPEndpoint):
    """HTTP."""

    async def get(self, request: Request) -> Response:
        return Response("Hello, World!")


class Answer(WebSocketEndpoint):
    """The same answer to every message."""

    async def on_receive(self, ws: WebSocket, data: str | bytes) -> None:
        await ws.send("OK!")


class Echo(WebSocketEndpoint):
    """Every message back, as it came."""

    async def on_receive(self, ws: WebSocket, data: str | bytes) -> None:
        await ws.send(data)


class Member(WebSocketEndpoint):
    """One of the room."""

    async def on_connect(self, ws: WebSocket) -> None:
        await ws.accept()
        hub.join(ws, ROOM)

    async def on_receive(self, ws: WebSocket, data: str | bytes) -> None:
        await hub.publish(ROOM, data)


class FloodedMember(Member):
    """One of the room, who has to read the flood first."""

    async def on_connect(self, ws: WebSocket) -> None:
        await super().on_connect(ws)
        for message in flood():
            await ws.send(message)


hub = Hub()
ROOM = "room"

app = App(
    [
        Route("/hello", Hello.as_asgi()),
        WebSocketRoute("/ws", Answer.as_asgi()),
        WebSocketRoute("/echo", Echo.as_asgi()),
        WebSocketRoute("/fanout", Member.as_asgi()),
        WebSocketRoute("/stall", FloodedMember.as_asgi()),
    ],
    lifespan=[hub],
)
