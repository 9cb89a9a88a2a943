"""The default application: its routes, its answers, and what it logs."""

import asyncio
import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import httpx2
import pytest
from websockets.asyncio.client import connect

import asgi_ws
from asgi_ws.testing import LifespanManager, WebSocketCommunicator, http_client
from asgi_ws.testing.servers.profiles import UVICORN
from tests.hanging import HANGING
from tests.outcomes import refusal
from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS, Server

# The servers whose log configuration is theirs alone, so that the package's lines would be lost.
UVICORNS: Final = [server for server in SERVERS if server.name.startswith("uvicorn")]

PAGE_FILES: Final = {
    "/": "text/html; charset=utf-8",
    "/chat/lobby": "text/html; charset=utf-8",
    "/chat-client.js": "text/javascript; charset=utf-8",
    "/chat-name.js": "text/javascript; charset=utf-8",
    "/chat.js": "text/javascript; charset=utf-8",
    "/common.js": "text/javascript; charset=utf-8",
    "/log.js": "text/javascript; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/reconnecting-socket.js": "text/javascript; charset=utf-8",
    "/style.css": "text/css; charset=utf-8",
    "/icon.svg": "image/svg+xml",
}


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    # With the cookie that a first look at the chat would set.
    async with http_client(asgi_ws.app, cookies={"asgi_ws_visitor": "known"}) as client:
        yield client


# Each thread asks by another of the ways to ask.
ASK_AT_ONCE: Final = """
import inspect, sys, threading
import asgi_ws

sys.setswitchinterval(1e-6)
assert "app" in dir(asgi_ws) and "asgi_ws.demo" not in sys.modules
start = threading.Barrier(4)
found = []

def ask(statement):
    names = {}
    start.wait()
    exec(statement, names)
    found.append(names["app"])

statements = [
    "import asgi_ws; app = asgi_ws.app",
    "from asgi_ws import app",
    "from asgi_ws import *",
    "import asgi_ws, inspect; app = dict(inspect.getmembers(asgi_ws))['app']",
]
threads = [threading.Thread(target=ask, args=[statement]) for statement in statements]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 4 and {id(app) for app in found} == {id(asgi_ws.app)}
"""


def test_threads_that_ask_for_the_application_at_once_get_the_same_one() -> None:
    subprocess.run([sys.executable, "-c", ASK_AT_ONCE], check=True, timeout=HANGING)


def test_a_name_that_the_package_has_not_is_an_attribute_error_that_names_the_module() -> None:
    with pytest.raises(AttributeError, match=r"^module 'asgi_ws' has no attribute 'apps'$") as caught:
        _ = getattr(asgi_ws, "apps")  # noqa: B009 -- type checkers refuse the attribute
    assert (caught.value.name, caught.value.obj) == ("apps", asgi_ws)


async def test_hello_greets_in_plain_text(client: httpx2.AsyncClient) -> None:
    response = await client.get("/hello")
    assert (response.status_code, response.text) == (200, "Hello, World!")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["content-length"] == "13"


async def test_healthz_is_ok(client: httpx2.AsyncClient) -> None:
    response = await client.get("/healthz")
    assert (response.status_code, response.text) == (200, "ok")


async def test_each_file_of_the_page_has_its_type_and_the_security_headers_and_names_no_other_host(
    client: httpx2.AsyncClient,
) -> None:
    for path, kind in PAGE_FILES.items():
        response = await client.get(path)
        assert (response.status_code, response.headers["content-type"]) == (200, kind)
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        policy = response.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert "unsafe" not in response.headers["content-security-policy"]
        text = response.text.replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert re.findall(r"https?://|//\w+\.", text) == []


async def test_head_tells_of_the_same_body_and_a_wrong_method_of_the_right_ones(client: httpx2.AsyncClient) -> None:
    for path in (*PAGE_FILES, "/hello", "/healthz"):
        head, get, post = await client.head(path), await client.get(path), await client.post(path)
        assert (head.status_code, head.content, head.headers) == (200, b"", get.headers)
        assert head.headers["content-length"] == str(len(get.content))
        assert (post.status_code, post.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_an_unknown_path_is_not_found(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/nothing")).status_code == 404


@pytest.fixture(scope="module", params=UVICORNS, ids=lambda server: server.name)
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with ServerProcess(request.param, "asgi_ws:app") as process:
        yield process


async def test_ws_answers_ok_to_every_text_and_binary_message() -> None:
    async with WebSocketCommunicator(asgi_ws.app, "/ws") as ws:
        await ws.connect()
        for message in ("text", b"binary", "", b"", "Grüße", bytes(70_000)):
            await ws.send(message)
            assert await ws.receive() == "OK!"


async def test_who_comes_and_goes_is_in_the_log_of_uvicorn(server: ServerProcess) -> None:
    start = server.log_size()
    async with asyncio.timeout(HANGING):
        async with connect(server.url("/ws", "ws")) as ws:
            host, port = ws.local_address
            await ws.close(4001)
        lines = [f"WebSocket connected: {host}:{port}", f"WebSocket disconnected (code 4001): {host}:{port}"]
        while f"{lines[1]}\n" not in server.log(start):
            await asyncio.sleep(0.01)
    own = [line for line in server.log(start).splitlines() if "WebSocket " in line and "/ws" not in line]
    assert own == [f"INFO:     {line}" for line in lines]


async def test_a_page_of_another_origin_is_refused() -> None:
    async with WebSocketCommunicator(asgi_ws.app, "/ws", origin="http://elsewhere.example") as ws:
        assert await refusal(ws) == (403, b"origin not allowed")


async def test_a_log_that_was_set_up_before_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("asgi_ws")
    before = list(logger.handlers), logger.level
    async with LifespanManager(asgi_ws.app):
        assert (logger.handlers, logger.level) == before
    assert (logger.handlers, logger.level) == before


async def test_a_log_that_nobody_set_up_is_shown_until_the_application_stops(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logger = logging.getLogger("asgi_ws")
    before = list(logger.handlers), logger.level
    async with LifespanManager(asgi_ws.app):
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
        name="uvicorn",
        title="uvicorn",
        profile=UVICORN,
        arguments=("uvicorn", "{app}", "--port={port}", f"--log-config={path}"),
    )
    with ServerProcess(plain, "asgi_ws:app") as process:
        async with asyncio.timeout(HANGING), connect(process.url("/ws", "ws")):
            pass
        process.stop()
        own = [re.sub(r"127.*", "…", line) for line in process.log().splitlines() if "WebSocket " in line]
    assert own == ["own asgi_ws WebSocket connected: …", "own asgi_ws WebSocket disconnected (code 1000): …"]
