"""Mount asgi_ws in a FastAPI application."""

from fastapi import FastAPI

from asgi_ws import App, WebSocket, WebSocketRoute, websocket_app


@websocket_app
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws:
        await ws.send(f"{ws.path_params['name']}: {message!r}")


sockets = App([WebSocketRoute("/echo/{name}", echo)])

app = FastAPI()


@app.get("/hello")
async def hello() -> dict[str, str]:
    return {"message": "Hello from FastAPI"}


app.mount("/live", sockets)
