"""An application of ours mounted in real Starlette, FastAPI and Litestar applications."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from litestar import Litestar, asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive as LitestarReceive, Scope as LitestarScope, Send as LitestarSend
from starlette.applications import Starlette
from starlette.routing import Mount as StarletteMount

from asgi_ws import App
from asgi_ws._asgi import ASGIApp
from asgi_ws.testing import WebSocketCommunicator, http_client

from ..outcomes import refusal
from .applications import ours, say, where_ws


def in_starlette(app: App) -> ASGIApp:
    return Starlette(routes=[StarletteMount("/sub", app)])


def in_starlette_twice(app: App) -> ASGIApp:
    return Starlette(routes=[StarletteMount("/s", Starlette(routes=[StarletteMount("/ub", app)]))])


def in_fastapi(app: App) -> ASGIApp:
    outer = FastAPI()
    outer.mount("/sub", app)
    return outer


def in_litestar(app: App) -> ASGIApp:
    @asgi("/sub", is_mount=True, copy_scope=True)
    async def mounted(scope: LitestarScope, receive: LitestarReceive, send: LitestarSend) -> None:
        untyped: Any = (scope, receive, send)
        await app(*untyped)

    return litestar(mounted)


def litestar(*handlers: ASGIRouteHandler) -> ASGIApp:
    app: Any = Litestar(handlers, logging_config=None)
    served: ASGIApp = app
    return served


# Litestar ends every path below a mount with a slash.
FRAMEWORKS = [(in_starlette, ""), (in_fastapi, ""), (in_litestar, "/")]


@pytest.mark.parametrize(("mount", "end"), FRAMEWORKS)
async def test_http_reaches_the_mounted_application_with_its_parameters(mount: Any, end: str) -> None:
    async with http_client(mount(ours(end))) as http:
        answer = await http.get(f"/sub/where/5{end}")
        assert answer.status_code == 200
        assert answer.json()["params"]["x"] == "5"
        assert (await http.get("/sub/unknown")).status_code == 404


@pytest.mark.parametrize(("mount", "end"), FRAMEWORKS)
async def test_a_websocket_reaches_the_mounted_application_and_what_it_started(mount: Any, end: str) -> None:
    answer = json.loads(await say(mount(ours(end)), "/sub/ws/5"))
    assert answer["said"] == "hello"
    assert answer["params"]["x"] == "5"
    assert answer["started"] is True


@pytest.mark.parametrize(("mount", "end"), FRAMEWORKS)
async def test_what_is_refused_is_refused_below_a_framework_too(mount: Any, end: str) -> None:
    app = mount(ours(end))
    async with WebSocketCommunicator(app, "/sub/ws/5", origin="http://evil.org") as peer:
        assert await refusal(peer) == (403, b"origin not allowed")
    async with WebSocketCommunicator(app, "/sub/unknown") as peer:
        assert await refusal(peer) == (404, b"Not Found")


async def test_litestar_takes_an_endpoint_as_it_takes_a_function() -> None:
    decorate: Any = asgi("/ws/{x:str}", copy_scope=True)
    answer = json.loads(await say(litestar(decorate(where_ws)), "/ws/5"))
    assert answer["params"] == {"x": "5"}
    assert answer["url"] == "ws://testserver/ws/5"


@pytest.mark.parametrize("root", ["", "/r"])
@pytest.mark.parametrize(
    ("mount", "below"), [(in_starlette, "/sub"), (in_starlette_twice, "/s/ub"), (in_fastapi, "/sub")]
)
async def test_root_path_url_and_redirects_are_those_the_client_knows(mount: Any, below: str, root: str) -> None:
    app = mount(ours())
    base = f"{root}{below}"
    async with http_client(app, root_path=root) as http:
        answer = (await http.get(f"{below}/where/5")).json()
        redirect = await http.get(f"{below}/where/5/?q=1")
    assert answer["root"] == base
    assert answer["url"] == f"http://testserver{base}/where/5"
    assert redirect.headers["location"] == f"{base}/where/5?q=1"
    said = json.loads(await say(app, f"{below}/ws/5", root_path=root))
    assert said["url"] == f"ws://testserver{base}/ws/5"
