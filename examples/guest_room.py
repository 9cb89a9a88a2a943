"""The guest book as a room: every connected client sees each new guest."""

from asgi_ws import (
    App,
    HTTPEndpoint,
    Hub,
    JSONResponse,
    Request,
    Route,
    WebSocket,
    WebSocketEndpoint,
    WebSocketRoute,
)

guests: list[str] = []
hub = Hub()


class GuestBook(HTTPEndpoint):
    async def get(self, request: Request) -> JSONResponse:
        return JSONResponse(guests)


class Sign(WebSocketEndpoint):
    encoding = "text"

    async def on_connect(self, ws: WebSocket) -> None:
        await ws.accept()
        self.room = hub.join(ws, "guests")
        await ws.send("Who are you?")

    async def on_receive(self, ws: WebSocket, data: str) -> None:
        guests.append(data)
        await self.room.publish(f"{data} is guest number {len(guests)}.")


app = App(
    [
        Route("/guests", GuestBook.as_asgi()),
        WebSocketRoute("/sign", Sign.as_asgi()),
    ],
    lifespan=[hub],
)
