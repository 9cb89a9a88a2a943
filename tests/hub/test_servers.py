"""A room on every server: one order for all, and a member that stalls or leaves does not delay the others."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate

from tests.servers.client import SECONDS
from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS, Server

from .clients import KIB, MIB, Client, RawClient, end_of, held_bytes, members, room_name
from .serving import FAST, Servers, served

APP: Final = "tests.hub.served_app:app"
# An outbox holds 256 KiB; the rest is the server's and Python's.
_GROWTH: Final = 4 * MIB
_TOO_SLOW: Final = [1013, "too slow"]


def _only(servers: list[Server]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("process", servers, ids=[server.name for server in servers], indirect=True)


waiting: Final = _only([server for server in SERVERS if server.profile.send_blocks])
never_waiting: Final = _only([server for server in SERVERS if not server.profile.send_blocks])
fast: Final = _only([FAST])


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with Servers(APP) as servers:
        yield servers


@pytest.fixture(params=SERVERS, ids=lambda server: server.name)
def process(request: pytest.FixtureRequest, servers: Servers) -> Iterator[ServerProcess]:
    with servers.watched(request.param) as process:
        yield process


@pytest.fixture
def own() -> Iterator[ServerProcess]:
    """Start a server that the test stops itself."""
    with served(FAST, APP) as process:
        yield process


def _numbers(messages: list[str], publisher: Client) -> list[int]:
    """Return the numbers of one publisher's messages, in order of arrival."""
    return [int(message.split()[1]) for message in messages if message.split()[0] == publisher.name]


class Room:
    """A room whose clients read."""

    def __init__(self, process: ServerProcess, stack: AsyncExitStack) -> None:
        self.name = room_name()
        self.clients: list[Client] = []
        self.published = 0
        self._process = process
        self._stack = stack

    async def join(self, count: int) -> list[Client]:
        for _ in range(count):
            self.clients.append(await self._stack.enter_async_context(Client.joined(self._process, self.name)))
        return self.clients[-count:]

    async def stalled(self, **options: Any) -> RawClient:
        """Join with a member that reads nothing yet."""
        return await self._stack.enter_async_context(RawClient.joined(self._process, self.name, **options))

    async def rounds(self, count: int, *, messages: int, size: int) -> None:
        """Let the first publish and all clients read it all, repeatedly, so that a reading client is never slow."""
        for _ in range(count):
            await self.clients[0].tell("publish", count=messages, size=size)
            for client in self.clients:
                expected = range(self.published, self.published + messages)
                assert _numbers(await client.take(messages), self.clients[0]) == list(expected)
            self.published += messages

    async def until_left(self, count: int) -> None:
        """Publish until the others were too slow."""
        while len((await self.clients[0].show())["who"]) > count:
            await self.rounds(1, messages=3, size=64 * KIB)
            assert self.published < 2000, "nobody was too slow"


