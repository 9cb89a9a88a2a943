"""Connections whose server does as the test says, and the time, the broker and the encoder that go with them."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, Final

from asgi_ws import Encoder, Gap, Hub, Member, Membership, WebSocket, websocket_app
from asgi_ws._asgi import Event, Scope
from asgi_ws.brokers import (
    BrokerState,
    Envelope,
    History,
    HistoryPage,
    MemoryBroker,
    MemoryStore,
    OnEvent,
    OnInterrupted,
    Position,
    RoomEvent,
)
from asgi_ws.extensions import ABORT_EXTENSION

from ..asgi import websocket_scope
from .model import GAP

# Of a loop; one that needs more is taken for one that never rests.
_TURNS_TO_REST: Final = 10_000


class TickingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time the test moves, and that moves a little by itself: no two messages come at once."""

    now = 0.0

    def time(self) -> float:
        self.now += 1e-7
        return self.now

    def settle(self) -> None:
        """Run until nothing is ready."""
        self.run_until_complete(self._settle())
        # A timer may have come due in the iteration in which that ended.
        while self._ready:  # type: ignore[attr-defined] # no public way
            self.run_until_complete(self._settle())

    async def _settle(self) -> None:
        for _ in range(_TURNS_TO_REST):
            await asyncio.sleep(0)
            due = self._next_due()
            if not self._ready and (due is None or due > self.now):  # type: ignore[attr-defined] # no public way
                return
        raise AssertionError("the loop does not come to rest")

    def advance(self, seconds: float) -> None:
        """Move time, through every timer on the way."""
        end = self.now + seconds
        while (due := self._next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.settle()
        self.now = max(self.now, end)
        self.settle()

    def _next_due(self) -> float | None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined] # no public way
        return min((timer.when() for timer in timers if not timer.cancelled()), default=None)


class Peer:
    """The server's side of one connection.

    Attributes:
        socket: what joins a hub: a WebSocket, or `send` itself.
        taken: the messages that the server has taken.
        close: code and reason of the close frame that it has taken.
        is_aborted: whether the application has asked to drop the connection.
        task: in which the application serves it; None if something else serves it.
    """

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.close: tuple[int, str] | None = None
        self.task: asyncio.Task[None] | None = None
        self.socket: Any = self.send
        self.is_aborted = False
        self.error: type[BaseException] = OSError
        self._inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._is_stalled = False
        self._is_dead = False
        # The calls of `send` that wait, oldest first. A connection may have several.
        self._waiting: list[asyncio.Future[None]] = []

    async def accepted(self, *, can_abort: bool = False) -> WebSocket:
        """Serve the connection, and return its accepted WebSocket."""
        self.serve(can_abort=can_abort)
        while self.socket == self.send:
            await asyncio.sleep(0)
        return self.ws

    @property
    def ws(self) -> WebSocket:
        assert isinstance(self.socket, WebSocket)
        return self.socket

    def serve(self, *, can_abort: bool) -> None:
        """Let a WebSocket of the package be served here."""

        @websocket_app
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            self.socket = ws
            async for _ in ws:
                pass

        scope: Scope = websocket_scope()
        scope["extensions"] = {ABORT_EXTENSION: {}} if can_abort else {}
        self._inbox.put_nowait({"type": "websocket.connect"})
        application: Coroutine[Any, Any, None] = handler(scope, self._inbox.get, self.send)
        self.task = asyncio.get_running_loop().create_task(application)

    async def send(self, event: Event) -> None:
        if event["type"] == ABORT_EXTENSION:
            self.is_aborted = self._is_dead = True
            return
        text = event.get("text") or (event.get("bytes") or b"").decode()
        if self._is_stalled and not self._is_dead and not text.startswith(GAP):
            assert not self._waiting, "one send at a time"
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            finally:
                self._waiting.remove(turn)
        if self._is_dead:
            raise self.error("the peer is gone")
        if event["type"] == "websocket.send":
            assert self.close is None, "a message after the close frame"
            self.taken.append(text)
        elif event["type"] == "websocket.close":
            self.close = event["code"], event["reason"]

    async def received(self) -> Event:
        """Return the next event that the client sends."""
        return await self._inbox.get()

    def stall(self) -> None:
        """Take nothing more."""
        self._is_stalled = True

    def resume(self) -> None:
        """Take everything again."""
        self._is_stalled = False
        self.take_one()

    def take_one(self) -> None:
        """Take one message more."""
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)

    def die(self) -> None:
        """Fail in `send` from now on, also where one waits."""
        self._is_dead = True
        self.take_one()

    def leave(self) -> None:
        """Send the disconnect event, as a server does when the client has closed."""
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1001, "reason": ""})
        self.die()


