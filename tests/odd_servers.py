"""Servers that do what no server of the testing kit does, as wrappers around the application that they serve."""

import asyncio

from asgi_ws._asgi import ASGIApp, Event, Receive, Scope, Send
from asgi_ws.extensions import ABORT_EXTENSION


def failing(app: ASGIApp, event_type: str, error: Exception) -> ASGIApp:
    """Wrap an application in a server, or a middleware, whose `send` raises for events of one type."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        async def fail(event: Event) -> None:
            if event["type"] == event_type:
                raise error
            await send(event)

        await app(scope, receive, fail)

    return served


def untold(app: ASGIApp) -> ASGIApp:
    """Wrap an application in a server that never sends the disconnect event."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_no_end() -> Event:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                await asyncio.Event().wait()
            return event

        await app(scope, receive_no_end, send)

    return served


class Gate:
    """The application on a server that takes nothing from it until `open` is set: not even a denial, nor its messages.

    Attributes:
        begun: every event that a `send` was begun for, in order, those that wait included.
        open: set it, and everything goes through.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.begun: list[Event] = []
        self.open = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def wait_and_send(event: Event) -> None:
            self.begun.append(event)
            if event["type"] != ABORT_EXTENSION:
                await self.open.wait()
            await send(event)

        await self._app(scope, receive, wait_and_send)
