"""Start, stop and mounting."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from asgi_ws import CloseCode
from tests.hanging import HANGING
from tests.servers.client import Probe, close_frame, http
from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS, Server

from .conftest import Observe, names_us

APP = "tests.servers.probe_app:app"


@pytest.fixture(params=SERVERS, ids=lambda server: server.name)
def server(request: pytest.FixtureRequest) -> Server:
    """Return each server, for a test that starts it itself."""
    server: Server = request.param
    return server


@pytest.mark.row("lifespan is entered")
async def test_lifespan_is_entered_at_the_start_or_at_the_first_connection(server: Server, observed: Observe) -> None:
    with ServerProcess(server, APP) as process:
        at_start = "lifespan: started" in process.log()
        async with http(process) as client:
            view = (await client.get("/view")).json()
            again = (await client.get("/view")).json()
        log = process.log()
    assert view["state"] == again["state"] == {"greeting": "hello"}
    assert log.count("lifespan: started") == 1
    assert not (at_start and not server.has_lifespan)
    observed("at the start" if server.has_lifespan else "at the first connection")


async def _stop_with_an_open_connection(server: Server) -> tuple[int, str]:
    """Stop a server that has a client; the code of the close frame that the client gets, and the server's log."""
    with ServerProcess(server, APP) as process:
        ws = await Probe(process, "endpoint").connect()
        await asyncio.sleep(server.seconds_to_settle)
        process.terminate()
        if server.ends_connections:
            code, _ = await close_frame(ws)
        else:
            await ws.close()
            code = CloseCode.ABNORMAL
        assert process.wait(HANGING)
        return code, process.log()


@pytest.mark.row("SIGTERM with an open connection: close code")
async def test_sigterm_closes_an_open_connection(server: Server, observed: Observe) -> None:
    code, _ = await _stop_with_an_open_connection(server)
    assert code == server.code_at_shutdown
    if server.ends_connections:
        observed(str(code) if code != CloseCode.ABNORMAL else "no close frame")


@pytest.mark.row("SIGTERM with an open connection: code in `on_disconnect`")
async def test_sigterm_ends_the_handler_of_an_open_connection(server: Server, observed: Observe) -> None:
    _, log = await _stop_with_an_open_connection(server)
    told = [int(code) for code in re.findall(r"on_disconnect \((\d+),\)", log)]
    assert told in [[] if code is None else [code] for code in server.told_at_shutdown]
    assert ("lifespan: stopped" in log) == server.has_lifespan
    assert not names_us(log)
    if server.ends_connections:
        observed(" or ".join("no call" if code is None else str(code) for code in server.told_at_shutdown))


@pytest.fixture
def process_below_root(server: Server) -> Iterator[ServerProcess]:
    with ServerProcess(server, APP, options=[server.root_path_option, "/r"]) as process:
        yield process


@pytest.mark.row("root path `/r`, request `/hello`")
async def test_a_root_path_hides_no_route(process_below_root: ServerProcess, server: Server, observed: Observe) -> None:
    async with http(process_below_root) as client:
        response = await client.get("/hello")
        missing = await client.get("/nowhere")
    ws = await Probe(process_below_root, "endpoint").connect()
    await ws.send("below")
    assert await ws.recv() == "below"
    await ws.close()
    assert (response.status_code, missing.status_code) == (200, 404)
    observed("reaches its route")
