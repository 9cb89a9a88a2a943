"""Follow one message through the package: `python -m tests.ways` prints the modules that a call enters, in order.

A room is a module of the package. A step back is a call into a module that was left before.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn
from websockets.asyncio.client import connect

import asgi_ws
from asgi_ws import App, Hub, WebSocket, WebSocketEndpoint, WebSocketRoute, websocket_app

_PACKAGE: Final = Path(asgi_ws.__file__).parent


@dataclass
class Way:
    """The calls into the package's functions, in their order.

    Attributes:
        calls: module and function of each.
    """

    calls: list[tuple[str, str]] = field(default_factory=list)

    @property
    def visits(self) -> list[str]:
        """The modules entered, one after the other; calls within one count once."""
        modules = [module for module, _ in self.calls]
        return [module for at, module in enumerate(modules) if at == 0 or modules[at - 1] != module]

    @property
    def rooms(self) -> list[str]:
        """The modules in the order in which they are entered first."""
        return list(dict.fromkeys(self.visits))

    @property
    def steps_back(self) -> int:
        """How often a module is entered that was left before."""
        return len(self.visits) - len(self.rooms)


@contextmanager
def followed() -> Iterator[Way]:
    """Record the calls of this thread into the package."""
    way = Way()

    def on_call(frame: FrameType, event: str, _argument: Any) -> None:
        path = Path(frame.f_code.co_filename)
        # The event loop resumes a coroutine by a call of each that awaits it, so these count too.
        if event == "call" and path.is_relative_to(_PACKAGE):
            way.calls.append((".".join(path.relative_to(_PACKAGE).with_suffix("").parts), frame.f_code.co_qualname))

    sys.setprofile(on_call)
    try:
        yield way
    finally:
        sys.setprofile(None)


@asynccontextmanager
async def served(app: App) -> AsyncIterator[int]:
    """Serve on uvicorn with WebSocketProtocol, in this loop, on a free port."""
    config = uvicorn.Config(
        app, ws="asgi_ws.uvicorn_protocol:WebSocketProtocol", log_level="warning", ws_per_message_deflate=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def way_of_a_message() -> Way:
    """Follow one text message of an open connection to a class endpoint, and its answer."""

    class Answer(WebSocketEndpoint):
        async def on_receive(self, ws: WebSocket, data: str | bytes) -> None:
            await ws.send("OK!")

    async with (
        served(App([WebSocketRoute("/ws", Answer.as_asgi())])) as port,
        connect(f"ws://127.0.0.1:{port}/ws", compression=None) as client,
    ):
        # The first one makes what is kept for all others.
        await client.send("first")
        await client.recv()
        with followed() as way:
            await client.send("second")
            await client.recv()
    return way


async def way_of_a_publish() -> Way:
    """Follow one publish to a room with one member."""
    hub = Hub()

    @websocket_app
    async def member(ws: WebSocket) -> None:
        await ws.accept()
        async with hub.join(ws, "room"):
            async for _ in ws:
                pass

    async with (
        served(App([WebSocketRoute("/ws", member)], lifespan=[hub])) as port,
        connect(f"ws://127.0.0.1:{port}/ws", compression=None) as client,
    ):
        while not hub.members("room"):
            await asyncio.sleep(0)
        await hub.publish("room", "first")
        await client.recv()
        with followed() as way:
            await hub.publish("room", "second")
            await client.recv()
    return way


def main() -> None:
    """Print both ways."""
    for title, following in (("a message in, its answer out", way_of_a_message), ("a publish", way_of_a_publish)):
        way = asyncio.run(following())
        print(f"{title}: {len(way.calls)} calls, {len(way.rooms)} rooms, {way.steps_back} steps back")
        for module, function in way.calls:
            print(f"    {module}: {function}")


if __name__ == "__main__":
    main()
