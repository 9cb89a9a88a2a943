"""One of our applications in front of a real Django."""

import json

import pytest

from asgi_ws import App, Mount, Response, Route, WebSocketRoute

from ..asgi import COMPLETE, LifespanServer
from ..conversation import Conversation
from .applications import client, ours, say, scope_of, where_ws
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
    async with client(app) as http:
        assert (await http.get("/own")).text == "ours"
        assert (await http.get("/page/5/")).text == "GET /page/5/ /page/5/ "
        assert (await http.post("/page/5/", content="body")).text == "POST /page/5/ /page/5/ body"
        assert (await http.get("/unknown")).status_code == 404


async def test_django_finds_itself_below_a_prefix_and_a_root_path() -> None:
    app = App([Mount("/site", application(), scope_types=("http",))])
    async with client(app) as http:
        assert (await http.get("/site/page/5/")).text == "GET /site/page/5/ /site/page/5/ "
    async with client(app, "/r") as http:
        assert (await http.get("/r/site/page/5/")).text == "GET /r/site/page/5/ /r/site/page/5/ "


async def test_websockets_are_ours_and_the_rest_of_them_is_refused_without_asking_django(app: App) -> None:
    answer = json.loads(await say(app, scope_of("/live/ws/1")))
    assert answer["said"] == "hello"
    async with Conversation(app, scope_of("/page/5/")) as talk:
        assert await talk.denied() == (404, b"Not Found")
    assert talk.error is None


@pytest.mark.parametrize("scope_types", [("http",), ("http", "websocket", "lifespan")])
async def test_django_has_no_lifespan_and_need_not_be_told_apart(scope_types: tuple[str, ...]) -> None:
    app = App([Mount("/live", ours()), Mount("/", application(), scope_types=scope_types)])  # type: ignore[arg-type]  # they are ScopeTypes
    server = LifespanServer(app)
    assert (await server.start(), await server.stop()) == COMPLETE
