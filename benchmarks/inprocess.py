"""One message in and one out, in process: what the package adds to a bare ASGI loop, beside what Starlette adds.

The server is a `receive` and a `send` that never suspend, so that nothing is measured but the way of a message through
the code under test. All contestants run interleaved in one process, A B C A B C, and their medians are compared. How
memory happens to be laid out favours one or another for the whole life of a process, by up to a tenth: so this is done
in several fresh processes, and a verdict is the median of theirs.
"""

import argparse
import asyncio
import gc
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from multiprocessing.connection import Connection
from typing import Any, Final

from rich.progress import Progress
from starlette.endpoints import WebSocketEndpoint as StarletteEndpoint
from starlette.websockets import WebSocket as StarletteWebSocket

from asgi_ws import Limits, WebSocket, WebSocketEndpoint, websocket_app

from .report import conditions, console, print_table

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Event, Receive, Send], Awaitable[None]]

ANSWER: Final = "OK!"


async def bare_loop(scope: Event, receive: Receive, send: Send) -> None:
    """The least that can be done: no checks, no states, no errors."""
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
    """This package's function handler."""
    await ws.accept()
    async for _ in ws:
        await ws.send(ANSWER)


class Peer(StarletteEndpoint):
    """Starlette's class endpoint."""

    async def on_receive(self, websocket: StarletteWebSocket, data: str | bytes) -> None:
        await websocket.send_text(ANSWER)


RATES: Final = Limits(messages_per_second=1e9, bytes_per_second=1e12)

CONTESTANTS: Final[dict[str, App]] = {
    "bare ASGI loop": bare_loop,
    "class endpoint, default limits": Endpoint.as_asgi(),
    "class endpoint, rate limits": Endpoint.as_asgi(limits=RATES),
    "class endpoint, idle limit": Endpoint.as_asgi(limits=Limits(idle_timeout=60)),
    "function, default limits": websocket_app(handler),
    "Starlette's class endpoint": Peer,
}
BARE: Final = "bare ASGI loop"
STARLETTE: Final = "Starlette's class endpoint"
_SHORT: Final = {BARE: "bare", STARLETTE: "Starlette"}
# The most that a contestant may cost, as a ratio to Starlette's endpoint and to the bare loop.
BUDGETS: Final = {
    "class endpoint, default limits": {STARLETTE: 0.45, BARE: 2.3},
    "class endpoint, rate limits": {STARLETTE: 0.75},
}


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
    """A scope as uvicorn makes them."""
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
    """Microseconds of CPU time for each message.

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


def measure(results: Connection, messages: int, repetitions: int) -> None:
    """What a fresh process does: each contestant in turn, some times over; each result is sent as it comes."""
    gc.disable()
    for _ in range(repetitions):
        for name, app in CONTESTANTS.items():
            gc.collect()
            results.send((name, cost(app, messages)))


def measured(messages: int, repetitions: int) -> Iterator[tuple[str, float]]:
    """The results of one fresh process.

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this scenario."""
    parser.add_argument("--messages", type=int, default=200_000, metavar="N", help="for each run [200000]")
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="interleaved runs of each [3]")
    parser.add_argument("--processes", type=int, default=5, metavar="N", help="fresh processes for all of that [5]")


def main(arguments: argparse.Namespace) -> None:
    """Measure, print the table, and say whether the budgets are kept."""
    # By contestant, for each process the median of its runs.
    medians: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    with Progress(console=console, transient=True) as progress:
        total = arguments.processes * arguments.repetitions * len(CONTESTANTS)
        task = progress.add_task("in process", total=total)
        for _ in range(arguments.processes):
            costs: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
            for name, taken in measured(arguments.messages, arguments.repetitions):
                costs[name].append(taken)
                progress.advance(task)
            for name, runs in costs.items():
                medians[name].append(statistics.median(runs))
    rows = [
        [
            name,
            f"{statistics.median(taken):.2f}",
            _spread(_ratios(taken, medians[BARE])),
            _spread(_ratios(taken, medians[STARLETTE])),
            _budget(name, medians),
        ]
        for name, taken in medians.items()
    ]
    caption = (
        f"µs of CPU for one message in and one out, the median (and the range) of {arguments.processes} processes, "
        f"{arguments.repetitions} x {arguments.messages:,} messages in each; {conditions(['asgi-ws', 'starlette'])}"
    )
    print_table("in process", ["", "median", *(f"/ {base}" for base in _SHORT.values()), "budget"], rows, caption)


def _ratios(costs: Sequence[float], bases: Sequence[float]) -> list[float]:
    """Those of each process, whose own figures alone can be compared."""
    return [taken / base for taken, base in zip(costs, bases, strict=True)]


def _spread(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def _budget(name: str, medians: dict[str, list[float]]) -> str:
    """What this contestant may cost, and whether it does."""
    limits = BUDGETS.get(name, {})
    kept = all(statistics.median(_ratios(medians[name], medians[base])) <= most for base, most in limits.items())
    texts = [f"≤{most} {_SHORT[base]}" for base, most in limits.items()]
    return f"{', '.join(texts)}: {'kept' if kept else 'missed'}" if texts else ""
