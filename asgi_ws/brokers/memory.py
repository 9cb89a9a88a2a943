"""The broker of one process, and the store in its memory."""

import asyncio
import logging
import math
import os
import secrets
from collections import OrderedDict, deque
from collections.abc import Awaitable
from itertools import islice
from typing import Any, Final

from ..errors import LifecycleError
from ..sizes import MIB, check_bound
from .base import (
    BrokerState,
    Envelope,
    History,
    HistoryPage,
    OnEvent,
    OnInterrupted,
    Position,
    RoomEvent,
    RoomEventDraft,
    payload_of,
)

logger = logging.getLogger("asgi_ws")

# uvicorn and gunicorn read the first of these where no option names a number, uvicorn the second and granian the third.
_WORKERS: Final = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GRANIAN_WORKERS")
# The name of a room may come from a peer.
_FAILED: Final = "an event of room %a was not handed over"


def _new_event(envelope: Envelope, position: Position | None, previous: Position | None) -> RoomEvent:
    """Return an event in fewer instructions than its class takes; see `EnvelopeDraft`."""
    draft: Any = RoomEventDraft()
    draft.envelope = envelope
    draft.position = position
    draft.previous = previous
    draft.__class__ = RoomEvent
    event: RoomEvent = draft
    return event


class _Ring:
    """The history of one room."""

    __slots__ = ("events", "top")

    def __init__(self, epoch: str) -> None:
        # The position of the newest event. It stays when that has expired: a member that missed nothing gets no gap.
        self.top = Position(epoch, 0)
        # Oldest first, each with the time at which it expires and its size in bytes.
        self.events: deque[tuple[float, int, RoomEvent]] = deque()


class MemoryStore:
    """Histories of rooms in the memory of this process, and who is subscribed to which room.

    Expired events are never read again. Their memory is freed as the store is used, and counts until then.

    Attributes:
        subscribers: for each room the brokers in the order in which they subscribed, with what is to be called.

    Args:
        max_rooms: rooms with a history. Past it the least recently used one of those that nobody is subscribed to is
            forgotten: its history begins anew, with a new epoch. A room with subscribers stays, so there may be as many
            as of those, and one more.
        max_bytes: of all messages that are kept, text counted in UTF-8. Past it the oldest messages of the room in
            which nobody has published for the longest time are dropped. The overhead of Python for each message, some
            300 bytes, comes on top.

    Raises:
        InvalidLimit: one of them is not a positive whole number.
    """

    def __init__(self, max_rooms: int = 10_000, *, max_bytes: int = 64 * MIB) -> None:
        check_bound("MemoryStore", "max_rooms", max_rooms)
        check_bound("MemoryStore", "max_bytes", max_bytes)
        self._max_rooms = max_rooms
        self._max_bytes = max_bytes
        self._rings: dict[str, _Ring] = {}
        # The rooms of those to which nobody is subscribed, the least recently used first.
        self._idle: OrderedDict[str, None] = OrderedDict()
        # Those of them that hold events, the one first in which nobody has published for the longest time.
        self._filled: OrderedDict[str, _Ring] = OrderedDict()
        self._bytes = 0
        self._name = secrets.token_hex(8)
        # How often a history was forgotten. It is part of the epoch of those that begin, so none gets one again.
        self._losses = 0
        self.subscribers: dict[str, dict[MemoryBroker, OnEvent]] = {}

    def clear(self) -> None:
        """Forget every history, as a store that restarts empty would; who is subscribed stays so. For tests."""
        self._rings.clear()
        self._idle.clear()
        self._filled.clear()
        self._bytes = 0
        self._losses += 1

    def subscribe(self, broker: "MemoryBroker", room: str, on_event: OnEvent) -> None:
        self.subscribers.setdefault(room, {})[broker] = on_event
        self._idle.pop(room, None)

    def unsubscribe(self, broker: "MemoryBroker", room: str) -> None:
        subscribers = self.subscribers.get(room)
        if subscribers is None:
            return
        subscribers.pop(broker, None)
        if not subscribers:
            del self.subscribers[room]
            self._leave(room)

    def append(self, room: str, envelope: Envelope, history: History, now: float) -> RoomEvent:
        """Put an event at the end of a room's history."""
        ring = self._rings.get(room) or self._begin(room)
        previous, ring.top = ring.top, Position(ring.top.epoch, ring.top.offset + 1)
        event = _new_event(envelope, ring.top, previous)
        size = len(payload_of(envelope))
        expires_at = math.inf if history.seconds is None else now + history.seconds
        ring.events.append((expires_at, size, event))
        self._bytes += size
        self._use(room)
        self._filled[room] = ring
        self._filled.move_to_end(room)
        while len(ring.events) > history.messages:
            self._drop_oldest(room, ring)
        self._expire(room, ring, now)
        self._free(now)
        return event

    def read(self, room: str, since: Position | None, limit: int, now: float) -> HistoryPage:
        """Return the events that are kept of a room."""
        ring = self._rings.get(room)
        if ring is None and room not in self.subscribers:
            # The position at which its history would begin. A read does not make one, which could evict another.
            return HistoryPage((), Position(self._next_epoch, 0))
        ring = ring or self._begin(room)
        self._use(room)
        self._expire(room, ring, now)
        kept = len(ring.events)
        if since is None:
            start, end = max(kept - limit, 0), kept
        else:
            # The offsets of what is kept end at the top's, without a hole.
            seen = since.offset - (ring.top.offset - kept) if since.epoch == ring.top.epoch else 0
            start = max(seen, 0)
            end = start + limit
        return HistoryPage(tuple(event for _, _, event in islice(ring.events, start, end)), ring.top)

    @property
    def _next_epoch(self) -> str:
        return f"{self._name}-{self._losses}"

    def _begin(self, room: str) -> _Ring:
        # The epoch first: it was the answer to a read before the history began.
        ring = _Ring(self._next_epoch)
        self._evict(self._max_rooms - 1)
        self._rings[room] = ring
        if room not in self.subscribers:
            self._idle[room] = None
        return ring

    def _use(self, room: str) -> None:
        if room in self._idle:
            self._idle.move_to_end(room)

    def _leave(self, room: str) -> None:
        """Keep or drop the history of a room that has no subscribers."""
        ring = self._rings.get(room)
        if ring is None:
            return
        if ring.top.offset:
            self._idle[room] = None
            self._evict(self._max_rooms)
        else:
            # Nothing was published, so there is nothing that could be missed.
            del self._rings[room]

    def _evict(self, most: int) -> None:
        while len(self._rings) > most and self._idle:
            self._forget(next(iter(self._idle)))

    def _expire(self, room: str, ring: _Ring, now: float) -> None:
        while ring.events and ring.events[0][0] <= now:
            self._drop_oldest(room, ring)

    def _free(self, now: float) -> None:
        """Drop expired events of unused rooms, and those beyond the bound."""
        while self._filled:
            room, ring = next(iter(self._filled.items()))
            if ring.events[-1][0] > now and self._bytes <= self._max_bytes:
                return
            self._drop_oldest(room, ring)

    def _drop_oldest(self, room: str, ring: _Ring) -> None:
        _, size, _ = ring.events.popleft()
        self._bytes -= size
        if not ring.events:
            del self._filled[room]

    def _forget(self, room: str) -> None:
        ring = self._rings.pop(room)
        self._bytes -= sum(size for _, size, _ in ring.events)
        self._filled.pop(room, None)
        del self._idle[room]
        self._losses += 1


