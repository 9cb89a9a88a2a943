"""The default application: its routes, its answers, and what it logs."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest
from websockets.asyncio.client import connect

import asgi_ws
from asgi_ws._asgi import Event
from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS, Server

# The servers whose log configuration is theirs alone, so that the package's lines would be lost.
UVICORNS: Final = [server for server in SERVERS if server.name.startswith("uvicorn")]
BOUND: Final = 5.0

PAGE_FILES: Final = {
    "/": "text/html; charset=utf-8",
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml",
}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(asgi_ws.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Start and stop the default application, as a server does."""
    inbox: asyncio.Queue[Event] = asyncio.Queue()
    outbox: asyncio.Queue[Event] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    async with asyncio.timeout(BOUND), asyncio.TaskGroup() as tasks:
        tasks.create_task(asgi_ws.app(scope, inbox.get, outbox.put))
        inbox.put_nowait({"type": "lifespan.startup"})
        assert await outbox.get() == {"type": "lifespan.startup.complete"}
        yield
        inbox.put_nowait({"type": "lifespan.shutdown"})
        assert await outbox.get() == {"type": "lifespan.shutdown.complete"}


async def test_hello_greets_in_plain_text(client: httpx.AsyncClient) -> None:
    response = await client.get("/hello")
    assert (response.status_code, response.text) == (200, "Hello, World!")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["content-length"] == "13"


async def test_healthz_is_ok(client: httpx.AsyncClient) -> None:
    response = await client.get("/healthz")
    assert (response.status_code, response.text) == (200, "ok")


@pytest.mark.parametrize("path", PAGE_FILES)
async def test_each_file_of_the_page_has_its_type_and_the_security_headers(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == PAGE_FILES[path]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    policy = response.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in response.headers["content-security-policy"]


async def test_the_page_names_no_other_host(client: httpx.AsyncClient) -> None:
    for path in PAGE_FILES:
        text = (await client.get(path)).text.replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert re.findall(r"https?://|//\w+\.", text) == []


@pytest.mark.parametrize("path", [*PAGE_FILES, "/hello", "/healthz"])
async def test_head_tells_of_the_same_body_without_sending_it(client: httpx.AsyncClient, path: str) -> None:
    head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == get.headers
    assert head.headers["content-length"] == str(len(get.content))


@pytest.mark.parametrize("path", [*PAGE_FILES, "/hello", "/healthz"])
async def test_a_wrong_method_is_answered_with_the_right_ones(client: httpx.AsyncClient, path: str) -> None:
    response = await client.post(path)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_an_unknown_path_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/nothing")).status_code == 404


@pytest.fixture(scope="module", params=UVICORNS, ids=lambda server: server.name)
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with ServerProcess(request.param, "asgi_ws:app") as process:
        yield process


async def test_ws_answers_ok_to_every_text_and_binary_message(server: ServerProcess) -> None:
    async with asyncio.timeout(BOUND), connect(server.url("/ws", "ws")) as ws:
        for message in ("text", b"binary", "", b"", "Grüße", bytes(70_000)):
            await ws.send(message)
            assert await ws.recv() == "OK!"


async def test_who_comes_and_goes_is_in_the_log_of_uvicorn(server: ServerProcess) -> None:
    start = server.log_size()
    async with asyncio.timeout(BOUND):
        async with connect(server.url("/ws", "ws")) as ws:
            host, port = ws.local_address
            await ws.close(4001)
        lines = [f"WebSocket connected: {host}:{port}", f"WebSocket disconnected (code 4001): {host}:{port}"]
        while f"{lines[1]}\n" not in server.log(start):
            await asyncio.sleep(0.01)
    own = [line for line in server.log(start).splitlines() if "WebSocket " in line and "/ws" not in line]
    assert own == [f"INFO:     {line}" for line in lines]


async def test_a_page_of_another_origin_is_refused(server: ServerProcess) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.get(
            server.url("/ws"),
            headers={
                "connection": "Upgrade",
                "upgrade": "websocket",
                "origin": "http://elsewhere.example",
                "sec-websocket-version": "13",
                "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
            },
        )
    assert response.status_code == 403


async def test_a_log_that_was_set_up_before_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("asgi_ws")
    before = list(logger.handlers), logger.level
    async with lifespan():
        assert (logger.handlers, logger.level) == before
    assert (logger.handlers, logger.level) == before


async def test_a_log_that_nobody_set_up_is_shown_until_the_application_stops(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logger = logging.getLogger("asgi_ws")
    before = list(logger.handlers), logger.level
    async with lifespan():
        logger.info("shown")
        logger.debug("not shown")
    logger.info("too late")
    assert (logger.handlers, logger.level) == before
    assert capsys.readouterr().err == "INFO:     shown\n"


async def test_uvicorn_s_log_config_decides_where_it_names_the_logger(tmp_path: Path) -> None:
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"own": {"format": "own %(name)s %(message)s"}},
        "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own"}},
        "loggers": {"asgi_ws": {"handlers": ["own"], "level": "INFO"}},
    }
    path = tmp_path / "log.json"
    path.write_text(json.dumps(config))
    plain = Server(
        name="uvicorn", title="uvicorn", arguments=("uvicorn", "{app}", "--port={port}", f"--log-config={path}")
    )
    with ServerProcess(plain, "asgi_ws:app") as process:
        async with asyncio.timeout(BOUND), connect(process.url("/ws", "ws")):
            pass
        process.stop()
        own = [re.sub(r"127.*", "…", line) for line in process.log().splitlines() if "WebSocket " in line]
    assert own == ["own asgi_ws WebSocket connected: …", "own asgi_ws WebSocket disconnected (code 1000): …"]
