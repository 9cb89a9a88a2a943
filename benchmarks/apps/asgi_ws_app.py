"""The application on this package: class endpoints with default limits."""

from asgi_ws import (
    App,
    ConnectionClosed,
    HTTPEndpoint,
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
        room[ws] = None

    async def on_receive(self, ws: WebSocket, data: str | bytes) -> None:
        for member in tuple(room):
            try:
                await member.send(data)
            except ConnectionClosed:
                # It left meanwhile; its own endpoint takes it out of the room.
                continue

    async def on_disconnect(self, ws: WebSocket, close_code: int) -> None:
        room.pop(ws, None)


class FloodedMember(Member):
    """One of the room, who has to read the flood first."""

    async def on_connect(self, ws: WebSocket) -> None:
        await super().on_connect(ws)
        for message in flood():
            await ws.send(message)


# In the order of joining.
room: dict[WebSocket, None] = {}

app = App(
    [
        Route("/hello", Hello.as_asgi()),
        WebSocketRoute("/ws", Answer.as_asgi()),
        WebSocketRoute("/echo", Echo.as_asgi()),
        WebSocketRoute("/fanout", Member.as_asgi()),
        WebSocketRoute("/stall", FloodedMember.as_asgi()),
    ]
)