class MemoryBroker:
    """The broker of a program that is one process.

    No call waits for anything but for what `on_event` returned. A position is given, the event is kept and `on_event`
    of all brokers of the store is called without a switch to another task in between, so all see one order.

    Starting it logs a warning if an environment variable asks the server for several worker processes: each of them has
    rooms of its own.

    Args:
        store: for several brokers that are to behave like several processes on one store; by default one of its own.
    """

    def __init__(self, store: MemoryStore | None = None) -> None:
        self._store = MemoryStore() if store is None else store
        # None while it is stopped.
        self._on_event: OnEvent | None = None
        # The subscriptions that `stop` ends.
        self._rooms: set[str] = set()

    @property
    def state(self) -> BrokerState:
        """STOPPED or CONNECTED: memory is never out of reach."""
        return BrokerState.STOPPED if self._on_event is None else BrokerState.CONNECTED

    async def start(self, on_event: OnEvent, on_interrupted: OnInterrupted) -> None:
        """Begin to deliver. `on_interrupted` is never called.

        Raises:
            LifecycleError: it has started already.
        """
        if self._on_event is not None:
            raise LifecycleError("start()", self.state.name, "a broker serves one hub: make another one")
        self._on_event = on_event
        workers = _worker_processes()
        if workers > 1:
            logger.warning(
                "%d worker processes, and rooms live in one process: "
                "members in one do not receive messages published in another; run one worker",
                workers,
            )

    async def stop(self) -> None:
        """Stop delivering events. The store keeps its histories."""
        while self._rooms:
            self._store.unsubscribe(self, self._rooms.pop())
        self._on_event = None

    async def subscribe(self, room: str) -> None:
        """Deliver the events of a room.

        Raises:
            LifecycleError: the broker is stopped.
        """
        on_event = self._started("subscribe()")
        self._rooms.add(room)
        self._store.subscribe(self, room, on_event)

    async def unsubscribe(self, room: str) -> None:
        """Stop delivering the events of a room."""
        self._rooms.discard(room)
        self._store.unsubscribe(self, room)

    async def publish(self, room: str, envelope: Envelope, history: History | None) -> Position | None:
        """Keep an event and give it to all who are subscribed; returns when they have handed it over.

        Raises:
            LifecycleError: the broker is stopped.
        """
        if self._on_event is None:
            self._started("publish()")
        store = self._store
        event = _new_event(envelope, None, None) if history is None else store.append(room, envelope, history, _now())
        handing_over: list[Awaitable[None]] = []
        subscribers = store.subscribers.get(room) or {}
        for broker, on_event in tuple(subscribers.items()):
            # One that was called before, for the same event, may have ended this subscription.
            if broker in subscribers:
                try:
                    handing_over.append(on_event(room, event))
                except Exception:
                    logger.exception(_FAILED, room)
        # A failure of one, a cancellation of the publisher included, does not keep the others from it.
        cancelled: BaseException | None = None
        for each in handing_over:
            try:
                await each
            except Exception:
                logger.exception(_FAILED, room)
            except BaseException as error:  # noqa: BLE001 -- raised again below
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return event.position

    async def read(self, room: str, since: Position | None, limit: int) -> HistoryPage:
        """Read from the history of a room.

        A room that has none yet gives the place before its first event, whether it will have one or not.

        Raises:
            LifecycleError: the broker is stopped.
        """
        self._started("read()")
        return self._store.read(room, since, limit, _now())

    def _started(self, call: str) -> OnEvent:
        if self._on_event is None:
            raise LifecycleError(call, self.state.name, "start the broker first")
        return self._on_event


def _worker_processes() -> int:
    """Return the number of worker processes that the environment asks for; 1 where it does not."""
    values = [os.environ.get(name, "") for name in _WORKERS]
    return max([1, *(int(value) for value in values if value.isdecimal())])


def _now() -> float:
    return asyncio.get_running_loop().time()
