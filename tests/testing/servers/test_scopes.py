"""The scope that an application gets, and requests that a client cannot send."""

from collections.abc import Mapping
from typing import Any

import pytest

from asgi_ws import InvalidHeader
from asgi_ws.testing import WebSocketCommunicator

from ..applications import echo


def scope_of(path: str = "/", **options: Any) -> dict[str, Any]:
    scope: Mapping[str, Any] = WebSocketCommunicator(echo, path, **options).scope
    return dict(scope)


def test_the_scope_without_options_is_whole() -> None:
    assert scope_of("/ws") == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/ws",
        "raw_path": b"/ws",
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"testserver"),
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            (b"sec-websocket-version", b"13"),
        ],
        "client": ["127.0.0.1", 50000],
        "server": ["testserver", 80],
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        ("/a%20b", "/a b", b"/a%20b", b""),
        ("/é/\N{SNOWMAN}", "/é/\N{SNOWMAN}", b"/%C3%A9/%E2%98%83", b""),
        ("/ws?room=1&q=a%20b", "/ws", b"/ws", b"room=1&q=a%20b"),
        ("/ws?q=é b", "/ws", b"/ws", b"q=%C3%A9%20b"),
        ("/ws?a?b=/", "/ws", b"/ws", b"a?b=/"),
        ("/ws#never-sent", "/ws", b"/ws", b""),
        ("ws://example.org", "/", b"/", b""),
        ("ws://example.org/a?b", "/a", b"/a", b"b"),
    ],
)
def test_a_target_is_split_and_encoded_as_a_client_does_it(
    target: str, path: str, raw_path: bytes, query: bytes
) -> None:
    scope = scope_of(target)
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)


@pytest.mark.parametrize(
    ("target", "scheme", "host", "server"),
    [
        ("ws://example.org/", "ws", b"example.org", ["example.org", 80]),
        ("wss://example.org/", "wss", b"example.org", ["example.org", 443]),
        ("ws://example.org:8001/", "ws", b"example.org:8001", ["example.org", 8001]),
        ("wss://[::1]:8443/", "wss", b"[::1]:8443", ["::1", 8443]),
        ("ws://user:secret@example.org/", "ws", b"example.org", ["example.org", 80]),
    ],
)
def test_a_url_names_the_scheme_and_the_host(target: str, scheme: str, host: bytes, server: list[Any]) -> None:
    scope = scope_of(target)
    assert (scope["scheme"], dict(scope["headers"])[b"host"], scope["server"]) == (scheme, host, server)


@pytest.mark.parametrize("target", ["", "ws/1", "//example.org/ws", "http://example.org/", "ws:/ws"])
def test_what_is_neither_a_path_nor_a_websocket_url_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="expected a path that begins with '/', or a ws:// or wss:// URL"):
        scope_of(target)


def test_an_unknown_server_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(
        ValueError, match="server='gunicorn': expected one of spec, uvicorn, asgi_ws, hypercorn, daphne, granian"
    ):
        scope_of(server="gunicorn")


def test_headers_come_beside_the_usual_ones_or_in_their_place() -> None:
    given = [("X-Token", "é"), (b"x-token", b"2"), ("Host", "example.org")]
    headers = scope_of(headers=given)["headers"]
    assert headers[-3:] == [(b"x-token", "é".encode("latin-1")), (b"x-token", b"2"), (b"host", b"example.org")]
    assert [name for name, _ in headers].count(b"host") == 1


@pytest.mark.parametrize("headers", [[("x a", "1")], [("x-a", "1\n")], [("x-a", "\N{SNOWMAN}")], {"é": "1"}])
def test_headers_that_no_client_could_send_are_refused(headers: Any) -> None:
    with pytest.raises(InvalidHeader):
        scope_of(headers=headers)


def test_origin_and_subprotocols_are_headers_too() -> None:
    scope = scope_of(origin="https://example.org", subprotocols=("a", "b"))
    headers = dict(scope["headers"])
    assert headers[b"origin"] == b"https://example.org"
    assert headers[b"sec-websocket-protocol"] == b"a, b"
    assert scope["subprotocols"] == ["a", "b"]


def test_a_client_may_be_chosen_or_unknown() -> None:
    assert scope_of(client=("2001:db8::1", 7))["client"] == ["2001:db8::1", 7]
    assert scope_of(client=None)["client"] is None


def test_the_state_is_a_copy_for_each_connection_of_what_is_shared() -> None:
    shared: dict[str, Any] = {"pool": []}
    one, two = scope_of(state=shared)["state"], scope_of(state=shared)["state"]
    one["user"] = 1
    one["pool"].append("connection")
    assert (shared, two) == ({"pool": ["connection"]}, {"pool": ["connection"]})


def test_extensions_come_beside_those_of_the_server() -> None:
    mine = {"my.extension": {"version": 1}}
    assert scope_of(extensions=mine)["extensions"] == {"websocket.http.response": {}, **mine}
    assert scope_of(extensions=mine, server="daphne")["extensions"] == mine


def test_daphnes_scope_lacks_what_is_optional() -> None:
    scope = scope_of(server="daphne", state={"a": 1})
    assert not {"state", "extensions", "scheme", "http_version"} & set(scope)
    assert scope["asgi"] == {"version": "3.0"}


def test_granians_ports_are_text() -> None:
    scope = scope_of(server="granian")
    assert (scope["client"], scope["server"]) == (["127.0.0.1", "50000"], ["testserver", "80"])


@pytest.mark.parametrize(
    ("server", "requested", "path"),
    [
        ("spec", "/ws", "/api/ws"),
        ("spec", "/api/ws", "/api/ws"),
        ("spec", "/apis", "/api/apis"),
        ("uvicorn", "/ws", "/api/ws"),
        ("hypercorn", "/ws", "/ws"),
    ],
)
def test_the_root_path_is_where_that_server_has_it(server: str, requested: str, path: str) -> None:
    scope = scope_of(requested, root_path="/api", server=server)
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", path, path.encode())


@pytest.mark.parametrize(
    "offer",
    [{"subprotocols": ["a", " b"]}, {"headers": {"sec-websocket-protocol": "a,  b"}}, {"subprotocols": ["a, b"]}],
)
def test_offered_subprotocols_are_in_the_scope_as_servers_read_them_from_the_header(offer: dict[str, Any]) -> None:
    assert scope_of("/", **offer)["subprotocols"] == ["a", "b"]
