"""A room on every server: one order for all, and nobody is held up by who does not read, or leaves."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Final

import pytest

from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS, Server

from .clients import KIB, MIB, Client, RawClient, end_of, held_bytes, members, room_name
from .serving import Servers

APP: Final = "tests.hub.served_app:app"
# An outbox holds 256 KiB; the rest is the server's and Python's.
_GROWTH: Final = 4 * MIB
_TOO_SLOW: Final = [1013, "too slow"]


def _only(servers: list[Server]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("process", servers, ids=[server.name for server in servers], indirect=True)


waiting: Final = _only([server for server in SERVERS if server.profile.send_blocks])
never_waiting: Final = _only([server for server in SERVERS if not server.profile.send_blocks])


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with Servers(APP) as servers:
        yield servers


@pytest.fixture(params=SERVERS, ids=lambda server: server.name)
def process(request: pytest.FixtureRequest, servers: Servers) -> Iterator[ServerProcess]:
    with servers.watched(request.param) as process:
        yield process


def _numbers(messages: list[str], publisher: str) -> list[int]:
    """The numbers of one publisher's messages, as they came."""
    return [int(message.split()[1]) for message in messages if message.split()[0] == publisher]


class Room:
    """A room of so many who read."""

    def __init__(self, clients: list[Client]) -> None:
        self.clients = clients
        self.published = 0

    async def rounds(self, count: int, *, messages: int, size: int) -> None:
        """Let the first publish, and everybody read it all, again and again: so nobody who reads is ever slow."""
        name = self.clients[0].name
        for _ in range(count):
            await self.clients[0].tell("publish", count=messages, size=size)
            for client in self.clients:
                expected = range(self.published, self.published + messages)
                assert _numbers(await client.take(messages), name) == list(expected)
            self.published += messages


async def _room(stack: AsyncExitStack, process: ServerProcess, count: int, room: str) -> Room:
    joining = (stack.enter_async_context(Client.joined(process, room)) for _ in range(count))
    return Room([await each for each in joining])


async def _all_that_is_on_its_way(client: Client) -> list[str]:
    """The messages until the hub has none left for anybody."""
    got = []
    while True:
        await client.tell("show")
        while not (message := await client.receive()).startswith("{"):
            got.append(message)
        facts = json.loads(message)
        if not facts["queued_messages"] and not facts["slow_members"]:
            return got


