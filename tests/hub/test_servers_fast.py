"""A room on WebSocketProtocol: who does not read is gone within two seconds, and a burst is few writes."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Final

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate

from tests.servers.launch import ServerProcess

from .clients import KIB, Client, RawClient, end_of, get, room_name
from .serving import FAST, Servers, served

APP: Final = "tests.hub.served_app:app"
# Once a connection is closed for being slow.
_SECONDS_TO_BE_GONE: Final = 2.0
_SECONDS_TO_STOP: Final = 5.0
_counts_segments: Final = pytest.mark.skipif(
    not hasattr(socket, "TCP_INFO"), reason="segments can be counted on Linux only"
)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with Servers(APP) as servers:
        yield servers


@pytest.fixture
def process(servers: Servers) -> Iterator[ServerProcess]:
    with servers.watched(FAST) as process:
        yield process


@pytest.fixture
def own() -> Iterator[ServerProcess]:
    """A server that the test stops itself."""
    with served(FAST, APP) as process:
        yield process


async def _fill(publisher: Client, room: str, *, leave: int) -> None:
    """Publish, while the publisher reads, until so many members are left."""
    name = publisher.name
    count = 0
    while len(await get(publisher.process, f"/who/{room}")) > leave:
        await publisher.tell("publish", count=3, size=64 * KIB)
        assert await publisher.take(3) == [f"{name} {count + number}" for number in range(3)]
        count += 3
        assert count < 1000, "nobody was too slow"


async def _stall(publisher: Client) -> None:
    """Publish, while the publisher reads, until something waits for somebody else."""
    while not (await publisher.show())["queued_messages"]:
        await publisher.tell("publish", count=1, size=32 * KIB)
        await publisher.receive()


async def test_the_connection_of_who_never_reads_is_reset(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        room = room_name()
        publisher = await stack.enter_async_context(Client.joined(process, room))
        stalled = [await stack.enter_async_context(RawClient.joined(process, room)) for _ in range(3)]
        await _fill(publisher, room, leave=1)
        since = time.monotonic()
        assert [await client.lost(_SECONDS_TO_BE_GONE) for client in stalled] == ["RST"] * 3
        assert time.monotonic() - since < _SECONDS_TO_BE_GONE
        for client in stalled:
            assert await end_of(process, client.name) == [1013, "too slow"]


@_counts_segments
async def test_a_burst_is_the_first_message_and_one_write_for_all_others(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        room = room_name()
        publisher = await stack.enter_async_context(Client.joined(process, room))
        others = [await stack.enter_async_context(RawClient.joined(process, room, buffer=None)) for _ in range(5)]
        before = [client.segments() for client in others]
        await publisher.tell("publish", count=32, size=100)
        await publisher.take(32)
        for client in others:
            await client.read(32 * 102)
        assert [client.segments() - start for client, start in zip(others, before, strict=True)] == [2] * 5


async def test_who_compresses_and_who_does_not_get_the_same_messages(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        room = room_name()
        publisher = await stack.enter_async_context(Client.joined(process, room))
        packed = await stack.enter_async_context(Client.joined(process, room, compression="deflate"))
        assert [type(each) for each in packed.ws.protocol.extensions] == [PerMessageDeflate]
        # Some are so short that they go as they are.
        await publisher.tell("publish", count=3, size=4 * KIB)
        await publisher.tell("publish", count=3)
        expected = await publisher.take(6)
        assert await packed.take(6) == expected


@pytest.mark.parametrize("is_expelled", [False, True], ids=["a member", "closed for it"])
async def test_who_never_reads_does_not_hold_up_a_stop(own: ServerProcess, is_expelled: bool) -> None:
    async with AsyncExitStack() as stack:
        room = room_name()
        publisher = await stack.enter_async_context(Client.joined(own, room))
        stalled = await stack.enter_async_context(RawClient.joined(own, room))
        if is_expelled:
            await _fill(publisher, room, leave=1)
        else:
            await _stall(publisher)
        own.terminate()
        assert (await publisher.end())[0] == 1012
        assert await asyncio.to_thread(own.wait, _SECONDS_TO_STOP)
        assert await stalled.lost(0) == "RST"


async def test_a_client_that_reads_on_when_its_server_stops_gets_the_close_frame_and_no_more(
    own: ServerProcess,
) -> None:
    async with AsyncExitStack() as stack:
        room = room_name()
        publisher = await stack.enter_async_context(Client.joined(own, room))
        stalled = await stack.enter_async_context(RawClient.joined(own, room))
        await _stall(publisher)
        own.terminate()
        assert (await publisher.end())[0] == 1012
        assert await stalled.close_code(after_messages=True) == 1012
        await stalled.close()
        assert await asyncio.to_thread(own.wait, _SECONDS_TO_STOP)
