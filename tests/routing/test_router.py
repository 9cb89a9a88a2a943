"""Dispatch: the route for each request, the answers without a route, and paths from names."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, strategies as st

from asgi_ws import (
    App,
    Headers,
    Mount,
    Response,
    Route,
    Router,
    UnsupportedScope,
    WebSocket,
    WebSocketRoute,
    websocket_app,
)
from asgi_ws._asgi import ASGIApp
from asgi_ws.testing import Denied, WebSocketCommunicator

from ..asgi import get, http, http_scope
from ..outcomes import outcome, refusal, told
from ..samples import show, show_ws


async def said(app: ASGIApp, path: str, **options: Any) -> str | bytes:
    async with WebSocketCommunicator(app, path, **options) as peer:
        await peer.connect()
        return await peer.receive()


# -- HTTP


async def test_a_request_goes_to_its_route_with_its_parameters() -> None:
    router = Router([Route("/users/{id:int}", show), Route("/users/me", Response("me"))])
    assert (await get(router, "/users/me")).text == "me"
    assert (await get(router, "/users/5")).text == "|/users/5|[('id', 5)]"


async def test_an_unknown_path_is_404() -> None:
    answer = await get(Router([Route("/a", show)]), "/b")
    assert (answer.status, answer.text) == (404, "Not Found")


async def test_an_odd_path_is_404() -> None:
    for path in ["*", "", "a", "//", "/a//", "/\x00"]:
        assert (await get(Router([Route("/a", show)]), path)).status == 404


async def test_another_method_is_405_with_all_that_are_allowed() -> None:
    router = Router([Route("/a", show, methods=["get"]), Route("/a", show, methods=["PUT"])])
    answer = await http(router, "DELETE", "/a")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, PUT")
    assert (await http(router, "PUT", "/a")).status == 200
    assert (await http(router, "get", "/a")).status == 405


async def test_options_is_answered_with_what_is_allowed_unless_a_route_does_it() -> None:
    router = Router([Route("/a", show, methods=["POST"]), Route("/b", Response("own"), methods="OPTIONS")])
    answer = await http(router, "OPTIONS", "/a")
    assert (answer.status, answer.headers["allow"], answer.body) == (204, "OPTIONS, POST", b"")
    assert (await http(router, "OPTIONS", "/b")).text == "own"


async def test_head_goes_where_get_goes_and_has_no_body() -> None:
    answer = await http(Router([Route("/a", Response("abc"), methods=["GET"])]), "HEAD", "/a")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "3", b"")
    assert (await http(Router([Route("/a", show, methods=["POST"])]), "HEAD", "/a")).status == 405


async def test_a_less_specific_route_with_the_method_is_found_behind_one_without() -> None:
    router = Router([Route("/a", Response("get"), methods=["GET"]), Route("/{x}", Response("any"))])
    assert (await http(router, "POST", "/a")).text == "any"


async def test_a_catch_all_mount_takes_what_the_methods_of_a_route_leave() -> None:
    router = Router([Route("/a", Response("get"), methods=["GET"]), Mount("/", Response("mounted"))])
    assert (await http(router, "GET", "/a")).text == "get"
    assert (await http(router, "POST", "/a")).text == "mounted"


async def test_plain_http_on_a_websocket_path_is_426() -> None:
    rows: list[tuple[str, str | None]] = [("1.1", "websocket"), ("2", None), ("1.0", None)]
    for version, upgrade in rows:
        answer = await get(Router([WebSocketRoute("/ws", show_ws)]), "/ws", http_version=version)
        assert (answer.status, answer.headers.get("upgrade")) == (426, upgrade)


async def test_a_path_for_both_serves_each_by_its_own_route() -> None:
    router = Router([WebSocketRoute("/x", show_ws), Route("/x", show)])
    assert (await get(router, "/x")).status == 200
    assert await said(router, "/x") == "|/x|[]"


async def test_a_percent_encoded_slash_is_a_slash_as_servers_decode_it() -> None:
    # ASGI, "path": percent-decoded; so /a%2Fb comes as /a/b.
    assert (await get(Router([Route("/{x}", show)], redirect_slashes=False), "/a/b")).status == 404


# -- the slash at the end


async def test_one_slash_more_or_less_is_a_redirect_that_keeps_method_and_query() -> None:
    rows: list[tuple[str, str, str]] = [("/a", "/a/", "/a"), ("/a/", "/a", "/a/"), ("/{x}", "/é b/", "/%C3%A9%20b")]
    for route, path, location in rows:
        router = Router([Route(route, show)])
        answer = await http(router, "POST", path, query_string=b"q=1&r=%20\xc3\xa9")
        assert (answer.status, answer.headers["location"]) == (307, f"{location}?q=1&r=%20%C3%A9")
        assert (await get(router, path)).headers["location"] == location
        assert (await get(Router([Route(route, show)], redirect_slashes=False), path)).status == 404


async def test_a_redirect_never_leads_to_another_host() -> None:
    for path in ["//evil.org/", "//evil.org", "///evil.org/", "/\\evil.org/"]:
        answer = await get(Router([Route("/{x:path}/", show), Route("/{x}", show), Route("//{x}", show)]), path)
        location = answer.headers.get("location", "")
        assert not location.startswith(("//", "/\\"))
        assert "\\" not in location


@given(st.text(alphabet="/\\ae.:@\n\t?#", max_size=8), st.sampled_from(["", "/", "/r", "//evil", "/r/"]))
async def test_whatever_the_path_a_redirect_stays_on_this_host(path: str, root: str) -> None:
    router = Router([Route("/{x:path}/", show), Route("/{x:path}a", show)])
    answer = await get(router, f"/{path}", root_path=root)
    location = answer.headers.get("location", "/")
    assert location.startswith("/")
    assert not location.startswith("//")
    assert not set(location) & set("\\\n\t")


async def test_a_redirect_is_only_to_what_this_request_would_be_served_by() -> None:
    router = Router([Route("/a/", show, methods=["GET"]), WebSocketRoute("/ws/", show_ws)])
    assert (await http(router, "POST", "/a")).status == 404
    assert (await get(router, "/ws")).status == 404


async def test_a_mounts_prefix_without_its_slash_is_a_redirect_to_it() -> None:
    router = Router([Mount("/m", show)])
    assert (await get(router, "/m", query_string=b"q")).headers["location"] == "/m/?q"
    nested = Router([Mount("/m", routes=[Route("/a", show)])])
    assert (await get(nested, "/m/a/")).headers["location"] == "/m/a"
    assert (await get(nested, "/m/a/", root_path="/r")).headers["location"] == "/r/m/a"


async def test_a_catch_all_mount_leaves_nothing_to_redirect() -> None:
    router = Router([Route("/a/", show), Mount("/", Response("mounted"))])
    assert (await get(router, "/a")).text == "mounted"


# -- WebSockets


async def test_a_websocket_goes_to_its_route_with_its_parameters() -> None:
    assert await said(Router([WebSocketRoute("/ws/{room}", show_ws)]), "/ws/1") == ("|/ws/1|[('room', '1')]")


async def test_an_unknown_websocket_is_denied_with_404() -> None:
    rows: list[list[Route]] = [[], [Route("/ws", show)], [WebSocketRoute("/ws/", show_ws)]]
    for routes in rows:
        async with WebSocketCommunicator(Router(routes), "/ws") as peer:
            assert await refusal(peer) == (404, b"Not Found")


async def test_an_unknown_websocket_is_closed_where_the_server_has_no_denial() -> None:
    async with WebSocketCommunicator(Router([]), "/ws", server="daphne") as peer:
        assert await peer.connect() == Denied(403, Headers(), close_code=1000)


async def test_a_client_that_is_gone_before_its_404_is_no_error() -> None:
    async with WebSocketCommunicator(Router([]), "/ws") as peer:
        connecting = asyncio.create_task(outcome(peer.connect()))
        await asyncio.sleep(0)
        await peer.abort()
        assert told(await connecting) == (1006, "")


async def test_a_router_alone_serves_http_and_websockets_only() -> None:
    for scope_type in ["lifespan", "mqtt"]:
        with pytest.raises(UnsupportedScope, match=f"'{scope_type}'; this application serves http, websocket"):
            await get(Router([]), type=scope_type)


# -- mounts and root paths


async def test_a_mounted_application_sees_the_same_root_path_on_every_server() -> None:
    rows: list[tuple[str, str, str]] = [
        ("", "/m/a", "/m|/m/a|[]"),
        ("/r", "/r/m/a", "/r/m|/r/m/a|[]"),  # uvicorn
        ("/r", "/m/a", "/r/m|/r/m/a|[]"),  # hypercorn, daphne, granian
        ("/r/", "/r/m/a", "/r/m|/r/m/a|[]"),
        ("/m", "/m/m/a", "/m/m|/m/m/a|[]"),
        ("/", "/m/a", "/m|/m/a|[]"),
    ]
    for root, path, seen in rows:
        router = Router([Mount("/m", show), Mount("/m2", show)])
        assert (await get(router, path, root_path=root)).text == seen
        # hypercorn's path is that of the client, which is given here.
        assert await said(Router([Mount("/m", show_ws)]), path, root_path=root, server="hypercorn") == seen


async def test_mounts_nest_and_their_prefixes_take_parameters() -> None:
    router = Router([Mount("/{tenant}", routes=[Mount("/v{version:int}", routes=[Route("/{x:path}", show)])])])
    assert (await get(router, "/acme/v2/a/b")).text == (
        "/acme/v2|/acme/v2/a/b|[('tenant', 'acme'), ('version', 2), ('x', 'a/b')]"
    )
    assert (await get(router, "/acme/vx/a")).status == 404


async def test_a_mount_on_nothing_takes_everything_as_it_is() -> None:
    for prefix in ["", "/"]:
        for path in ["/", "/a", "/a/b/", "//a"]:
            assert (await get(Router([Mount(prefix, show)]), path)).text == f"|{path}|[]"


async def test_the_outer_scope_is_not_changed() -> None:
    scope = http_scope("GET", "/m/a/1")
    before = dict(scope)

    async def send(event: Any) -> None: ...

    async def receive() -> Any: ...

    await Router([Mount("/m", routes=[Route("/a/{x}", Response("x"))])])(scope, receive, send)
    assert scope == before


async def test_a_mount_passes_on_only_the_scopes_it_names() -> None:
    router = Router([Mount("/", show, scope_types=("http",))])
    assert (await get(router, "/ws")).status == 200
    async with WebSocketCommunicator(router, "/ws") as peer:
        assert await refusal(peer) == (404, b"Not Found")
    only_ws = Router([Mount("/", show_ws, scope_types=["websocket"])])
    assert (await get(only_ws, "/ws")).status == 404


# -- statistics


async def test_statistics_are_those_of_all_endpoints_each_counted_once() -> None:
    twice, inner, mounted = (websocket_app(greet) for _ in range(3))
    app = App(
        [
            WebSocketRoute("/a", twice),
            WebSocketRoute("/b", twice),
            Route("/page", show),
            Mount("/inner", App([WebSocketRoute("/x", inner), WebSocketRoute("/twice", twice)])),
            Mount("/routes", routes=[WebSocketRoute("/x", inner)]),
            Mount("/mounted", mounted),
        ]
    )
    for path in ("/a", "/b", "/inner/x", "/inner/twice", "/routes/x", "/mounted/any"):
        async with WebSocketCommunicator(app, path) as peer:
            assert (await peer.connect()).accepted
    assert app.statistics().accepted == 6
    assert (twice.statistics().accepted, inner.statistics().accepted, mounted.statistics().accepted) == (3, 2, 1)


async def greet(ws: WebSocket) -> None:
    await ws.accept()


def test_a_route_may_have_a_parameter_of_its_mounts_name() -> None:
    router = Router([Mount("/{id}", name="m", routes=[Route("/{id}", show, name="r"), Route("/{x}", show, name="s")])])
    assert router.path_for("m:r", id="1") == "/1/1"
    assert router.path_for("m:s", id="1", x="2") == "/1/2"
