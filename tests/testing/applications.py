"""Small applications, as people write them without a framework."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import pytest

from asgi_ws._asgi import ASGIApp, Receive, Scope, Send
from asgi_ws.testing import LeakedTasks, WaitTimeout, WebSocketCommunicator

_E = TypeVar("_E", bound=BaseException)
# Seconds of a wait that times out, and of a wait for leaked tasks, which have half of it to end.
TIMEOUT: Final = 0.2
TIMEOUT_OF_LEAKS: Final = 0.5
ACCEPT: Final = {"type": "websocket.accept"}
CLOSE: Final = {"type": "websocket.close"}


def text(data: str) -> dict[str, Any]:
    return {"type": "websocket.send", "text": data}


async def accepts(receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send(dict(ACCEPT))


async def until_left(receive: Receive) -> dict[str, Any]:
    """Receive and forget everything up to the disconnect."""
    while True:
        event = dict(await receive())
        if event["type"] == "websocket.disconnect":
            return event


def sends(*events: Any) -> ASGIApp:
    """Return an application that receives the handshake, sends these events, and waits for the peer to leave."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for event in events:
            await send(event)
        await until_left(receive)

    return app


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await accepts(receive, send)
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


@asynccontextmanager
async def connected(app: ASGIApp, path: str = "/", **options: Any) -> AsyncIterator[WebSocketCommunicator]:
    """Open a WebSocket and complete its handshake."""
    async with WebSocketCommunicator(app, path, **options) as ws:
        await ws.connect()
        yield ws


async def connects(ws: WebSocketCommunicator) -> None:
    await ws.connect()


async def receives(ws: WebSocketCommunicator) -> None:
    await ws.connect()
    await ws.receive()


async def fails(
    kind: type[_E], app: ASGIApp, use: Callable[[WebSocketCommunicator], Awaitable[object]] = connects, **options: Any
) -> _E:
    """Return the failure of a test of this application, which has to be of exactly this class."""
    # A failure that does not depend on a timeout gets a long one, for a busy machine.
    timeout = {WaitTimeout: TIMEOUT, LeakedTasks: TIMEOUT_OF_LEAKS}.get(kind, 5.0)
    with pytest.raises(kind) as raised:
        await _test(app, use, **{"timeout": timeout, **options})
    assert type(raised.value) is kind
    return raised.value


async def _test(app: ASGIApp, use: Callable[[WebSocketCommunicator], Awaitable[object]], **options: Any) -> None:
    async with WebSocketCommunicator(app, **options) as ws:
        await use(ws)


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """End tasks that an application has left running, as it may."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def cancel_this_task() -> None:
    """Cancel the current task, as an application can do itself."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
