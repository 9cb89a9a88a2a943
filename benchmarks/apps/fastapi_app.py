"""The application on FastAPI: functions, and for the room the class of its documentation."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse

from .connection_manager import ConnectionManager, GatheringConnectionManager, receive, take_part

app = FastAPI()
manager = ConnectionManager()
gathering_manager = GatheringConnectionManager()


@app.get("/hello", response_class=PlainTextResponse)
async def hello() -> str:
    """Answer a request."""
    return "Hello, World!"


@app.websocket("/ws")
async def answer(websocket: WebSocket) -> None:
    """Send the same answer to every message."""
    await websocket.accept()
    try:
        while True:
            await receive(websocket)
            await websocket.send_text("OK!")
    except WebSocketDisconnect:
        pass


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    """Send every message back."""
    await websocket.accept()
    try:
        while True:
            data = await receive(websocket)
            if isinstance(data, str):
                await websocket.send_text(data)
            else:
                await websocket.send_bytes(data)
    except WebSocketDisconnect:
        pass


@app.websocket("/fanout")
async def fanout(websocket: WebSocket) -> None:
    """Serve a member of the room."""
    await take_part(websocket, manager)


@app.websocket("/stall")
async def stall(websocket: WebSocket) -> None:
    """Serve a member of the room, which has to read the flood first."""
    await take_part(websocket, manager, flooded=True)


@app.websocket("/fanout-gather")
async def fanout_gather(websocket: WebSocket) -> None:
    """Serve a member of the room that sends with gather."""
    await take_part(websocket, gathering_manager)


@app.websocket("/stall-gather")
async def stall_gather(websocket: WebSocket) -> None:
    """Serve a member of the room that sends with gather, which has to read the flood first."""
    await take_part(websocket, gathering_manager, flooded=True)
