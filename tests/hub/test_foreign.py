"""Sockets of other frameworks in a room, in handlers as their documentation writes them, on real servers."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Final

import pytest

from tests.servers.client import SECONDS
from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS, Server

from .clients import KIB, MIB, Client, RawClient, end_of, get, held_bytes, members, room_name
from .serving import FAST, Servers

APP: Final = "tests.hub.foreign_apps:app"
_SERVERS: Final = [server for server in SERVERS if server.name in ("uvicorn-sansio", FAST.name)]
_DAPHNE: Final = next(server for server in SERVERS if not server.profile.send_blocks)
# By the path of the handler, what it notes at the end of its block when the client leaves.
_LEFT: Final = {"/fastapi/": "left {code}", "/starlette/": "left", "/bare/": "left"}
# A handler that lets its client's leaving through: uvicorn's own classes print a traceback for that.
_CARELESS: Final = "/careless/"


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with Servers(APP) as servers:
        yield servers


@pytest.fixture(params=_SERVERS, ids=lambda server: server.name)
def process(request: pytest.FixtureRequest, servers: Servers) -> Iterator[ServerProcess]:
    with servers.watched(request.param) as process:
        yield process


async def _end_of(process: ServerProcess, name: str) -> str:
    (how,) = await end_of(process, name, prefix="/ours")
    assert isinstance(how, str)
    return how


async def test_sockets_of_all_kinds_get_what_is_published_in_one_order(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        room = room_name()
        paths = [*_LEFT, "/ours/room/"]
        clients = [await stack.enter_async_context(Client.joined(process, room, path=each)) for each in paths]
        await asyncio.gather(*(client.ws.send(f"{client.name} {n}") for n in range(50) for client in clients[:3]))
        first, *others = [await client.take(150) for client in clients]
        assert others == [first] * 3
        for client in clients[:3]:
            assert [each for each in first if client.name in each] == [f"{client.name} {n}" for n in range(50)]


@pytest.mark.parametrize("how", ["close", "RST", "FIN"])
async def test_clients_that_leave_in_a_burst_are_members_no_more_and_no_loss_to_the_others(
    process: ServerProcess, how: str
) -> None:
    async with AsyncExitStack() as stack:
        room = room_name()
        paths = [*_LEFT, *[_CARELESS] * (process.server is FAST)]
        publisher, *leaving = [
            await stack.enter_async_context(Client.joined(process, room, path=path)) for path in ("/fastapi/", *paths)
        ]
        for number in range(200):
            await publisher.ws.send(f"{number} {'.' * KIB}")
            if number % 40 == 20 and number // 40 < len(leaving):
                client = leaving[number // 40]
                if how == "close":
                    await client.ws.close(4001, "bye")
                else:
                    client.leave(how)
        assert await publisher.take(200) == [str(number) for number in range(200)]
        assert await members(process, room, 1, prefix="/ours") == [publisher.name]
        codes = [4001] if how == "close" else [1005, 1006]
        for (_, note), client in zip(_LEFT.items(), leaving, strict=False):
            assert await _end_of(process, client.name) in {note.format(code=code) for code in codes}


@pytest.mark.parametrize(
    ("process", "path"),
    [*((server, path) for server in _SERVERS for path in ("/fastapi/", "/bare/")), (FAST, _CARELESS)],
    ids=lambda part: getattr(part, "name", part),
    indirect=["process"],
)
async def test_the_block_of_a_member_that_never_reads_ends_quietly(process: ServerProcess, path: str) -> None:
    async with AsyncExitStack() as stack:
        room = room_name()
        publisher = await stack.enter_async_context(Client.joined(process, room, path=path))
        stalled = await stack.enter_async_context(RawClient.joined(process, room, path=path))
        count = 0
        while len(await get(process, f"/ours/who/{room}")) > 1:
            for _ in range(3):
                await publisher.ws.send(f"{count} {'.' * 64 * KIB}")
                assert await publisher.receive() == str(count)
                count += 1
            assert count < 2000, "nobody was too slow"
        if path != _CARELESS:
            assert await _end_of(process, stalled.name) == "went on"
        if process.server is FAST:
            assert await stalled.lost(SECONDS) == "RST"


@pytest.mark.parametrize("process", [_DAPHNE], ids=["daphne"], indirect=True)
async def test_where_send_never_waits_a_member_that_never_reads_is_closed_past_its_rate(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        room = room_name()
        stalled = await stack.enter_async_context(RawClient.joined(process, room, path="/fastapi/"))
        reader = await stack.enter_async_context(Client.joined(process, room, path="/fastapi/"))
        before = held_bytes(process)
        # 40 MiB, of which 1 MiB may go in a second.
        answer = await get(process, f"/publish/{room}", method="POST", text="much", count=640, size=64 * KIB)
        assert answer == {"members": 0}
        assert await _end_of(process, stalled.name) == "went on"
        assert await reader.end() == (4913, "")
        assert held_bytes(process) - before < 8 * MIB


async def test_a_mounted_app_starts_its_hub_at_the_first_use(process: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        room = room_name()
        clients = [await stack.enter_async_context(Client.joined(process, room, path="/mounted/")) for _ in range(2)]
        await clients[0].ws.send("hello")
        assert [await client.receive() for client in clients] == ["hello"] * 2


async def test_views_publish_and_synchronous_ones_wait_for_it(process: ServerProcess) -> None:
    async with Client.joined(process, room_name(), path="/fastapi/") as client:
        answer = await get(process, f"/publish/{client.room}", method="POST", text="awaited")
        assert answer == {"members": 1}
        assert await client.receive() == "awaited"
        for path in ("/synchronous/", "/below/django/"):
            texts = [f"{path} {number}" for number in range(10)]
            await asyncio.gather(*(get(process, f"{path}{client.room}", text=text) for text in texts))
            assert sorted(await client.take(10)) == texts
            assert await get(process, f"{path}{client.room}", text="one") == {"delivered": 1}
            assert await client.receive() == "one"


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
async def test_a_client_that_pauses_gets_what_was_published_before_a_fastapi_handler_ended(
    servers: Servers, server: Server
) -> None:
    with servers.watched(server) as process:
        async with RawClient.joined(process, room_name(), path="/finale/") as client:
            await client.finale(prefix="/ours")
