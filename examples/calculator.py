"""JSON in, JSON out."""

from typing import Any

from asgi_ws import App, WebSocket, WebSocketEndpoint, WebSocketRoute


class Calculator(WebSocketEndpoint):
    encoding = "json"

    async def on_receive(self, ws: WebSocket, data: Any) -> None:
        match data:
            case {"add": [*numbers]} if all(
                isinstance(number, int | float) for number in numbers
            ):
                await ws.send_json({"sum": sum(numbers)})
            case _:
                await ws.send_json({"error": 'send {"add": [1, 2]}'})


app = App([WebSocketRoute("/", Calculator.as_asgi())])
