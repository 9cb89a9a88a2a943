"""Paths from names, and routes that could never be served."""

from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest

from asgi_ws import (
    App,
    Converter,
    HTTPEndpoint,
    InvalidRoute,
    Mount,
    Response,
    Route,
    RouteNotFound,
    Router,
    Statistics,
    WebSocket,
    WebSocketEndpoint,
    WebSocketRoute,
)
from asgi_ws._asgi import Receive, Scope, Send

from ..asgi import get
from ..samples import show, show_ws


class Chat(WebSocketEndpoint): ...


class Page(HTTPEndpoint): ...


# -- names


def routes_for_names() -> list[Route | Mount]:
    inner = App([Route("/{id:int}", show, name="user"), Mount("/deep", routes=[Route("/x", show)], name="deep")])
    return [
        Route("/", show, name="home"),
        Route("/hello", Page.as_asgi()),
        WebSocketRoute("/chat/{room}", Chat.as_asgi()),
        Route("/a/{x}", show, name="pair"),
        Route("/a/{x}/{y}", show, name="pair"),
        Route("/static", Response("x")),
        Mount("/users", inner, name="users"),
        Mount("/{tenant}/api", routes=[Route("/{x:path}", show, name="file")], name="a:b"),
        Mount("/other", routes=[Route("/x", show, name="x")]),
        Mount("/foreign", show, name="foreign"),
        Mount("/", Router([Route("/last", show, name="last")]), name="root"),
    ]


KNOWN = ["Chat", "Page", "Response", "a:b:file", "home", "pair", "pair", "root:last", "users:deep:show", "users:user"]


def test_a_path_is_found_by_its_name() -> None:
    rows: list[type[App | Router]] = [Router, App]
    others: list[tuple[str, dict[str, Any], str]] = [
        ("home", {}, "/"),
        ("Page", {}, "/hello"),
        ("Chat", {"room": "a b"}, "/chat/a%20b"),
        ("pair", {"x": "1"}, "/a/1"),
        ("pair", {"x": "1", "y": "2"}, "/a/1/2"),
        ("Response", {}, "/static"),
        ("users:user", {"id": 5}, "/users/5"),
        ("users:deep:show", {}, "/users/deep/x"),
        ("a:b:file", {"tenant": "acme", "x": "a/b"}, "/acme/api/a/b"),
        ("root:last", {}, "/last"),
    ]
    for make in rows:
        for name, params, path in others:
            assert make(routes_for_names()).path_for(name, **params) == path


def test_a_name_without_a_route_is_an_error_that_lists_the_names() -> None:
    rows: list[tuple[str, dict[str, Any]]] = [
        ("nothing", {}),
        ("home", {"x": 1}),
        ("Chat", {}),
        ("Chat", {"room": "a/b"}),
        ("users:user", {"id": "x"}),
        ("users:nothing", {}),
        ("users", {}),
        ("x", {}),
        ("None:x", {}),
        ("foreign:show", {}),
        ("a:b:file", {"x": "a"}),
    ]
    for name, params in rows:
        with pytest.raises(RouteNotFound) as raised:
            Router(routes_for_names()).path_for(name, **params)
        assert raised.value.name == name
        assert raised.value.params == params
        assert raised.value.known == KNOWN
        assert "users:user" in str(raised.value)


class ForeignRouter:
    """An application like Starlette's, with a router that is not ours and its own kind of statistics."""

    router = object()

    def statistics(self) -> dict[str, int]:
        raise AssertionError("asked a stranger")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


def test_a_mounted_application_with_a_router_of_another_kind_has_no_names_of_ours() -> None:
    router = Router([Mount("/x", ForeignRouter(), name="x")])
    with pytest.raises(RouteNotFound, match="names: none"):
        router.path_for("x:y")
    assert router.statistics() == Statistics()


# -- mistakes


# A type checker finds these mistakes too.
ROUTE: Any = Route
WEBSOCKET_ROUTE: Any = WebSocketRoute
MOUNT: Any = Mount
ROUTER: Any = Router
APP: Any = App


async def undecorated(ws: WebSocket) -> None: ...


def test_a_route_that_could_never_be_served_is_refused_with_the_way_out() -> None:
    rows: list[tuple[Callable[[], Any], str]] = [
        (lambda: ROUTE("/a", Page), "Page is a class; route to Page.as_asgi()"),
        (lambda: WEBSOCKET_ROUTE("/a", Chat), "Chat is a class; route to Chat.as_asgi()"),
        (lambda: ROUTE("/a", Response), "Response is a class; route to an instance"),
        (lambda: WEBSOCKET_ROUTE("/a", undecorated), "decorate it with @http_app or @websocket_app"),
        (lambda: ROUTE("/a", "text"), "'text' is not an ASGI callable"),
        (lambda: MOUNT("/a", undecorated), "does not take scope, receive and send"),
        (lambda: MOUNT("/a"), "give an app or routes, not both"),
        (lambda: MOUNT("/a", show, routes=[]), "give an app or routes, not both"),
        (lambda: MOUNT(5, show), "expected a path as str"),
        (
            lambda: MOUNT("/a", show, scope_types=("http", "https")),
            "unknown scope type 'https'; expected one of http, websocket",
        ),
        (lambda: ROUTE("/a", show, methods=["GET", "P OST"]), "'P OST' is not an HTTP method"),
        (lambda: ROUTE("/a", show, methods=[5]), "5 is not an HTTP method"),
        (lambda: ROUTE("/a", show, methods=[]), "methods is empty"),
        (lambda: ROUTER([ROUTE("a", show)]), "must start with '/'"),
        (lambda: ROUTER([MOUNT("a", show)]), "must start with '/'"),
        (lambda: ROUTER([MOUNT("/{_rest}", show)]), "duplicate parameter"),
        (
            lambda: ROUTER([ROUTE("/{x:_rest}", show)]),
            "unknown converter '_rest'; expected one of float, int, path, str, uuid",
        ),
        (lambda: ROUTER([show]), "expected Route, WebSocketRoute or Mount objects"),
        (lambda: APP([("/a", show)]), "expected Route, WebSocketRoute or Mount objects"),
    ]
    for make, why in rows:
        with pytest.raises(InvalidRoute) as raised:
            make()
        assert why in str(raised.value)


def test_a_callable_without_a_signature_is_taken_at_its_word() -> None:
    endpoint: Any = max
    with pytest.raises(ValueError, match="no signature"):
        signature(endpoint)
    assert Route("/a", endpoint).endpoint is endpoint


def test_a_route_and_a_mount_show_what_they_are() -> None:
    assert repr(Route("/a", show)) == "Route('/a', <HTTPApp show>)"
    assert repr(WebSocketRoute("/a", show_ws)) == "WebSocketRoute('/a', <WebSocketApp show_ws>)"
    assert repr(Mount("/m/", show)) == "Mount('/m', <HTTPApp show>)"
    assert repr(Mount("/m", routes=[Route("/a", show)])) == "Mount('/m', [Route('/a', <HTTPApp show>)])"


async def test_converters_reach_the_routes_of_mounts() -> None:
    converters = {"hex": Converter("[0-9a-f]+", lambda text: int(text, 16), hex)}
    app = App([Mount("/m", routes=[Route("/{n:hex}", show)])], converters=converters)
    assert (await get(app, "/m/ff")).text == "/m|/m/ff|[('n', 255)]"


async def test_the_choice_about_slashes_reaches_the_routes_of_mounts() -> None:
    app = App([Mount("/m", routes=[Route("/a", show)])], redirect_slashes=False)
    assert (await get(app, "/m/a/")).status == 404
    assert (await get(app, "/m")).status == 404
