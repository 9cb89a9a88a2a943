"""Applications of FastAPI and Starlette, unchanged, and the websockets library's client."""

import asyncio
import json
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.servers.client import SECONDS, close_frame, opened, reset

from .conftest import Serve
from .served import Uvicorn

_APPS: Final = "tests.uvicorn_protocol.framework_apps"


@pytest.fixture
def fastapi(serve: Serve) -> Uvicorn:
    return serve(app=f"{_APPS}:fastapi_app")


@pytest.fixture
def starlette(serve: Serve) -> Uvicorn:
    return serve(app=f"{_APPS}:starlette_app")


async def _connect(server: Uvicorn, path: str, **options: Any) -> ClientConnection:
    ws = await connect(server.url(path, "ws"), proxy=None, close_timeout=1, **options)
    opened.append(ws)
    return ws


async def _ends(server: Uvicorn, ending: str | int, before: int = 0) -> None:
    """Wait until more handlers than `before` have ended so."""
    async with asyncio.timeout(SECONDS):
        while (await _endings(server)).count(ending) <= before:
            await asyncio.sleep(0.02)


async def _endings(server: Uvicorn) -> list[str | int]:
    endings: list[str | int] = (await server.get("/endings")).json()
    return endings


async def test_the_chat_of_fastapi_s_tutorial(fastapi: Uvicorn) -> None:
    first = await _connect(fastapi, "/chat/1")
    second = await _connect(fastapi, "/chat/2")
    await first.send("hello")
    assert await first.recv() == await second.recv() == "Client #1 says: hello"
    await second.close(4000, "bye")
    assert await first.recv() == "Client #2 left the chat: 4000 bye"
    reset(await _connect(fastapi, "/chat/3"))
    assert await first.recv() == "Client #3 left the chat: 1006 "
    await first.close()


async def test_dependencies_headers_subprotocols_and_codes_of_fastapi(fastapi: Uvicorn) -> None:
    ws = await _connect(
        fastapi,
        "/items/7?token=secret",
        subprotocols=[Subprotocol("a"), Subprotocol("b")],
        additional_headers={"x-probe": "yes"},
    )
    assert ws.response is not None
    assert (ws.subprotocol, ws.response.headers["x-probe"]) == ("b", "yes")
    assert json.loads(await ws.recv()) == {"item": 7, "token": "secret", "url": "/items/7"}
    await ws.send(b"\x00\xff" * 100_000)
    assert await ws.recv() == b"\x00\xff" * 100_000
    assert await close_frame(ws) == (4001, "done")


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/denied", 402, b'{"why":"no"}'),
        ("/refused", 401, b'{"detail":"who are you?"}'),
        ("/items/7", 403, None),
        ("/nowhere", 403, None),
    ],
)
async def test_fastapi_s_refusals(fastapi: Uvicorn, path: str, status: int, body: bytes | None) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await _connect(fastapi, path)
    response = caught.value.response
    assert response.status_code == status
    assert body is None or response.body == body
    assert (response.headers.get("x-probe") == "denied") == (path == "/denied")


@pytest.mark.handler_fails
async def test_the_error_of_a_fastapi_handler_closes_with_1011_and_is_logged(fastapi: Uvicorn) -> None:
    assert (await close_frame(await _connect(fastapi, "/fails")))[0] == 1011
    await fastapi.settle()
    assert "\n".join(fastapi.complaints()).count("RuntimeError: on purpose") == 1


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("handler", ["careless", "pushing", "tidy"])
async def test_a_client_s_leaving_is_not_an_error_of_a_handler(fastapi: Uvicorn, handler: str, leave: str) -> None:
    before = (await _endings(fastapi)).count(handler)
    ws = await _connect(fastapi, f"/{handler}")
    if leave == "close":
        await ws.close(4001)
    else:
        reset(ws)
    await _ends(fastapi, handler, before)


@pytest.mark.handler_fails
async def test_an_error_after_the_client_has_left_is_logged(fastapi: Uvicorn) -> None:
    ws = await _connect(fastapi, "/stumbles")
    await ws.close()
    await _ends(fastapi, "stumbles")
    await fastapi.settle()
    assert "\n".join(fastapi.complaints()).count("KeyError: 'on purpose'") == 1


async def test_a_starlette_endpoint(starlette: Uvicorn) -> None:
    ws = await _connect(starlette, "/echo")
    assert json.loads(await ws.recv()) == {"greeting": "hello"}
    for data in ({"a": [1, None, "é"]}, "text", 7):
        await ws.send(json.dumps(data))
        assert json.loads(await ws.recv()) == {"received": data}
    await ws.close(4002)
    await _ends(starlette, 4002)


async def test_iteration_below_a_mount(starlette: Uvicorn) -> None:
    ws = await _connect(starlette, "/below/letters")
    await ws.send("letters" * 100)
    assert [await ws.recv() for _ in range(700)] == list("letters" * 100)
    await ws.close()
    await _ends(starlette, "letters")


async def test_http_beside_websockets(fastapi: Uvicorn, starlette: Uvicorn) -> None:
    assert (await fastapi.get("/http")).json() == {"hello": "world"}
    assert (await starlette.get("/http")).text == "Hello, World!"