async def test_everyone_gets_what_all_publish_in_one_order(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        clients = (await _room(stack, process, 4, room_name())).clients
        await asyncio.gather(*(client.tell("publish", count=1) for client in clients for _ in range(50)))
        first, *others = [await client.take(200) for client in clients]
        assert others == [first] * 3
        assert [_numbers(first, client.name) for client in clients] == [list(range(50))] * 4


async def test_a_burst_and_what_the_handler_sends_itself_stay_in_order(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        publisher, other = (await _room(stack, process, 2, room_name())).clients
        await publisher.tell("publish", count=32, own=True)
        own = [part for number in range(32) for part in (f"{publisher.name} {number}", f"own {number}")]
        assert await publisher.take(64) == own
        assert await other.take(32) == own[::2]


@waiting
async def test_members_get_everything_while_one_never_reads(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        name = room_name()
        room = await _room(stack, process, 3, name)
        await room.rounds(8, messages=3, size=64 * KIB)
        before = held_bytes(process)
        stalled = await stack.enter_async_context(RawClient.joined(process, name))
        most = 0
        for _ in range(16):
            await room.rounds(5, messages=3, size=64 * KIB)
            most = max(most, held_bytes(process))
        assert await members(process, name, 3) == sorted(client.name for client in room.clients)
        assert await end_of(process, stalled.name) == _TOO_SLOW
        assert most - before < _GROWTH


@waiting
@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
async def test_who_reads_again_gets_what_the_policy_kept(process: ServerProcess, overflow: str) -> None:
    async with AsyncExitStack() as stack:
        name = room_name()
        room = await _room(stack, process, 1, name)
        publisher = room.clients[0]
        dropped_before = (await publisher.show())["dropped"]
        stalled = await stack.enter_async_context(RawClient.joined(process, name, query=f"&overflow={overflow}"))
        await room.rounds(40, messages=3, size=64 * KIB)
        # What waits for it leaves room for these.
        while (await publisher.show())["dropped"] == dropped_before:
            await room.rounds(5, messages=3, size=64 * KIB)
        count = room.published
        reading = asyncio.create_task(_read_past(stalled, count))
        while not reading.done():
            await room.rounds(1, messages=1, size=0)
        numbers = _numbers(await reading, publisher.name)
        dropped = (await publisher.show())["dropped"] - dropped_before
        missing = sorted(set(range(numbers[-1])) - set(numbers))
        assert numbers == sorted(set(numbers))
        assert missing == list(range(missing[0], missing[0] + dropped))
        # Of what was published before it read again the outbox held four of 64 KiB: the newest, or those that came
        # first. What was published meanwhile took the place of one more.
        first_after = missing[-1] + 1
        assert first_after in (count - 4, count - 3) if overflow == "drop_oldest" else first_after >= count


async def _read_past(client: RawClient, number: int) -> list[str]:
    """The messages up to the first that has this number or a higher one."""
    messages = [await client.message()]
    while int(messages[-1].split()[1]) < number:
        messages.append(await client.message())
    return messages


@never_waiting
async def test_where_send_never_waits_a_member_is_closed_past_its_rate(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        name = room_name()
        room = await _room(stack, process, 3, name)
        # Below the rate all goes through, stalled or not.
        stalled = await stack.enter_async_context(RawClient.joined(process, name))
        await room.rounds(8, messages=1, size=64 * KIB)
        before = held_bytes(process)
        reader = room.clients[1]
        await room.clients[0].tell("publish", count=640, size=64 * KIB)
        assert await end_of(process, stalled.name) == _TOO_SLOW
        assert await reader.end() == (4913, "")
        assert held_bytes(process) - before < 4 * MIB + _GROWTH
        assert "OutboxLimits.unpaced_bytes_per_second" in process.log()


@pytest.mark.parametrize("how", ["RST", "FIN"])
async def test_who_drops_the_connection_in_a_burst_is_no_loss_to_the_others(process: ServerProcess, how: str) -> None:
    async with AsyncExitStack() as stack:
        name = room_name()
        publisher, reader, *leaving = (await _room(stack, process, 5, name)).clients
        for number in range(4):
            await publisher.tell("publish", count=50, size=KIB)
            if number == 1:
                await leaving[0].receive()
                for client in leaving:
                    client.leave(how)
        for client in (publisher, reader):
            assert _numbers(await client.take(200), publisher.name) == list(range(200))
        assert await members(process, name, 2) == sorted([publisher.name, reader.name])
        for client in leaving:
            code, _ = await end_of(process, client.name)
            assert code in (1005, 1006)


async def test_who_leaves_during_a_publish_gets_what_came_before_and_no_more(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        publisher, leaving = (await _room(stack, process, 2, room_name())).clients
        for number in range(10):
            await publisher.tell("publish", count=20)
            if number == 4:
                await leaving.tell("leave")
        assert _numbers(await publisher.take(200), publisher.name) == list(range(200))
        got = await _all_that_is_on_its_way(leaving)
        got.remove("left")
        assert got == [f"{publisher.name} {number}" for number in range(len(got))]


async def test_who_closes_and_who_is_closed_are_members_no_more(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        name = room_name()
        stays, closes, is_closed = (await _room(stack, process, 3, name)).clients
        await closes.ws.close(4000, "bye")
        await is_closed.tell("close")
        assert (await is_closed.end())[0] == 4001
        assert await members(process, name, 1) == [stays.name]
        await stays.tell("publish")
        assert await stays.take(1) == [f"{stays.name} 0"]


async def test_the_numbers_of_a_room_come_out_even(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        name = room_name()
        room = await _room(stack, process, 3, name)
        before = await room.clients[0].show()
        await room.rounds(2, messages=10, size=10)
        after = await room.clients[0].show()
        assert after["published"] - before["published"] == 20
        assert after["delivered"] - before["delivered"] == 60
        assert after["who"] == sorted(client.name for client in room.clients)
        assert [after[key] for key in ("queued_messages", "queued_bytes", "slow_members")] == [0, 0, 0]


@pytest.mark.parametrize("how", ["return", "close"])
async def test_a_client_that_pauses_gets_what_was_published_before_its_handler_ended(
    process: ServerProcess, how: str
) -> None:
    async with RawClient.joined(process, room_name()) as client:
        await client.finale(how=how)
        assert await client.close_code() == (1000 if how == "return" else 4001)