@pytest.fixture
async def room(request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    """Return a room on the server of the test."""
    names = request.fixturenames
    async with AsyncExitStack() as stack:
        yield Room(request.getfixturevalue("own" if "own" in names else "process"), stack)


async def _all_that_is_on_its_way(client: Client) -> list[str]:
    """Read until the hub has no messages queued, and return the messages."""
    got = []
    while True:
        await client.tell("show")
        while not (message := await client.receive()).startswith("{"):
            got.append(message)
        facts = json.loads(message)
        if not facts["queued_messages"] and not facts["slow_members"]:
            return got


async def test_everyone_gets_what_all_publish_in_one_order_also_beside_what_a_handler_sends(
    process: ServerProcess, room: Room
) -> None:
    clients = await room.join(4)
    before = await clients[0].show()
    await asyncio.gather(*(client.tell("publish", count=1) for client in clients for _ in range(50)))
    first, *others = [await client.take(200) for client in clients]
    assert others == [first] * 3
    assert [_numbers(first, client) for client in clients] == [list(range(50))] * 4
    after = await clients[0].show()
    assert (after["published"] - before["published"], after["delivered"] - before["delivered"]) == (200, 800)
    assert after["who"] == sorted(client.name for client in clients)
    assert [after[key] for key in ("queued_messages", "queued_bytes", "slow_members")] == [0, 0, 0]
    await clients[0].tell("publish", count=32, own=True)
    expected = [part for number in range(50, 82) for part in (f"{clients[0].name} {number}", f"own {number}")]
    assert await clients[0].take(64) == expected
    assert await clients[1].take(32) == expected[::2]


async def test_members_that_leave_in_a_burst_in_any_way_are_no_loss_to_the_others(
    process: ServerProcess, room: Room
) -> None:
    publisher, reader, leaves, reset, gone, closes, is_closed = await room.join(7)
    for number in range(5):
        await publisher.tell("publish", count=40, size=KIB)
        if number == 2:
            await leaves.tell("leave")
            await is_closed.tell("close")
            reset.leave("RST")
            gone.leave("FIN")
            await closes.ws.close(4000, "bye")
    for client in (publisher, reader):
        assert _numbers(await client.take(200), publisher) == list(range(200))
    assert (await is_closed.end())[0] == 4001
    assert await members(process, room.name, 2) == sorted([publisher.name, reader.name])
    assert {(await end_of(process, client.name))[0] for client in (reset, gone)} <= {1005, 1006}
    # Only the messages from before the leave.
    got = await _all_that_is_on_its_way(leaves)
    got.remove("left")
    assert _numbers(got, publisher) == list(range(len(got)))


@waiting
async def test_members_get_everything_while_one_never_reads(process: ServerProcess, room: Room) -> None:
    clients = await room.join(3)
    await room.rounds(8, messages=3, size=64 * KIB)
    before = held_bytes(process)
    stalled = await room.stalled()
    most = 0
    for _ in range(16):
        await room.rounds(5, messages=3, size=64 * KIB)
        most = max(most, held_bytes(process))
    assert await members(process, room.name, 3) == sorted(client.name for client in clients)
    assert await end_of(process, stalled.name) == _TOO_SLOW
    assert most - before < _GROWTH
    if process.server is FAST:
        assert await stalled.lost(SECONDS) == "RST"


@never_waiting
async def test_where_send_never_waits_a_member_is_closed_past_its_rate(process: ServerProcess, room: Room) -> None:
    publisher, reader, _ = await room.join(3)
    # Below the rate all goes through, stalled or not.
    stalled = await room.stalled()
    await room.rounds(8, messages=1, size=64 * KIB)
    before = held_bytes(process)
    await publisher.tell("publish", count=640, size=64 * KIB)
    assert await end_of(process, stalled.name) == _TOO_SLOW
    assert await reader.end() == (4913, "")
    assert held_bytes(process) - before < 4 * MIB + _GROWTH
    assert "OutboxLimits.unpaced_bytes_per_second" in process.log()


@fast
@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
async def test_a_member_that_reads_again_gets_what_the_policy_kept(
    process: ServerProcess, room: Room, overflow: str
) -> None:
    (publisher,) = await room.join(1)
    dropped_before = (await publisher.show())["dropped"]
    stalled = await room.stalled(query=f"&overflow={overflow}")
    # Wait until its outbox is full and drops messages.
    while (await publisher.show())["dropped"] == dropped_before:
        await room.rounds(5, messages=3, size=64 * KIB)
    count = room.published
    reading = asyncio.create_task(_read_past(stalled, count))
    while not reading.done():
        await room.rounds(1, messages=1, size=0)
    numbers = _numbers(await reading, publisher)
    dropped = (await publisher.show())["dropped"] - dropped_before
    missing = sorted(set(range(numbers[-1])) - set(numbers))
    assert numbers == sorted(set(numbers))
    assert missing == list(range(missing[0], missing[0] + dropped))
    # Of what was published before it read again the outbox held four of 64 KiB: the newest, or those that came
    # first. Messages published meanwhile displaced one more.
    first_after = missing[-1] + 1
    assert first_after in (count - 4, count - 3) if overflow == "drop_oldest" else first_after >= count


async def _read_past(client: RawClient, number: int) -> list[str]:
    """Return the messages up to the first with this number or a higher one."""
    messages = [await client.message()]
    while int(messages[-1].split()[1]) < number:
        messages.append(await client.message())
    return messages


@pytest.mark.parametrize("how", ["return", "close"])
async def test_a_client_that_pauses_gets_what_was_published_before_its_handler_ended(
    process: ServerProcess, room: Room, how: str
) -> None:
    client = await room.stalled()
    await client.finale(how=how)
    assert await client.close_code() == (1000 if how == "return" else 4001)


# -- on WebSocketProtocol alone


@fast
@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="segments can be counted on Linux only")
async def test_a_burst_is_the_first_message_and_one_write_for_all_others(process: ServerProcess, room: Room) -> None:
    (publisher,) = await room.join(1)
    others = [await room.stalled(buffer=None) for _ in range(5)]
    before = [client.segments() for client in others]
    await publisher.tell("publish", count=32, size=100)
    await publisher.take(32)
    for client in others:
        await client.read(32 * 102)
    assert [client.segments() - start for client, start in zip(others, before, strict=True)] == [2] * 5


@fast
async def test_members_that_compress_and_that_do_not_get_the_same_messages(process: ServerProcess, room: Room) -> None:
    (publisher,) = await room.join(1)
    async with Client.joined(process, room.name, compression="deflate") as packed:
        assert [type(each) for each in packed.ws.protocol.extensions] == [PerMessageDeflate]
        # Some are so short that they go as they are.
        await publisher.tell("publish", count=3, size=4 * KIB)
        await publisher.tell("publish", count=3)
        assert await packed.take(6) == await publisher.take(6)


@pytest.mark.parametrize("state", ["a member", "closed for being slow", "reads on"])
async def test_a_member_that_never_reads_does_not_hold_up_a_stop(own: ServerProcess, room: Room, state: str) -> None:
    (publisher,) = await room.join(1)
    stalled = await room.stalled()
    if state == "closed for being slow":
        await room.until_left(1)
    else:
        while not (await publisher.show())["queued_messages"]:
            await room.rounds(1, messages=1, size=32 * KIB)
    own.terminate()
    assert (await publisher.end())[0] == 1012
    if state == "reads on":
        # It gets the close frame, and none of what waited.
        assert await stalled.close_code(after_messages=True) == 1012
        await stalled.close()
    assert await asyncio.to_thread(own.wait, SECONDS)
    if state != "reads on":
        assert await stalled.lost(0) == "RST"
