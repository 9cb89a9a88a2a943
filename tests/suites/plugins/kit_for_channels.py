"""A pytest plugin: the communicators of Channels, by their names and calls, are made of asgi_ws.testing.

One changed import does not port a suite of Channels. A project would write this shim.
"""

import json
from contextlib import suppress
from importlib import import_module
from typing import Any

from asgi_ws import ConnectionClosed
from asgi_ws.testing import Denied, HandshakeDenied, WebSocketCommunicator, http_client


class WebsocketCommunicator(WebSocketCommunicator):
    """A communicator of the kit with Channels' calls."""

    def __init__(
        self, application: Any, path: str, headers: Any = None, subprotocols: Any = None, spec_version: Any = None
    ) -> None:
        super().__init__(application, path, headers=headers or (), subprotocols=subprotocols or ())
        if spec_version:
            self.scope["spec_version"] = spec_version
        self.response_headers: Any = None

    async def connect(self, timeout: float = 1) -> Any:
        await self.__aenter__()
        answer = await super().connect()
        if isinstance(answer, Denied):
            return False, answer.close_code
        self.response_headers = self.accepted_headers
        return True, answer.subprotocol

    async def send_to(self, text_data: Any = None, bytes_data: Any = None) -> None:
        await self.send(text_data or bytes_data)

    async def send_json_to(self, data: Any) -> None:
        await self.send_json(data)

    async def receive_from(self, timeout: float = 1) -> Any:
        try:
            return await self.receive()
        except ConnectionClosed as closed:
            raise AssertionError(closed) from closed

    async def receive_json_from(self, timeout: float = 1) -> Any:
        return json.loads(await self.receive_from())

    async def disconnect(self, code: int = 1000, timeout: float = 1) -> None:
        with suppress(HandshakeDenied):
            await self.close(code)
        await self.wait()


class HttpCommunicator:
    """One request by the kit's client, with Channels' calls."""

    def __init__(self, application: Any, method: str, path: str, body: bytes = b"", headers: Any = None) -> None:
        self.application = application
        self.request: dict[str, Any] = {"method": method, "url": path, "content": body, "headers": headers or []}

    async def get_response(self, timeout: float = 1) -> dict[str, Any]:
        async with http_client(self.application, timeout=timeout) as client:
            response = await client.request(**self.request)
        return {"status": response.status_code, "headers": response.headers.raw, "body": response.content}


# By name, since the environment of the type checkers has no Channels.
testing = import_module("channels.testing")
for ours in (WebsocketCommunicator, HttpCommunicator):
    setattr(testing, ours.__name__, ours)
# As Channels' own communicators do: the connection to the database is the test's.
vars(import_module("channels.db"))["close_old_connections"] = lambda: None
