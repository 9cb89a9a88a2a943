"""An ASGI application under attack: it floods, does not receive, and measures how long its event loop is held."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qsl

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


class Watch:
    """Measures the CPU time of the longest event-loop iteration while it is on.

    The thread's CPU time is read in a callback of each iteration, so neither another process nor a wait for the
    network counts.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._is_on = False
        self._at = 0.0

    def start(self) -> None:
        """Forget what was measured, and measure."""
        self.longest = 0.0
        self._at = time.thread_time()
        if not self._is_on:
            self._is_on = True
            self._tick()

    def stop(self) -> None:
        """Measure no more."""
        self._is_on = False

    def _tick(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._at)
        self._at = now
        if self._is_on:
            asyncio.get_running_loop().call_soon(self._tick)


watch: Final = Watch()
# Messages whose `send` has returned since the last start of the watch.
sent = 0


async def app(scope: Event, receive: Receive, send: Send) -> None:
    """Serve one scope."""
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": f"{event['type']}.complete"})
            if event["type"] == "lifespan.shutdown":
                return
    query = dict(parse_qsl(scope["query_string"].decode()))
    if scope["type"] == "http":
        await answer(scope["path"], query, send)
    else:
        await receive()
        await send({"type": "websocket.accept"})
        await HANDLERS[scope["path"]](query, receive, send)


async def answer(path: str, query: dict[str, str], send: Send) -> None:
    """Serve `/body`, which is as long as it is asked to be, and the three paths of the watch."""
    global sent  # noqa: PLW0603 -- one process, one loop, one count
    if path == "/start":
        sent = 0
        watch.start()
    elif path == "/stop":
        watch.stop()
    state = json.dumps({"longest": watch.longest, "sent": sent}).encode()
    body = bytes(int(query["bytes"])) if path == "/body" else state
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


async def flood(query: dict[str, str], receive: Receive, send: Send) -> None:
    """Send `count` messages of `size` bytes from each of `tasks` tasks."""
    message = bytes(int(query["size"]))

    async def one() -> None:
        global sent  # noqa: PLW0603 -- as above
        for _ in range(int(query["count"])):
            try:
                await send({"type": "websocket.send", "bytes": message})
            except OSError:
                return
            sent += 1

    await asyncio.gather(*(one() for _ in range(int(query["tasks"]))))
    await read(query, receive, send)


async def deaf(query: dict[str, str], receive: Receive, send: Send) -> None:
    """Do not receive."""
    del query, receive, send
    await asyncio.Event().wait()


async def read(query: dict[str, str], receive: Receive, send: Send) -> None:
    """Receive, and keep nothing."""
    del query, send
    while (await receive())["type"] == "websocket.receive":
        pass


async def echo(query: dict[str, str], receive: Receive, send: Send) -> None:
    """Send each message back."""
    del query
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


HANDLERS: Final = {"/flood": flood, "/deaf": deaf, "/read": read, "/echo": echo}
