"""Requests and starts in memory: through the testing kit, and by raw scopes and events where those are the point."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from asgi_ws import Headers
from asgi_ws._asgi import ASGIApp, Event, Receive, Scope, Send
from asgi_ws.testing import WebSocketCommunicator, http_client

from .hanging import HANGING

RawPairs = Sequence[tuple[bytes, bytes]]


def http_scope(method: str = "GET", path: str = "/", *, headers: RawPairs = (), **more: Any) -> Scope:
    """Return a scope as uvicorn makes them."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver"), *headers],
        "client": ("192.0.2.7", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
        "extensions": {},
        **more,
    }


def websocket_scope(path: str = "/", **options: Any) -> Scope:
    """Return a scope as the testing kit makes them; the options are those of a `WebSocketCommunicator`."""

    async def nowhere(scope: Scope, receive: Receive, send: Send) -> None: ...

    scope: Scope = WebSocketCommunicator(nowhere, path, **options).scope
    return scope


async def fetch(app: ASGIApp, path: str = "/", *, method: str = "GET", body: bytes = b"") -> httpx2.Response:
    """Make a request with a client; exceptions of the application are raised here."""
    async with http_client(app) as client:
        return await client.request(method, path, content=body)


@dataclass
class Exchange:
    """Runs an ASGI application for one request of any scope, on a server that does as the test says.

    Attributes:
        scope: of the request.
        pieces: of its body.
        leaves: the client is gone after `pieces`, before the body is complete.
        send_error: what the server's `send` raises.
        events: what the application sent.
        reads: how many events it asked for.
        gone: set it, and the client leaves; set by the exchange itself when the response is complete.
    """

    scope: Scope
    pieces: Sequence[bytes] = (b"",)
    leaves: bool = False
    send_error: Exception | None = None
    events: list[Event] = field(default_factory=list)
    reads: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, app: ASGIApp) -> "Exchange":
        """Call the application; what it raises is raised here."""
        async with asyncio.timeout(HANGING):
            await app(self.scope, self.receive, self.send)
        return self

    async def receive(self) -> Event:
        """Return the next piece of the body, then wait until the client leaves."""
        index, self.reads = self.reads, self.reads + 1
        if index < len(self.pieces):
            more_body = self.leaves or index + 1 < len(self.pieces)
            return {"type": "http.request", "body": self.pieces[index], "more_body": more_body}
        if not self.leaves:
            await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: Event) -> None:
        if self.send_error is not None:
            raise self.send_error
        self.events.append(event)
        if event["type"] == "http.response.body" and not event.get("more_body", False):
            self.gone.set()

    @property
    def status(self) -> int:
        status: int = self.events[0]["status"]
        return status

    @property
    def headers(self) -> Headers:
        return Headers.from_raw(self.events[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(event["body"] for event in self.events[1:])

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def is_complete(self) -> bool:
        """Whether the response was brought to its end."""
        return bool(self.events) and self.events[-1].get("more_body") is False


async def http(
    app: ASGIApp, method: str = "GET", path: str = "/", *, body: bytes = b"", headers: RawPairs = (), **scope: Any
) -> Exchange:
    """Run a whole request with any scope; exceptions of the application are raised here."""
    return await Exchange(http_scope(method, path, headers=headers, **scope), [body]).run(app)


async def get(app: ASGIApp, path: str = "/", **scope: Any) -> Exchange:
    """Run a whole GET request with any scope."""
    return await http(app, "GET", path, **scope)


STARTUP: Event = {"type": "lifespan.startup"}
SHUTDOWN: Event = {"type": "lifespan.shutdown"}
# The answers to a whole lifespan.
COMPLETE = (("startup.complete", ""), ("shutdown.complete", ""))


class LifespanServer:
    """The server's side of lifespan, event by event, for a test of odd moments and of the very answers."""

    def __init__(self, app: ASGIApp, **scope: Any) -> None:
        self.scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}, **scope}
        self.inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._outbox: asyncio.Queue[Event] = asyncio.Queue()
        self.task = asyncio.ensure_future(app(self.scope, self.inbox.get, self._outbox.put))

    async def ask(self, event: Event) -> tuple[str, str]:
        """Send an event; return the type of the application's answer, and its message."""
        self.inbox.put_nowait(dict(event))
        async with asyncio.timeout(HANGING):
            answer = await self._outbox.get()
        return answer["type"].removeprefix("lifespan."), answer.get("message", "")

    async def start(self) -> tuple[str, str]:
        return await self.ask(STARTUP)

    async def stop(self) -> tuple[str, str]:
        answer = await self.ask(SHUTDOWN)
        async with asyncio.timeout(HANGING):
            await self.task
        return answer
