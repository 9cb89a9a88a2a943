"""Both ends of a WebSocket in memory: the test plays the server and the peer behind it."""

import asyncio
from collections.abc import Awaitable, Mapping
from types import TracebackType
from typing import Any, Self

from asgi_ws import ConnectionClosed
from asgi_ws._asgi import ASGIApp, Event, Scope

from .asgi import BOUND, RawPairs, common_scope


def websocket_scope(path: str = "/", headers: RawPairs = (), **more: Any) -> Scope:
    """A scope as uvicorn makes them."""
    extensions: dict[str, object] = {"websocket.http.response": {}}
    websocket = {"type": "websocket", "scheme": "ws", "subprotocols": [], "extensions": extensions}
    return {**common_scope(path, headers), **websocket, **more}


def daphne_scope(path: str = "/", **more: Any) -> Scope:
    """A scope as daphne makes them: without version, extensions, state and scheme."""
    scope = websocket_scope(path, **more)
    for key in ("extensions", "state", "scheme", "http_version"):
        del scope[key]
    scope["asgi"] = {"version": "3.0"}
    return scope


class Conversation:
    """Runs an ASGI application for one WebSocket; leaving the block waits for its end.

    Attributes:
        error: what the application raised; None while it has not.
    """

    def __init__(self, app: ASGIApp, scope: Scope | None = None) -> None:
        self._app = app
        self._scope = websocket_scope() if scope is None else scope
        self._inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._outbox: asyncio.Queue[Event] = asyncio.Queue()
        self._may_send = asyncio.Event()
        self._may_send.set()
        # The exception that the server's send raises from now on.
        self._send_error: Exception | None = None
        # Messages that a send was begun for, in order, those that are stuck included.
        self.begun: list[Event] = []
        self.error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._inbox.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.task.cancel()
        self._may_send.set()
        await self.ended()

    @property
    def task(self) -> "asyncio.Task[None]":
        assert self._task is not None
        return self._task

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._inbox.get, self._send)
        except BaseException as error:  # noqa: BLE001 -- what an application raises is what a test looks at
            self.error = error

    async def _send(self, event: Event) -> None:
        self.begun.append(event)
        if event["type"] != "asgi_ws.abort":
            await self._may_send.wait()
        if self._send_error is not None:
            raise self._send_error
        self._outbox.put_nowait(event)

    # -- the peer

    def text(self, data: str) -> None:
        """The peer sends a text message."""
        self._inbox.put_nowait({"type": "websocket.receive", "text": data})

    def binary(self, data: bytes) -> None:
        """The peer sends a binary message, with both keys in the event, as hypercorn has it."""
        self._inbox.put_nowait({"type": "websocket.receive", "text": None, "bytes": data})

    def event(self, event: Mapping[str, Any]) -> None:
        """The server delivers this."""
        self._inbox.put_nowait(dict(event))

    def leave(self, code: int | None = 1001, reason: str = "") -> None:
        """The peer closes the connection."""
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    def everything_read(self) -> bool:
        """Whether the application has received all that was sent to it."""
        return self._inbox.empty()

    # -- the server

    def stall(self) -> None:
        """From now on `send` waits, as behind a peer that does not read."""
        self._may_send.clear()

    def resume(self) -> None:
        """What waits in `send` goes on."""
        self._may_send.set()

    def break_send(self, error: Exception) -> None:
        """From now on `send` raises this."""
        self._send_error = error

    async def sent(self) -> Event:
        """The next event that the application sent."""
        async with asyncio.timeout(BOUND):
            return await self._outbox.get()

    async def accepted(self) -> Event:
        """The next event, which has to be the accept."""
        event = await self.sent()
        assert event["type"] == "websocket.accept", event
        return event

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the next event, which has to be a close."""
        event = await self.sent()
        assert event["type"] == "websocket.close", event
        return event["code"], event["reason"]

    async def denied(self) -> tuple[int, bytes]:
        """Status and body of the denial response that comes next."""
        start, body = await self.sent(), await self.sent()
        assert (start["type"], body["type"]) == ("websocket.http.response.start", "websocket.http.response.body")
        assert not body.get("more_body", False)
        return start["status"], body["body"]

    async def ended(self) -> None:
        """Wait for the application to return or raise."""
        async with asyncio.timeout(BOUND):
            await asyncio.wait([self.task])

    def nothing_sent(self) -> bool:
        """Whether the application sent nothing that was not taken yet."""
        return self._outbox.empty()


async def until(condition: Any) -> None:
    """Give the loop its turns until `condition()` holds."""
    async with asyncio.timeout(BOUND):
        while not condition():
            await asyncio.sleep(0)


async def outcome(awaitable: Awaitable[Any]) -> Any:
    """What it returns, or the exception that it raises."""
    try:
        return await awaitable
    except Exception as error:  # noqa: BLE001 -- any exception is an outcome
        return error


def told(error: Any) -> tuple[int, str]:
    """Code and reason of a ConnectionClosed."""
    assert type(error) is ConnectionClosed
    return error.code, error.reason
