"""The applications under load and the peers behave the same, so that their figures are comparable."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from benchmarks.apps.flood import FLOOD_MESSAGE_BYTES, FLOOD_MESSAGES
from tests.hanging import HANGING
from tests.servers.program import Program

from .programs import APPS, PEERS, running_app, running_peer

MESSAGES: Final[Sequence[str | bytes]] = ("text", b"bytes", "", b"", "é" * 32 * 1024, bytes(range(256)) * 256)

# With the second room, that of gather.
GATHERING: Final = ("starlette_app", "fastapi_app")
LOOPS: Final = [(name, "/fanout", "/stall") for name in (*APPS, *PEERS)]
ROOMS: Final = [*LOOPS, *((name, "/fanout-gather", "/stall-gather") for name in GATHERING)]


def in_rooms(rooms: Sequence[tuple[str, str, str]]) -> pytest.MarkDecorator:
    ids = [f"{name}{room}" for name, room, _ in rooms]
    return pytest.mark.parametrize(("program", "room", "stall"), rooms, indirect=["program"], ids=ids, scope="module")


@pytest.fixture(scope="module", params=[*APPS, *PEERS])
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    with running_app(request.param) if request.param in APPS else running_peer(request.param) as program:
        yield program


def open_ws(program: Program, path: str) -> connect:
    return connect(program.url(path, "ws"), compression=None)


async def received(members: Sequence[ClientConnection], message: str | bytes) -> None:
    """Wait until each member has got this message next."""
    async with asyncio.timeout(HANGING):
        for member in members:
            assert await member.recv() == message


@asynccontextmanager
async def members(program: Program, path: str, count: int) -> AsyncIterator[list[ClientConnection]]:
    """Join a room with `count` members; a message from each new member shows that it has joined."""
    async with AsyncExitStack() as stack:
        joined: list[ClientConnection] = []
        for number in range(count):
            joined.append(await stack.enter_async_context(open_ws(program, path)))
            await joined[-1].send(f"member {number}")
            await received(joined, f"member {number}")
        yield joined


def test_hello_is_greeted_over_http(program: Program) -> None:
    response = httpx2.get(program.url("/hello"))

    assert (response.status_code, response.text) == (200, "Hello, World!")


async def test_an_unknown_path_is_refused(program: Program) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_ws(program, "/unknown"):
            pass

    assert refused.value.response.status_code in (403, 404)


async def test_each_message_is_answered_with_ok(program: Program) -> None:
    async with open_ws(program, "/ws") as ws:
        for message in MESSAGES:
            await ws.send(message)
        for _ in MESSAGES:
            await received([ws], "OK!")


async def test_an_echo_keeps_the_message_and_its_kind(program: Program) -> None:
    async with open_ws(program, "/echo") as ws:
        for message in MESSAGES:
            await ws.send(message)
        for message in MESSAGES:
            await received([ws], message)


@in_rooms(ROOMS)
async def test_each_member_of_the_room_gets_each_message_once_and_in_its_kind(
    program: Program, room: str, stall: str
) -> None:
    async with members(program, room, 3) as everyone:
        for sender in everyone:
            for message in MESSAGES:
                await sender.send(message)
                await received(everyone, message)


@in_rooms(ROOMS)
async def test_messages_of_one_member_come_to_all_in_their_order(program: Program, room: str, stall: str) -> None:
    async with members(program, room, 3) as everyone:
        burst = [f"message {number}" for number in range(32)]
        for message in burst:
            await everyone[0].send(message)
        for message in burst:
            await received(everyone, message)


@in_rooms(ROOMS)
async def test_a_member_that_left_does_not_hurt_the_others(program: Program, room: str, stall: str) -> None:
    async with members(program, room, 3) as (first, leaving, last):
        await leaving.close()
        for sender in (first, last):
            await sender.send("still here")
            await received([first, last], "still here")


@in_rooms(ROOMS)
async def test_who_is_flooded_gets_the_flood_and_takes_part_after_it(program: Program, room: str, stall: str) -> None:
    async with members(program, room, 1) as [member], open_ws(program, stall) as flooded:
        async with asyncio.timeout(HANGING):
            flood = [await flooded.recv() for _ in range(FLOOD_MESSAGES)]
        assert {(type(message), len(message)) for message in flood} == {(bytes, FLOOD_MESSAGE_BYTES)}

        # Nothing of the flood is left, and nothing of it went to the others.
        await flooded.send("from the flooded")
        await received([member, flooded], "from the flooded")
        await member.send(b"to the flooded")
        await received([member, flooded], b"to the flooded")


# Not in the documentation's class, where the fault of one member is the sender's.
@in_rooms([room for room in ROOMS if room[0] not in GATHERING or "gather" in room[1]])
async def test_who_is_lost_in_the_flood_does_not_hurt_the_others(program: Program, room: str, stall: str) -> None:
    async with members(program, room, 2) as everyone:
        async with open_ws(program, stall) as flooded:
            await flooded.recv()
            flooded.transport.abort()
        await everyone[0].send("still here")
        await received(everyone, "still here")
