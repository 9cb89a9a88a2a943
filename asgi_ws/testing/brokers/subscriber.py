"""A broker under test, and everything that it has delivered."""

import asyncio
from collections.abc import Callable, Generator, Iterable
from typing import Any

from ...brokers import Broker, BrokerState, RoomEvent
from ..errors import ContractBroken


class HandingOver:
    """The awaitable of a subscriber's `on_event`. It takes an iteration of the loop and knows if it was awaited."""

    def __init__(self, done: Callable[[], None], error: Exception | None) -> None:
        self._done = done
        self._error = error

    def __await__(self) -> Generator[Any, Any, None]:
        yield from asyncio.sleep(0).__await__()
        self._done()
        if self._error is not None:
            raise self._error


class Subscriber:
    """Starts a broker, in the place of a hub, and keeps what comes.

    Args:
        broker: not started yet.
        timeout: real seconds that each wait may take.
        fails_at_call: data of events for which the call of `on_event` raises.
        fails_when_awaited: data of events for which what it returned raises.
    """

    def __init__(
        self,
        broker: Broker,
        timeout: float,
        *,
        fails_at_call: Iterable[str] = (),
        fails_when_awaited: Iterable[str] = (),
    ) -> None:
        self.broker = broker
        # Every event, with its room, in the order of the calls.
        self.delivered: list[tuple[str, RoomEvent]] = []
        self.handed_over = 0
        self.interruptions = 0
        self._timeout = timeout
        self._fails_at_call = frozenset(fails_at_call)
        self._fails_when_awaited = frozenset(fails_when_awaited)
        self._changed = asyncio.Event()

    async def start(self) -> None:
        await self.broker.start(self._on_event, self._on_interrupted)

    def events(self, room: str) -> list[RoomEvent]:
        """Return the events of a room that have been delivered."""
        return [event for name, event in self.delivered if name == room]

    async def events_until(self, room: str, last: str) -> list[RoomEvent]:
        """Wait for the message `last` of a room, and return the events delivered up to it, `last` included."""
        await self.wait(
            lambda: any(event.envelope.data == last for event in self.events(room)),
            "an event arrives at every broker that is subscribed to its room",
            last,
            lambda: self.data(room),
        )
        events = self.events(room)
        end = [event.envelope.data for event in events].index(last) + 1
        return events[:end]

    async def data_until(self, room: str, last: str) -> list[str | bytes]:
        """Wait for the message `last` of a room, and return the messages delivered up to it, `last` included."""
        return [event.envelope.data for event in await self.events_until(room, last)]

    def data(self, room: str) -> list[str | bytes]:
        """Return the messages of a room that have been delivered."""
        return [event.envelope.data for event in self.events(room)]

    async def wait(
        self, condition: Callable[[], bool], promise: str, expected: object, found: Callable[[], object]
    ) -> None:
        """Wait until a condition holds that a call of this subscriber brings about.

        Raises:
            ContractBroken: it did not come in time.
        """
        try:
            async with asyncio.timeout(self._timeout):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise ContractBroken(promise, expected, found()) from None

    async def wait_until_handed_over(self, count: int) -> None:
        """Wait until so many events have been handed over.

        Raises:
            ContractBroken: they were not in time.
        """
        promise = "what on_event returned is awaited"
        await self.wait(lambda: self.handed_over == count, promise, count, lambda: self.handed_over)

    async def wait_for_state(self, state: BrokerState) -> None:
        """Wait until the broker is in a state. Nobody tells of that, so it is looked at again and again.

        Raises:
            ContractBroken: it was not in time.
        """
        try:
            async with asyncio.timeout(self._timeout):
                while self.broker.state is not state:  # noqa: ASYNC110 -- nobody tells of a change
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise ContractBroken("the state tells what the broker is about", state, self.broker.state) from None

    def _on_event(self, room: str, event: RoomEvent) -> HandingOver:
        self.delivered.append((room, event))
        self._changed.set()
        data = event.envelope.data
        if data in self._fails_at_call:
            raise RuntimeError(f"on_event raises for {data!r}, as the contract suite asked for")
        error = RuntimeError(f"handing over {data!r} raises, as the contract suite asked for")
        return HandingOver(self._count, error if data in self._fails_when_awaited else None)

    def _count(self) -> None:
        self.handed_over += 1
        self._changed.set()

    async def _on_interrupted(self) -> None:
        self.interruptions += 1
        self._changed.set()