class Narrator(Encoder):
    """Says what happens in words that a model can say too."""

    def gap(self, gap: Gap) -> str:
        return f"{GAP}{gap.room} {gap.missed}"

    def join(self, room: str, member: Member) -> str:
        return f"join {room} {member.info}"

    def leave(self, room: str, member: Member) -> str:
        return f"leave {room} {member.info}"


class Gaps(Encoder):
    """Announces gaps alone, and names a room only if it is not "room"."""

    def gap(self, gap: Gap) -> str:
        place = "" if gap.room == "room" else f" in {gap.room}"
        return f"gap {gap.missed} {gap.top.offset if gap.top else None}{place}"


class ScriptedBroker(MemoryBroker):
    """A broker that fails, takes its time and loses events where a test says so.

    Attributes:
        calls: that were made, in order, `publish` excepted.
        failing: the calls that raise `error`.
        error: by default an OSError that names the call.
        gates: what calls wait for. A history that waits is the one at the time of its request.
        rooms: that are subscribed.
        losing: whether no event is delivered.
    """

    def __init__(self, store: MemoryStore | None = None) -> None:
        super().__init__(store)
        self.calls: list[str] = []
        self.failing: set[str] = set()
        self.error: BaseException | None = None
        self.gates: dict[str, asyncio.Event] = {}
        self.rooms: set[str] = set()
        self.losing = False
        self._hand_over: OnEvent | None = None
        self._on_interrupted: OnInterrupted | None = None

    @property
    def state(self) -> BrokerState:
        return BrokerState.INTERRUPTED if self.losing else super().state

    async def _reach(self, call: str) -> None:
        self.calls.append(call)
        if call in self.gates:
            await self.gates[call].wait()
        if call in self.failing:
            raise self.error or OSError(f"no {call}")

    async def start(self, on_event: OnEvent, on_interrupted: OnInterrupted) -> None:
        await self._reach("start")
        self._hand_over, self._on_interrupted = on_event, on_interrupted
        await super().start(self.deliver, on_interrupted)

    def deliver(self, room: str, event: RoomEvent) -> Awaitable[None]:
        """Hand an event over, unless events are being lost."""
        assert self._hand_over is not None
        return _nothing() if self.losing else self._hand_over(room, event)

    async def stop(self) -> None:
        await super().stop()
        await self._reach("stop")

    async def subscribe(self, room: str) -> None:
        await self._reach("subscribe")
        await super().subscribe(room)
        self.rooms.add(room)

    async def unsubscribe(self, room: str) -> None:
        await self._reach("unsubscribe")
        await super().unsubscribe(room)
        self.rooms.discard(room)

    async def publish(self, room: str, envelope: Envelope, history: History | None) -> Position | None:
        if "publish" in self.failing:
            raise OSError("no publish")
        return await super().publish(room, envelope, history)

    async def read(self, room: str, since: Position | None, limit: int) -> HistoryPage:
        page = await super().read(room, since, limit)
        await self._reach("read")
        return page

    async def recover(self, *, says_so: bool = True) -> None:
        """Fail and lose nothing more."""
        self.failing.clear()
        self.losing = False
        if says_so and self._on_interrupted is not None:
            await self._on_interrupted()


async def _nothing() -> None: ...


def crowd(hub: Hub, count: int, room: str = "room") -> tuple[list[list[Any]], list[Membership]]:
    """Join that many members; return a list of what each of them gets, and their memberships."""
    taken: list[list[Any]] = [[] for _ in range(count)]
    memberships = []
    for number, own in enumerate(taken):

        async def send(event: Event, own: list[Any] = own) -> None:
            own.append(event.get("text", event.get("bytes", event["type"])))

        memberships.append(hub.join(send, room, info=number))
    return taken, memberships


def join_all(hub: Hub, *peers: Peer, room: str = "room") -> None:
    for peer in peers:
        hub.join(peer.send, room)


class Errors(logging.Handler):
    """A log handler that records the errors of the package."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # These are logged as expected: `test_broker_failures` and `test_isolation` check them.
        if not record.getMessage().startswith(("broker failed to ", "send() failed; ")):
            self.records.append(self.format(record))


async def accepted_by_hand(peer: Peer, scope: Scope | None = None) -> WebSocket:
    """Return an accepted WebSocket that no application serves."""
    connect: list[Event] = [{"type": "websocket.connect"}]

    async def receive() -> Event:
        if connect:
            return connect.pop()
        return await peer.received()

    ws = WebSocket(websocket_scope() if scope is None else scope, receive, peer.send)
    await ws.accept()
    return ws
