"""Real Starlette, FastAPI and Litestar applications mounted in one of ours."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import fastapi
import pytest
from fastapi import FastAPI
from litestar import Litestar, Request as LitestarRequest, WebSocket as LitestarWebSocket, get, websocket
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse as StarletteJSON
from starlette.routing import Route as StarletteRoute, WebSocketRoute as StarletteWebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket

from asgi_ws import App, LifespanFailed, Mount, Response, Route, RouteNotFound, Statistics
from asgi_ws._asgi import ASGIApp
from asgi_ws.testing import LifespanManager, WebSocketCommunicator, http_client

from .applications import say

Lines = list[str]


def starlette(lines: Lines) -> ASGIApp:
    async def page(request: StarletteRequest) -> StarletteJSON:
        found = {"url": str(request.url), "self": str(request.url_for("page", x="1")), "x": request.path_params["x"]}
        return StarletteJSON(found)

    async def talk(ws: StarletteWebSocket) -> None:
        await ws.accept()
        await ws.send_text(f"{await ws.receive_text()} {ws.url.path} {ws.path_params['x']} {ws.state.key}")
        await ws.close()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
        lines.append("start")
        yield {"key": "value"}
        lines.append("stop")

    routes = [StarletteRoute("/page/{x}", page, name="page"), StarletteWebSocketRoute("/ws/{x}", talk)]
    return Starlette(routes=routes, lifespan=lifespan)


def fast_api(lines: Lines) -> ASGIApp:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        lines.append("start")
        yield {"key": "value"}
        lines.append("stop")

    app = FastAPI(lifespan=lifespan)

    @app.get("/page/{x}", name="page")
    async def page(x: str, request: fastapi.Request) -> dict[str, str]:
        return {"url": str(request.url), "self": str(request.url_for("page", x="1")), "x": x}

    @app.websocket("/ws/{x}")
    async def talk(ws: fastapi.WebSocket, x: str) -> None:
        await ws.accept()
        await ws.send_text(f"{await ws.receive_text()} {ws.url.path} {x} {ws.state.key}")
        await ws.close()

    return app


def litestar(lines: Lines) -> ASGIApp:
    @get("/page/{x:str}", name="page")
    async def page(x: str, request: "LitestarRequest[Any, Any, Any]") -> dict[str, str]:
        # Litestar's own `url_for` knows nothing of a root path; its URL has it.
        return {"url": str(request.url), "self": str(request.url.with_replacements(query="")), "x": x}

    @websocket("/ws/{x:str}")
    async def talk(socket: "LitestarWebSocket[Any, Any, Any]", x: str) -> None:
        await socket.accept()
        await socket.send_text(f"{await socket.receive_text()} {socket.url.path} {x} value")
        await socket.close()

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        lines.append("start")
        yield
        lines.append("stop")

    app: Any = Litestar([page, talk], lifespan=[lifespan], logging_config=None)
    served: ASGIApp = app
    return served


FRAMEWORKS = [starlette, fast_api, litestar]
Make = Callable[[Lines], ASGIApp]


@pytest.mark.parametrize("make", FRAMEWORKS)
@pytest.mark.parametrize(("prefix", "root"), [("/sub", ""), ("/sub", "/r"), ("", ""), ("/{tenant}", "")])
async def test_their_routes_are_reached_and_their_urls_are_right(make: Make, prefix: str, root: str) -> None:
    app = App([Route("/own", Response("ours")), Mount(prefix, make([]))])
    concrete = prefix.replace("{tenant}", "acme")
    async with http_client(app, root_path=root) as http:
        answer = await http.get(f"{concrete}/page/1")
        assert answer.status_code == 200
        url = f"http://testserver{root}{concrete}/page/1"
        assert answer.json() == {"url": url, "self": url, "x": "1"}
        assert (await http.get(f"{concrete}/unknown")).status_code == 404
        assert (await http.get("/own")).text == "ours"


@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_their_websockets_are_reached_with_what_their_lifespan_made(make: Make) -> None:
    app = App([Mount("/sub", make([]))])
    assert await say(app, "/sub/ws/1") == "hello /sub/ws/1 1 value"


@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_their_unknown_websockets_are_refused_by_them(make: Make) -> None:
    async with WebSocketCommunicator(App([Mount("/sub", make([]))]), "/sub/unknown") as peer:
        assert not (await peer.connect()).accepted


@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_their_lifespan_runs_with_ours(make: Make) -> None:
    lines: Lines = []
    async with LifespanManager(App([Mount("/sub", make(lines))])):
        assert lines == ["start"]
    assert lines == ["start", "stop"]


@pytest.mark.parametrize("make", FRAMEWORKS)
async def test_a_failing_start_of_theirs_is_the_failing_start_of_ours(make: Make) -> None:
    class Broken(Lines):
        def append(self, line: str) -> None:
            raise ConnectionRefusedError("no database")

    with pytest.raises(LifespanFailed) as raised:
        async with LifespanManager(App([Mount("/sub", make(Broken()))])):
            raise AssertionError
    assert raised.value.phase == "startup"
    assert "no database" in raised.value.reason


@pytest.mark.parametrize("make", FRAMEWORKS)
def test_their_routers_and_counters_are_not_taken_for_ours(make: Make) -> None:
    app = App([Mount("/sub", make([]), name="sub")])
    with pytest.raises(RouteNotFound):
        app.path_for("sub:page", x="1")
    assert app.statistics() == Statistics()
