"""Under a loop whose tasks are begun in `create_task` (asyncio.eager_task_factory) an application may end in there."""

import asyncio

import pytest

from tests.servers.client import SECONDS, handshake

from .conftest import Start
from .peer import dialled

APP = "tests.uvicorn_protocol.at_once:app"
OPTIONS = ("--loop=tests.eager_tasks:new_event_loop", "--lifespan=off")


@pytest.mark.handler_fails
async def test_an_application_that_ends_before_it_waits_leaves_no_connection_behind(start: Start) -> None:
    server = start(*OPTIONS, app=APP)
    for path, status in (("/raise", 500), ("/return", 500), ("/deny", 401), ("/close", 101)):
        async with dialled(server, handshake(path)) as peer:
            assert (await peer.head()).status == status
    server.terminate()
    assert await asyncio.to_thread(server.wait, SECONDS), server.log()


async def test_an_application_that_sends_before_it_waits_is_held_up_by_a_client_that_does_not_read(
    start: Start,
) -> None:
    server = start(*OPTIONS, app=APP)
    async with dialled(server, handshake("/flood"), receive_buffer=4096) as peer:
        await peer.head()
        peer.stop_reading()
        sent = [int((await server.get("/")).text) for _ in range(10)]
    assert sent == [0] * 10
