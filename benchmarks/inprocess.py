"""One message in and one out, in process: what the package adds to a bare ASGI loop, beside what Starlette adds.

The server is a `receive` and a `send` that never suspend, so that nothing is measured but the way of a message through
the code under test. All contestants run interleaved in one process, A B C A B C, and their medians are compared. How
memory happens to be laid out favours one or another for the whole life of a process, by up to a tenth: so this is done
in several fresh processes, and a verdict is the median of theirs.
"""

import asyncio
import dataclasses
import gc
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

from starlette.endpoints import WebSocketEndpoint as StarletteEndpoint
from starlette.websockets import WebSocket as StarletteWebSocket

from asgi_ws import Limits, WebSocket, WebSocketEndpoint, websocket_app

from .results import Figure, Results

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Event, Receive, Send], Awaitable[None]]

ANSWER: Final = "OK!"


async def bare_loop(scope: Event, receive: Receive, send: Send) -> None:
    """Echo with the least work: without checks, states and errors."""
    del scope
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": ANSWER})


class Endpoint(WebSocketEndpoint):
    """This package's class endpoint."""

    async def on_receive(self, ws: WebSocket, data: str | bytes) -> None:
        await ws.send(ANSWER)


async def handler(ws: WebSocket) -> None:
    """Serve with this package's function handler."""
    await ws.accept()
    async for _ in ws:
        await ws.send(ANSWER)


class Peer(StarletteEndpoint):
    """Starlette's class endpoint."""

    async def on_receive(self, websocket: StarletteWebSocket, data: str | bytes) -> None:
        await websocket.send_text(ANSWER)


RATES: Final = Limits(messages_per_second=1e9, bytes_per_second=1e12)

# Class endpoints, where no other kind is named.
CONTESTANTS: Final[dict[str, App]] = {
    "asgi_ws": Endpoint.as_asgi(),
    "asgi_ws, rate limits": Endpoint.as_asgi(limits=RATES),
    "asgi_ws, idle limit": Endpoint.as_asgi(limits=Limits(idle_timeout=60)),
    "asgi_ws, function": websocket_app(handler),
    "starlette": Peer,
    "bare": bare_loop,
}
BASES: Final = ("starlette", "bare")
CASE: Final = "one message in, one out"


class Server:
    """A connection whose peer sends `count` messages and leaves; it checks that each was answered."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.connected = False
        self.answers = 0
        self._message = {"type": "websocket.receive", "text": "x" * 32}

    async def receive(self) -> Event:
        if not self.connected:
            self.connected = True
            return {"type": "websocket.connect"}
        if self.left:
            self.left -= 1
            return self._message
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(self, event: Event) -> None:
        if event.get("text") == ANSWER:
            self.answers += 1


def scope() -> Event:
    """Return a scope as uvicorn makes it."""
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
        "state": {},
    }


def cost(app: App, messages: int) -> float:
    """Return the microseconds of CPU time for each message.

    Raises:
        RuntimeError: when a message was not answered.
    """
    server = Server(messages)

    async def run() -> float:
        start = time.process_time()
        await app(scope(), server.receive, server.send)
        return time.process_time() - start

    taken = asyncio.run(run())
    if server.answers != messages:
        raise RuntimeError(f"{app} answered {server.answers} of {messages} messages")
    return taken / messages * 1e6


@dataclass(frozen=True)
class Sizes:
    """How much is measured: each contestant `repetitions` times in each of `processes` fresh processes."""

    messages: int = 200_000
    repetitions: int = 3
    processes: int = 5

    @property
    def steps(self) -> int:
        """How many measurements that is."""
        return self.processes * self.repetitions * len(CONTESTANTS)


def measure(results: Connection, messages: int, repetitions: int) -> None:
    """Measure each contestant in turn, several times, and send each result as it comes. Runs in a fresh process."""
    gc.disable()
    for _ in range(repetitions):
        for name, app in CONTESTANTS.items():
            gc.collect()
            results.send((name, cost(app, messages)))


def measured(messages: int, repetitions: int) -> Iterator[tuple[str, float]]:
    """Return the results of one fresh process.

    Raises:
        RuntimeError: when it ended before it had sent all of them.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(sender, messages, repetitions), daemon=True)
    process.start()
    # The end of the process is seen only when nobody else holds the other end of the pipe.
    sender.close()
    with receiver:
        for _ in range(repetitions * len(CONTESTANTS)):
            try:
                yield receiver.recv()
            except EOFError:
                raise RuntimeError("a process ended before it had measured everything") from None
    process.join()


def run(sizes: Sizes, results: Results, advance: Callable[[int], None]) -> None:
    """Measure, and put the figures into `results`; a sample is the median of one process's runs."""
    medians: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(sizes.processes):
        costs: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
        for name, taken in measured(sizes.messages, sizes.repetitions):
            costs[name].append(taken)
            advance(1)
        for name, runs in costs.items():
            medians[name].append(statistics.median(runs))
    results.bases["inprocess"] = list(BASES)
    results.settings["inprocess"] = dataclasses.asdict(sizes)
    results.figures += [Figure("inprocess", CASE, name, "cpu", tuple(taken)) for name, taken in medians.items()]
