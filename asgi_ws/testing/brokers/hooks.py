"""The base of the tests of a broker's contract: its hooks, and brokers that are started."""

import asyncio
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from unittest import SkipTest

from ...brokers import Broker, Envelope, History, Position, RoomEvent
from ..errors import ContractBroken
from .subscriber import Subscriber

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True

KEPT: Final = History(messages=100, seconds=60)
ENVELOPES: Final = (
    Envelope("text"),
    Envelope(b"text"),
    Envelope(""),
    Envelope(b""),
    Envelope("ä€😀 \0\r\n"),
    Envelope(bytes(range(256))),
    Envelope("x" * 300_000),
    Envelope("with both", key="ä key", origin="an origin"),
    Envelope(b"with empty ones", key="", origin=""),
)


class Hooks(ABC):
    """The hooks that tell the contract about a broker."""

    timeout: float = 5.0
    shortest_age: float = 1.0

    @abstractmethod
    async def make_broker(self) -> Broker:
        """Return a broker that is not started. All brokers of one test share a store."""

    async def let_time_pass(self, seconds: float) -> None:
        """Let time pass for the store."""
        await asyncio.sleep(seconds)

    async def lose_store(self) -> None:
        """Make the store lose everything, as a restart without a disk would. The test is skipped without this hook."""
        raise SkipTest("lose_store() is not given")

    def interruption(self, broker: Broker) -> AbstractAsyncContextManager[None]:
        """Return a block in which this broker alone cannot reach the store. Without this hook the test is skipped."""
        raise SkipTest("interruption() is not given")

    @asynccontextmanager
    async def started(
        self,
        *rooms: str,
        broker: Broker | None = None,
        fails_at_call: Iterable[str] = (),
        fails_when_awaited: Iterable[str] = (),
    ) -> AsyncIterator[Subscriber]:
        """Yield a started broker that is subscribed to these rooms, and stop it at the end."""
        subscriber = Subscriber(
            broker or await self.make_broker(),
            self.timeout,
            fails_at_call=fails_at_call,
            fails_when_awaited=fails_when_awaited,
        )
        await subscriber.start()
        try:
            for room in rooms:
                await subscriber.broker.subscribe(room)
            yield subscriber
        finally:
            await subscriber.broker.stop()


async def publish(subscriber: Subscriber, room: str, messages: Iterable[str], history: History | None = None) -> None:
    """Publish text messages, one after the other."""
    for data in messages:
        await subscriber.broker.publish(room, Envelope(data), history)


async def positions(
    subscriber: Subscriber, room: str, messages: Iterable[str], history: History = KEPT
) -> list[Position]:
    """Publish text messages in a room with a history; the positions that they get."""
    given = [await subscriber.broker.publish(room, Envelope(data), history) for data in messages]
    expect(None in given, False, "with a history publish gives the position of the event")
    return [position for position in given if position is not None]


def new_room() -> str:
    """Return a name that no room of the store has had."""
    return f"contract-{uuid.uuid4().hex}-"


def data_of(events: Iterable[RoomEvent]) -> list[str | bytes]:
    return [event.envelope.data for event in events]


def expect(found: object, expected: object, promise: str) -> None:
    """Hold what a broker did against what it promises.

    Raises:
        ContractBroken: it is something else.
    """
    if found != expected:
        raise ContractBroken(promise, expected, found)
