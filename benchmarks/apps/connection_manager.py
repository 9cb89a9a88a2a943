"""The room on Starlette and FastAPI: the class of FastAPI's documentation (Advanced, WebSockets), and with gather.

Unlike the documentation's, text and binary are kept apart, since the room carries both, and what nothing
here calls is left out.
"""

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect

from .flood import flood


async def receive(websocket: WebSocket) -> str | bytes:
    """Receive a message of either kind, as `receive_text` and `receive_bytes` do for one."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"], message.get("reason"))
    text: str | None = message.get("text")
    data: str | bytes = message["bytes"] if text is None else text
    return data


class ConnectionManager:
    """A list, and a loop of awaits."""

    def __init__(self) -> None:
        self.active_connections: list[WebSocket] = []

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: WebSocket) -> None:
        self.active_connections.remove(websocket)

    async def broadcast(self, message: str | bytes) -> None:
        if isinstance(message, str):
            for connection in self.active_connections:
                await connection.send_text(message)
        else:
            for connection in self.active_connections:
                await connection.send_bytes(message)


class GatheringConnectionManager(ConnectionManager):
    """A list, and a task for each of it; the fault of one is no longer that of the sender."""

    async def broadcast(self, message: str | bytes) -> None:
        if isinstance(message, str):
            sends = [connection.send_text(message) for connection in self.active_connections]
        else:
            sends = [connection.send_bytes(message) for connection in self.active_connections]
        await asyncio.gather(*sends, return_exceptions=True)


async def take_part(websocket: WebSocket, manager: ConnectionManager, *, flooded: bool = False) -> None:
    """Serve one member of the room, as the documentation's endpoint does; one who is flooded gets that first."""
    await manager.connect(websocket)
    try:
        if flooded:
            for message in flood():
                await websocket.send_bytes(message)
        while True:
            data = await receive(websocket)
            await manager.broadcast(data)
    except WebSocketDisconnect:
        manager.disconnect(websocket)
