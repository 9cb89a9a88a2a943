"""The application on Starlette: its class endpoints, and for the room the class that everybody copies."""

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from .connection_manager import ConnectionManager, GatheringConnectionManager, take_part


class Hello(HTTPEndpoint):
    """HTTP."""

    async def get(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("Hello, World!")


class Answer(WebSocketEndpoint):
    """The same answer to every message."""

    async def on_receive(self, websocket: WebSocket, data: str | bytes) -> None:
        await websocket.send_text("OK!")


class Echo(WebSocketEndpoint):
    """Every message back, as it came; without an `encoding` that is str or bytes."""

    async def on_receive(self, websocket: WebSocket, data: str | bytes) -> None:
        if isinstance(data, str):
            await websocket.send_text(data)
        else:
            await websocket.send_bytes(data)


manager = ConnectionManager()
gathering_manager = GatheringConnectionManager()


async def fanout(websocket: WebSocket) -> None:
    """Serve a member of the room."""
    await take_part(websocket, manager)


async def stall(websocket: WebSocket) -> None:
    """Serve a member of the room, which has to read the flood first."""
    await take_part(websocket, manager, flooded=True)


async def fanout_gather(websocket: WebSocket) -> None:
    """Serve a member of the room that sends with gather."""
    await take_part(websocket, gathering_manager)


async def stall_gather(websocket: WebSocket) -> None:
    """Serve a member of the room that sends with gather, which has to read the flood first."""
    await take_part(websocket, gathering_manager, flooded=True)


app = Starlette(
    routes=[
        Route("/hello", Hello),
        WebSocketRoute("/ws", Answer),
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/fanout", fanout),
        WebSocketRoute("/stall", stall),
        WebSocketRoute("/fanout-gather", fanout_gather),
        WebSocketRoute("/stall-gather", stall_gather),
    ]
)
