"""Many members that come and go at once: CPU in all, the longest hold of the event loop, and memory.

The members are WebSockets of this package in one room, each served by a handler of its own, in process: `receive` waits
for a future and `send` never suspends. The hub's encoder announces who leaves; an announced join is not part of it,
since each goes to all who came before, which are members squared by order of the application. A hold is the CPU time
between two looks of the loop at its selector, so that a busy machine does not make it longer. The garbage collector is
off, as in `inprocess`: how long its passes take depends on all that the process has in memory.
"""

import asyncio
import gc
import multiprocessing
import selectors
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

from asgi_ws import Encoder, Hub, Member, WebSocket, websocket_app

from .inprocess import Event, scope
from .results import Figure, Results

SCENARIO: Final = "crowd"
CASES: Final = ("join", "leave", "disconnect", "stop")
# By the names of contestants: what is compared is the same code with more to do.
MEMBERS: Final = {"asgi_ws, 1,000 members": 1000, "asgi_ws, 10,000 members": 10_000}
BASE: Final = "asgi_ws, 1,000 members"
ROOM: Final = "room"
# Connections that a server accepts, or sees dropped, in one iteration.
_AT_ONCE: Final = 100
MIB: Final = 1024 * 1024


class Leaves(Encoder):
    """Announces who leaves."""

    def leave(self, room: str, member: Member) -> str:
        return f"leave {member.identity}"


class Holds(selectors.DefaultSelector):
    """A selector that knows for how long the loop did not come back to it.

    Attributes:
        longest: seconds of CPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self._since = 0.0

    def reset(self) -> None:
        """Count anew, from here on."""
        self.longest = 0.0
        self._since = time.thread_time()

    def select(self, timeout: float | None = None) -> Any:
        """Wait; the time of that does not count."""
        self.longest = max(self.longest, time.thread_time() - self._since)
        try:
            return super().select(timeout)
        finally:
            self._since = time.thread_time()


class Client:
    """One connection's server side; it counts what it was sent."""

    def __init__(self) -> None:
        self.event: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self.event.set_result({"type": "websocket.connect"})
        self.sent = 0

    async def receive(self) -> Event:
        event, self.event = await self.event, asyncio.get_running_loop().create_future()
        return event

    async def send(self, event: Event) -> None:
        self.sent += 1

    def leave(self) -> None:
        """Drop the connection."""
        self.event.set_result({"type": "websocket.disconnect", "code": 1006})


@dataclass(frozen=True)
class Cost:
    """The cost of one crowd: seconds of CPU, the longest hold in seconds, the peak of memory in bytes."""

    cpu: float
    hold: float
    memory: float


def batched(clients: list[Client]) -> Iterator[list[Client]]:
    """Give as many as come or go in one iteration of the loop."""
    for start in range(0, len(clients), _AT_ONCE):
        yield clients[start : start + _AT_ONCE]


class Crowd:
    """So many connections to one hub, with what their handlers do."""

    def __init__(self, members: int) -> None:
        self.hub = Hub(encoder=Leaves())
        self.clients = [Client() for _ in range(members)]
        self.tasks: list[asyncio.Task[None]] = []
        self._application = websocket_app(self._member)

    async def _member(self, ws: WebSocket) -> None:
        await ws.accept()
        async with self.hub.join(ws, ROOM):
            async for _ in ws:
                pass

    async def join(self) -> None:
        for some in batched(self.clients):
            for client in some:
                serving = self._application(scope(), client.receive, client.send)
                self.tasks.append(asyncio.ensure_future(serving))
            await asyncio.sleep(0)
        # No handler waits before that.
        await asyncio.sleep(0)
        if len(self.hub.members(ROOM)) != len(self.clients):
            raise RuntimeError("not everybody has joined")

    async def leave(self) -> None:
        for some in batched(self.clients):
            for client in some:
                client.leave()
            await asyncio.sleep(0)
        await asyncio.wait(self.tasks)

    async def disconnect(self) -> None:
        if self.hub.disconnect(room=ROOM) != len(self.clients):
            raise RuntimeError("disconnect() did not find everybody")
        await asyncio.wait(self.tasks)

    async def stop(self) -> None:
        await self.hub.__aexit__(None, None, None)

    async def end(self) -> None:
        """End whoever is left."""
        left = [task for task in self.tasks if not task.done()]
        if left:
            await self.leave()
        if self.hub.members(ROOM) or any(task.exception() for task in self.tasks):
            raise RuntimeError("not everybody has left as it should")


async def _cost(members: int, case: str, holds: Holds, *, traced: bool) -> Cost:
    crowd = Crowd(members)
    await crowd.hub.__aenter__()
    if case != "join":
        await crowd.join()
    gc.collect()
    if traced:
        tracemalloc.start()
    # The look at the selector, after which there is nothing to do.
    await asyncio.sleep(0.01)
    holds.reset()
    since = time.thread_time()
    await getattr(crowd, case)()
    # So that the selector has seen the last iteration.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    taken = time.thread_time() - since
    peak = tracemalloc.get_traced_memory()[1] if traced else 0
    tracemalloc.stop()
    longest = holds.longest
    await crowd.end()
    return Cost(taken, longest, peak)


def cost(members: int, case: str, *, traced: bool = False) -> Cost:
    """Return what it costs when so many members do the same at once.

    Raises:
        RuntimeError: when one of them has not done it.
    """
    holds = Holds()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(holds)) as runner:
        return runner.run(_cost(members, case, holds, traced=traced))


@dataclass(frozen=True)
class Sizes:
    """How much is measured: each case with each number of members, in `repetitions` fresh processes."""

    repetitions: int = 3

    @property
    def steps(self) -> int:
        """Return how many processes that are."""
        return self.repetitions * len(CASES) * len(MEMBERS)


def measure(results: Connection, members: int, case: str) -> None:
    """Measure in a fresh process: once for the times, and once for the memory, which takes its time."""
    gc.disable()
    times = cost(members, case)
    results.send((times.cpu, times.hold, cost(members, case, traced=True).memory))


def measured(members: int, case: str) -> Cost:
    """Return the result of one fresh process.

    Raises:
        RuntimeError: when it ended before it had measured everything.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(sender, members, case), daemon=True)
    process.start()
    # The end of the process is seen only when nobody else holds the other end of the pipe.
    sender.close()
    with receiver:
        try:
            taken = Cost(*receiver.recv())
        except EOFError:
            raise RuntimeError("a process ended before it had measured everything") from None
    process.join()
    return taken


def run(sizes: Sizes, results: Results, advance: Callable[[int], None]) -> None:
    """Measure, and put the figures into `results`."""
    costs: dict[tuple[str, str], list[Cost]] = {(case, name): [] for case in CASES for name in MEMBERS}
    for _ in range(sizes.repetitions):
        for (case, name), taken in costs.items():
            taken.append(measured(MEMBERS[name], case))
            advance(1)
    results.bases[SCENARIO] = [BASE]
    results.settings[SCENARIO] = asdict(sizes)
    for (case, name), taken in costs.items():
        for metric, samples in {
            "cpu_whole": [each.cpu * 1000 for each in taken],
            "hold": [each.hold * 1000 for each in taken],
            "memory_peak": [each.memory / MIB for each in taken],
        }.items():
            results.figures.append(Figure(SCENARIO, case, name, metric, tuple(samples)))
