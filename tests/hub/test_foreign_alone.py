"""The hub without any framework or server: in an asyncio program, with whatever has a `send`."""

import asyncio
import time
from typing import Final

import pytest

from asgi_ws import Hub, OutboxLimits
from asgi_ws._asgi import Event
from tests.servers.client import SECONDS

# For what has to end by itself.
_MANY: Final = 1_000_000


class Connection:
    """An accepted connection whose client may stop to read."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.reads = asyncio.Event()
        self.reads.set()

    async def send(self, event: Event) -> None:
        await self.reads.wait()
        self.events.append(event)

    @property
    def messages(self) -> list[str]:
        return [event["text"] for event in self.events if event["type"] == "websocket.send"]


async def test_it_needs_no_start() -> None:
    hub, connection = Hub(), Connection()
    hub.join(connection.send, "room")
    await hub.publish("room", "hello")
    assert connection.messages == ["hello"]


async def test_two_hubs_have_nothing_to_do_with_each_other() -> None:
    connection = Connection()
    async with Hub() as one, Hub() as other:
        one.join(connection.send, "room")
        await other.publish("room", "elsewhere")
        await one.publish("room", "here")
    assert connection.messages == ["here"]


def test_it_goes_from_one_loop_to_the_next() -> None:
    hub = Hub()

    async def serve() -> list[str]:
        connection = Connection()
        async with hub:
            hub.join(connection.send, "room")
            await hub.publish("room", "hello")
        return connection.messages

    assert [asyncio.run(serve()) for _ in range(3)] == [["hello"]] * 3
    assert hub.statistics().connections == 0


async def test_the_block_of_who_is_too_slow_is_cancelled_and_ends_quietly() -> None:
    hub = Hub(outbox=OutboxLimits(max_messages=3))
    connection = Connection()
    connection.reads.clear()
    inside, steps = asyncio.Event(), []

    async def serve() -> None:
        async with hub.join(connection.send, "room"):
            inside.set()
            try:
                await asyncio.sleep(_MANY)
            finally:
                steps.append("cleaned up")
        steps.append("after the block")

    async with hub:
        serving = asyncio.create_task(serve())
        await inside.wait()
        for number in range(5):
            await hub.publish("room", str(number))
        assert hub.members("room") == []
        async with asyncio.timeout(SECONDS):
            await serving
        assert steps == ["cleaned up", "after the block"]
        # What was stuck is given up, and the close frame comes instead of it once the client reads.
        connection.reads.set()
        async with asyncio.timeout(SECONDS):
            while not connection.events:
                await asyncio.sleep(0)
        assert connection.events == [{"type": "websocket.close", "code": 1013, "reason": "too slow"}]


async def test_a_cancellation_of_the_handler_goes_through_the_block() -> None:
    hub, connection = Hub(), Connection()
    inside = asyncio.Event()

    async def serve() -> None:
        async with hub.join(connection.send, "room"):
            inside.set()
            await asyncio.sleep(_MANY)

    async with hub:
        serving = asyncio.create_task(serve())
        await inside.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert hub.members("room") == []


async def test_an_error_of_the_handler_goes_through_the_block() -> None:
    async with Hub() as hub:
        with pytest.raises(LookupError, match="mine"):
            async with hub.join(Connection().send, "room"):
                raise LookupError("mine")
        assert hub.members("room") == []


async def test_who_publishes_without_end_lets_others_have_their_turns() -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with Hub() as hub:
        hub.join(Connection().send, "room")
        working = asyncio.create_task(work())
        until = time.monotonic() + SECONDS
        while turns < 3:
            assert time.monotonic() < until
            await hub.publish("room", "on and on")
        working.cancel()
