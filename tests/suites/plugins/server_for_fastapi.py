"""A pytest plugin: FastAPI's tests of WebSockets go to a uvicorn in a thread, over TCP.

The variable SUITES_WS names uvicorn's WebSocket class. The HTTP client is httpx2, and that of WebSockets is the one of
the websockets library. An exception of the application is raised in the test, as by Starlette's client.
"""

import inspect
import json
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any, Self

import httpx2
import pytest
import starlette.testclient
import uvicorn
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.hanging import HANGING

# The handshake's own headers, which the WebSocket client writes.
HANDSHAKE = {"host", "connection", "sec-websocket-key", "sec-websocket-version"}

running: list["Server"] = []


class Server(uvicorn.Server):
    """One uvicorn in a thread, from `start` to `stop`."""

    def __init__(self, app: Any, lifespan: Any, root_path: str) -> None:
        self.app = app
        # The end of each request and connection, in their order.
        self.calls: SimpleQueue[Future[None]] = SimpleQueue()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.ready: Future[bool] = Future()
        self.thread = threading.Thread(target=self.serve_until_stopped, daemon=True)
        ws: Any = os.environ["SUITES_WS"]
        super().__init__(
            uvicorn.Config(self.call, ws=ws, lifespan=lifespan, interface="asgi3", loop="asyncio", log_level="critical")
        )

    async def call(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        ended: Future[None] = Future()
        self.calls.put(ended)
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            ended.set_exception(error)
            raise
        ended.set_result(None)

    def serve_until_stopped(self) -> None:
        try:
            self.run(sockets=[self.listening])
        finally:
            if not self.ready.done():
                self.ready.set_result(False)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set_result(self.started)

    def start(self) -> Self:
        running.append(self)
        self.thread.start()
        assert self.ready.result(HANGING), "the application did not start"
        return self

    def stop(self) -> None:
        self.should_exit = True
        self.thread.join(HANGING)
        self.listening.close()
        running.remove(self)


class Session:
    """A WebSocket by the calls of Starlette's session."""

    def __init__(self, client: "TestClient", request: httpx2.Request, subprotocols: Any) -> None:
        self.client = client
        self.request = request
        self.subprotocols = subprotocols
        self.accepted_subprotocol: str | None = None
        self.connection: ClientConnection
        self.ended: Future[None]
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        server, url = self.client.server(), self.request.url
        try:
            opening = connect(
                str(url.copy_with(scheme="ws")),
                sock=socket.create_connection(server.listening.getsockname()),
                subprotocols=self.subprotocols,
                additional_headers=[pair for pair in self.request.headers.multi_items() if pair[0] not in HANDSHAKE],
                user_agent_header=None,
                open_timeout=HANGING,
            )
            self.connection = self.stack.enter_context(opening)
        except InvalidStatus as denied:
            server.calls.get(timeout=HANGING).result(HANGING)
            answer = denied.response
            raised = WebSocketDenialResponse(
                answer.status_code, headers=list(answer.headers.raw_items()), content=bytes(answer.body)
            )
            raised.code, raised.reason = 1006, ""
            raise raised from denied
        self.ended = server.calls.get(timeout=HANGING)
        self.accepted_subprotocol = self.connection.subprotocol
        return self

    def __exit__(self, *args: object) -> None:
        self.stack.close()
        self.ended.result(HANGING)

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        if code == 1006:
            self.connection.socket.shutdown(socket.SHUT_RDWR)
        else:
            self.connection.close(code, reason or "")

    def send_text(self, data: str) -> None:
        self.send(data)

    def send_bytes(self, data: bytes) -> None:
        self.send(data)

    def send_json(self, data: Any, mode: str = "text") -> None:
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        self.send(text if mode == "text" else text.encode())

    def send(self, data: str | bytes) -> None:
        try:
            self.connection.send(data)
        except ConnectionClosed as closed:
            raise disconnect(closed) from closed

    def receive(self) -> Any:
        try:
            return self.connection.recv(HANGING)
        except ConnectionClosed as closed:
            raise disconnect(closed) from closed

    receive_text = receive_bytes = receive

    def receive_json(self, mode: str = "text") -> Any:
        return json.loads(self.receive())


def disconnect(closed: ConnectionClosed) -> WebSocketDisconnect:
    """Return what Starlette's client raises for an end."""
    return WebSocketDisconnect(closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else WebSocketDisconnect(1006)


class Transport(httpx2.BaseTransport):
    """Send each request to the server, and wait for its application to end."""

    def __init__(self, client: "TestClient") -> None:
        self.client = client

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        server = self.client.server()
        host, port = server.listening.getsockname()
        with httpx2.HTTPTransport() as network:
            response = network.handle_request(
                httpx2.Request(
                    request.method,
                    request.url.copy_with(host=host, port=port),
                    headers=request.headers,
                    content=request.read(),
                )
            )
            response.read()
        ended = server.calls.get(timeout=HANGING)
        if (error := ended.exception(HANGING)) and self.client.raises:
            raise error
        return httpx2.Response(response.status_code, headers=response.headers.raw, content=response.content)


class TestClient(httpx2.Client):
    """A client with the arguments and calls of Starlette's that FastAPI's tests use."""

    __test__ = False

    def __init__(
        self,
        app: Any,
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        **options: Any,
    ) -> None:
        self.app = app
        self.root_path = root_path
        self.raises = raise_server_exceptions
        self._server: Server | None = None
        super().__init__(base_url=base_url, transport=Transport(self), follow_redirects=True, **options)

    def server(self, lifespan: str = "off") -> Server:
        if self._server not in running:
            self._server = Server(self.app, lifespan, self.root_path).start()
        assert self._server
        return self._server

    def websocket_connect(self, url: str, subprotocols: Any = None, **options: Any) -> Session:
        return Session(self, self.build_request("GET", url, **options), subprotocols)

    def __enter__(self) -> Self:
        self.server("on")
        return self

    def __exit__(self, *args: object) -> None:
        self.server().stop()


setattr(starlette.testclient, "TestClient", TestClient)  # noqa: B010 -- type checkers refuse an assignment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [
        item
        for item in items
        if isinstance(item, pytest.Function) and "websocket_connect" in inspect.getsource(item.function)
    ]


@pytest.fixture(autouse=True)
def stop_servers() -> Iterator[None]:
    yield
    while running:
        running[-1].stop()
