"""An endpoint that keeps what it was called with."""

from typing import Any

from asgi_ws import WebSocket, WebSocketEndpoint
from asgi_ws.testing import VirtualClock, WebSocketCommunicator


class Recorder(WebSocketEndpoint):
    """Keeps what it was called with."""

    def __init__(self, calls: list[Any]) -> None:
        self.calls = calls

    async def on_connect(self, ws: WebSocket) -> None:
        self.calls.append("connect")
        await ws.accept()

    async def on_receive(self, ws: WebSocket, data: Any) -> None:
        self.calls.append(data)

    async def on_disconnect(self, ws: WebSocket, close_code: int) -> None:
        assert ws.closed
        self.calls.append(close_code)


async def calls_of(
    endpoint: type[Recorder], *messages: str | bytes, **options: Any
) -> tuple[list[Any], WebSocketCommunicator]:
    """Return the calls of an endpoint, and the connection, which the peer ends with 1001."""
    calls: list[Any] = []
    app = endpoint.as_asgi(init={"calls": calls}, **options)
    with VirtualClock() as clock:
        async with WebSocketCommunicator(app, raise_server_exceptions=False) as peer:
            await peer.connect()
            for message in messages:
                await peer.send(message)
            # The endpoint handles the messages before the peer leaves.
            await clock.settle()
            await peer.close(1001)
    return calls, peer


class Boom(Exception):
    """The exception that handlers raise here."""
