"""Root paths of any form, on servers that join them to the path and on servers that do not, compared with Starlette."""

import json
from urllib.parse import quote, unquote

import pytest
import starlette
from starlette._utils import get_route_path
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse as StarletteJSON, Response as StarletteResponse
from starlette.routing import (
    Mount as StarletteMount,
    Route as StarletteRoute,
    WebSocketRoute as StarletteWebSocketRoute,
)
from starlette.websockets import WebSocket as StarletteWebSocket

from asgi_ws import App, JSONResponse, Mount, Request, Route, WebSocket, WebSocketRoute, http_app, websocket_app
from asgi_ws._asgi import ASGIApp
from asgi_ws.connection import route_path
from asgi_ws.testing import WebSocketCommunicator, http_client

from ..asgi import get, http_scope

# The root path as configured, and as a client has to write it in a URL.
ROOTS = [
    ("/api", "/api"),
    ("/api/", "/api"),
    ("/api//", "/api"),
    ("/", ""),
    ("//", ""),
    ("api", "/api"),
    ("/a%20b", "/a%20b"),
    ("/a%20b/", "/a%20b"),
    ("/a b", "/a%20b"),
    ("/é", "/%C3%A9"),
    ("/100%", "/100%25"),
]
ITEMS = ["", "~é b%41"]


@http_app
async def show(request: Request) -> JSONResponse:
    return JSONResponse({"x": request.path_params["x"], "url": request.url})


@websocket_app
async def show_ws(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_json({"x": ws.path_params["x"], "url": ws.url})


async def starlette_show(request: StarletteRequest) -> StarletteJSON:
    x = request.path_params["x"]
    return StarletteJSON({"x": x, "url": str(request.url_for("show", x=quote(x)))})


async def starlette_show_ws(websocket: StarletteWebSocket) -> None:
    await websocket.accept()
    x = websocket.path_params["x"]
    await websocket.send_json({"x": x, "url": str(websocket.url_for("show_ws", x=quote(x)))})
    await websocket.close()


def ours() -> App:
    return App([Route("/i/{x:path}", show), WebSocketRoute("/w/{x:path}", show_ws)])


def theirs() -> Starlette:
    return Starlette(
        routes=[
            StarletteRoute("/i/{x:path}", starlette_show, name="show"),
            StarletteWebSocketRoute("/w/{x:path}", starlette_show_ws, name="show_ws"),
        ]
    )


OWN_URLS_OF_STARLETTE = pytest.mark.skipif(
    tuple(map(int, starlette.__version__.split(".")[:2])) < (1, 3),
    reason="starlette before 1.3 joins a root path without a slash to the host: install starlette>=1.3",
)
# Each application with the prefix of its routes.
COMPOSITIONS = [
    pytest.param(ours(), "", id="ours"),
    pytest.param(App([Mount("/m", routes=[Mount("/n", ours())])]), "/m/n", id="ours in ours in ours"),
    pytest.param(App([Mount("/{a}", ours())]), "/p %41", id="ours in ours with a parameter"),
    pytest.param(Starlette(routes=[StarletteMount("/m", ours())]), "/m", id="ours in Starlette"),
    pytest.param(Starlette(routes=[StarletteMount("/m", App([Mount("/n", ours())]))]), "/m/n", id="all three"),
    pytest.param(App([Mount("/m", theirs())]), "/m", id="Starlette in ours", marks=OWN_URLS_OF_STARLETTE),
    pytest.param(theirs(), "", id="Starlette", marks=OWN_URLS_OF_STARLETTE),
]


@pytest.mark.parametrize(("app", "prefix"), COMPOSITIONS)
@pytest.mark.parametrize("server", ["uvicorn", "daphne", "spec"])
async def test_below_any_root_path_routes_are_found_and_urls_are_those_of_the_client(
    app: ASGIApp, prefix: str, server: str
) -> None:
    for root, base in ROOTS:
        async with http_client(app, root_path=root, server=server) as http:
            for item in ITEMS:
                below = quote(f"{prefix}/i/{item}", safe="/:@~")
                answer = await http.get(below)
                assert (answer.status_code, answer.json()["x"]) == (200, item), root
                assert unquote(answer.json()["url"]) == unquote(f"http://testserver{base}{below}")
        below = f"{prefix}/w/é"
        async with WebSocketCommunicator(app, below, root_path=root, server=server) as peer:
            assert (await peer.connect()).accepted, root
            said = json.loads(await peer.receive())
        assert (said["x"], unquote(said["url"])) == ("é", unquote(f"ws://testserver{base}{below}"))


SPLITS = [
    ("", "/x"),
    ("/r", "/r/x"),
    ("/r", "/x"),
    ("/r", "/rest"),
    ("/r", "/r"),
    ("/r", "/"),
    ("/r/", "/r//x"),
    ("/", "//x"),
    ("/", "/x"),
    ("//", "///x"),
    ("//", "/x"),
    ("/r", "/r//x"),
    ("/m", "/m/m/x"),
    ("r", "r/x"),
    ("/é", "/é/x"),
    ("/a%20b", "/a%20b/x"),
    ("/r", "*"),
]


def test_the_path_below_a_root_path_is_starlettes() -> None:
    for root, path in SPLITS:
        scope = http_scope(path=path, root_path=root)
        assert route_path(scope) == get_route_path(scope)


def test_where_starlette_finds_nothing_the_path_below_is_what_was_meant() -> None:
    rows: list[tuple[str, str, str]] = [
        # A proxy that passes the whole path on, before a server whose root path ends with a slash or is encoded.
        ("/r/", "/r/x", "/x"),
        ("/r/", "/r/", "/"),
        ("/r/", "/r", ""),
        ("/a%20b", "/a b/x", "/x"),
        # daphne and granian, for a request to "/".
        ("/", "/", "/"),
    ]
    for root, path, below in rows:
        scope = http_scope(path=path, root_path=root)
        assert route_path(scope) == below != get_route_path(scope)


async def test_a_redirect_is_below_any_root_path() -> None:
    for root, base in ROOTS:
        for server in ["uvicorn", "daphne"]:
            app = App([Mount("/m", routes=[Route("/{x}", show)])])
            async with http_client(app, root_path=root, server=server) as http:
                answer = await http.get("/m/é%2541/?q=1")
            assert (answer.status_code, answer.headers["location"]) == (307, f"{base}/m/%C3%A9%2541?q=1")


@pytest.mark.parametrize(
    ("scope", "url"),
    [
        ({"path": "*"}, "http://testserver/*"),
        ({"path": ""}, "http://testserver"),
        ({"path": "//x"}, "http://testserver//x"),
        ({"path": "/x", "root_path": None}, "http://testserver/x"),
        # Another application set its own root path below Starlette's mount.
        ({"path": "/x", "root_path": "/own", "app_root_path": "/r"}, "http://testserver/own/x"),
    ],
)
async def test_no_path_becomes_a_part_of_the_host(scope: dict[str, str], url: str) -> None:
    seen: list[str] = []

    @http_app
    async def note(request: Request) -> StarletteResponse:
        seen.append(request.url)
        return StarletteResponse()

    await get(note, **scope)
    assert seen == [url]
