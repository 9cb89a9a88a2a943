"""One of our applications in front of a real Django."""

import json

import pytest

from asgi_ws import App, Mount, Response, Route, WebSocketRoute
from asgi_ws.testing import LifespanManager, WebSocketCommunicator, http_client

from ..outcomes import refusal
from .applications import ours, say, where_ws
from .django_site import application


@pytest.fixture
def app() -> App:
    return App(
        [
            Route("/own", Response("ours")),
            WebSocketRoute("/ws/{x}", where_ws),
            Mount("/live", ours()),
            Mount("/", application(), scope_types=("http",)),
        ]
    )


async def test_django_gets_every_http_request_that_is_not_ours(app: App) -> None:
    # Django names its headers in upper case, which servers take.
    async with http_client(app, server="uvicorn") as http:
        assert (await http.get("/own")).text == "ours"
        assert (await http.get("/page/5/")).text == "GET /page/5/ /page/5/ "
        assert (await http.post("/page/5/", content="body")).text == "POST /page/5/ /page/5/ body"
        assert (await http.get("/unknown")).status_code == 404


async def test_django_finds_itself_below_a_prefix_and_a_root_path() -> None:
    app = App([Mount("/site", application(), scope_types=("http",))])
    async with http_client(app, server="uvicorn") as http:
        assert (await http.get("/site/page/5/")).text == "GET /site/page/5/ /site/page/5/ "
    async with http_client(app, root_path="/r", server="uvicorn") as http:
        assert (await http.get("/site/page/5/")).text == "GET /r/site/page/5/ /r/site/page/5/ "


async def test_websockets_are_ours_and_the_rest_of_them_is_refused_without_asking_django(app: App) -> None:
    answer = json.loads(await say(app, "/live/ws/1"))
    assert answer["said"] == "hello"
    async with WebSocketCommunicator(app, "/page/5/") as peer:
        assert await refusal(peer) == (404, b"Not Found")


@pytest.mark.parametrize("scope_types", [("http",), ("http", "websocket", "lifespan")])
async def test_django_has_no_lifespan_and_need_not_be_told_apart(scope_types: tuple[str, ...]) -> None:
    app = App([Mount("/live", ours()), Mount("/", application(), scope_types=scope_types)])  # type: ignore[arg-type]  # they are ScopeTypes
    async with LifespanManager(app):
        pass
