"""Mount asgi_ws in a Litestar application."""

from litestar import Litestar, asgi, get

from asgi_ws import WebSocket, websocket_app


@asgi("/live/echo/{name:str}", copy_scope=True)
@websocket_app
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws:
        await ws.send(f"{ws.path_params['name']}: {message!r}")


@get("/hello")
async def hello() -> dict[str, str]:
    return {"message": "Hello from Litestar"}


app = Litestar([hello, echo])
