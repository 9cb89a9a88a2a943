"""Brokers on a store in memory, for the contract suite: as they are, out of reach of their store, and broken."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from asgi_ws.brokers import (
    Broker,
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
from asgi_ws.testing import BrokerContract, VirtualClock


class Wrapper:
    """A broker around a MemoryBroker, which it can do without for a while.

    Args:
        events: the events to deliver for one event of the store.
        history: the history to ask the store for.
        position: the position to return from publish(), for the one that the store returned.
        page: the page to return from read(), for the one that the store returned.
    """

    def __init__(
        self,
        store: MemoryStore,
        *,
        events: Callable[[RoomEvent], list[RoomEvent]] = lambda event: [event],
        history: Callable[[History | None], History | None] = lambda history: history,
        position: Callable[[Position], Position | None] = lambda position: position,
        page: Callable[[HistoryPage], HistoryPage] = lambda page: page,
    ) -> None:
        self.events, self.history, self.position, self.page = events, history, position, page
        self.store = store
        self.inner = MemoryBroker(store)
        self.rooms: set[str] = set()
        self.is_cut_off = False
        self.on_event: OnEvent
        self.on_interrupted: OnInterrupted

    @property
    def state(self) -> BrokerState:
        return BrokerState.INTERRUPTED if self.is_cut_off else self.inner.state

    async def start(self, on_event: OnEvent, on_interrupted: OnInterrupted) -> None:
        self.on_event, self.on_interrupted = on_event, on_interrupted
        await self.inner.start(self.deliver, on_interrupted)

    async def deliver(self, room: str, event: RoomEvent) -> None:
        for each in self.events(event):
            await self.on_event(room, each)

    async def stop(self) -> None:
        self.rooms.clear()
        await self.inner.stop()

    async def subscribe(self, room: str) -> None:
        self.rooms.add(room)
        await self.inner.subscribe(room)

    async def unsubscribe(self, room: str) -> None:
        self.rooms.discard(room)
        await self.inner.unsubscribe(room)

    async def publish(self, room: str, envelope: Envelope, history: History | None) -> Position | None:
        position = await self.inner.publish(room, envelope, self.history(history))
        return position and self.position(position)

    async def read(self, room: str, since: Position | None, limit: int) -> HistoryPage:
        return self.page(await self.inner.read(room, since, limit))

    async def cut_off(self) -> None:
        self.is_cut_off = True
        for room in self.rooms:
            await self.inner.unsubscribe(room)

    async def reach_again(self) -> None:
        for room in self.rooms:
            await self.inner.subscribe(room)
        self.is_cut_off = False
        await self.on_interrupted()


class KnowsNoEmptyRooms(Wrapper):
    """A broker whose store does not know a room of which it keeps no event."""

    async def read(self, room: str, since: Position | None, limit: int) -> HistoryPage:
        kept = await super().read(room, None, 1)
        return await super().read(room, since, limit) if kept.events else HistoryPage((), None)


class WrapperContract(BrokerContract):
    """The contract, run on a wrapper. Timeouts are short, since no event goes over a network."""

    timeout = 0.1
    shortest_age = 0.01

    def __init__(self, kind: Callable[[MemoryStore], Wrapper] = Wrapper) -> None:
        self.kind = kind
        self.store = MemoryStore()

    async def make_broker(self) -> Broker:
        return self.kind(self.store)

    async def let_time_pass(self, seconds: float) -> None:
        with VirtualClock() as clock:
            await clock.advance(seconds)

    async def lose_store(self) -> None:
        self.store.clear()

    @asynccontextmanager
    async def interruption(self, broker: Broker) -> AsyncIterator[None]:
        assert isinstance(broker, Wrapper)
        await broker.cut_off()
        yield
        await broker.reach_again()
