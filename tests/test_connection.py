"""The read-only views of a scope, on the scopes that the servers really make."""

import copy
import pickle
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.http import parse_cookie
from hypothesis import example, given, strategies as st
from litestar.datastructures import Cookie
from starlette.datastructures import State as StarletteState
from starlette.requests import cookie_parser
from starlette.responses import Response as StarletteResponse

from asgi_ws import Address, Connection, QueryParams, State
from asgi_ws.connection import client_key

from .asgi import http_scope, websocket_scope


def connection(**scope: Any) -> Connection:
    return Connection(http_scope(**scope))


# -- query


def test_query_parameters_are_what_a_form_would_send() -> None:
    rows: list[tuple[bytes, list[tuple[str, str]]]] = [
        (b"", []),
        (b"a=1&b=2", [("a", "1"), ("b", "2")]),
        (b"a=&b", [("a", ""), ("b", "")]),
        (b"a=1&a=2", [("a", "1"), ("a", "2")]),
        (b"a=x+y%20z", [("a", "x y z")]),
        (b"a=%zz&b=%", [("a", "%zz"), ("b", "%")]),
        (b"a=%ff", [("a", "\ufffd")]),
        (b"a=\xff", [("a", "\ufffd")]),
        (b"a=%C3%A9&b=\xc3\xa9", [("a", "é"), ("b", "é")]),
        (b"a=1;b=2", [("a", "1;b=2")]),
        (b"&&a=1&", [("a", "1")]),
        (b"a=b=c", [("a", "b=c")]),
    ]
    for query, pairs in rows:
        assert connection(query_string=query).query_params.multi_items() == pairs


def test_the_last_value_of_a_repeated_parameter_counts() -> None:
    params = connection(query_string=b"a=1&a=2").query_params
    assert params["a"] == "2"
    assert params.getlist("a") == ["1", "2"]


@given(st.binary(max_size=64))
def test_no_query_string_raises(query: bytes) -> None:
    QueryParams.from_query_string(query)


def test_a_scope_without_a_query_string_has_no_parameters() -> None:
    scope = http_scope()
    del scope["query_string"]
    assert len(Connection(scope).query_params) == 0
    assert Connection(scope).url == "http://testserver/"


def test_tens_of_thousands_of_parameters_are_gone_through_without_searching_all_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = connection(query_string=b"&".join(b"k%d=v" % number for number in range(20_000))).query_params
    calls = 0
    key_of = QueryParams._key

    def counted(key: str) -> str:
        nonlocal calls
        calls += 1
        return key_of(key)

    monkeypatch.setattr(QueryParams, "_key", staticmethod(counted))
    assert len(dict(params)) == 20_000
    assert calls == 20_000


# -- cookies


def test_cookies_come_from_all_lines_and_the_first_of_a_name_counts() -> None:
    rows: list[tuple[list[bytes], dict[str, str]]] = [
        ([], {}),
        ([b"a=1; b=2"], {"a": "1", "b": "2"}),
        ([b"a=1", b"b=2"], {"a": "1", "b": "2"}),
        ([b"a=1; a=2", b"a=3"], {"a": "1"}),
        ([b'a="quoted"; b="'], {"a": "quoted", "b": '"'}),
        ([b"a=x=y"], {"a": "x=y"}),
        ([b"junk; =nameless; ; a=1;"], {"a": "1"}),
        ([b"a=;b= 2 "], {"a": "", "b": "2"}),
        ([b'a="1\\0542\\0733"'], {"a": "1,2;3"}),
        ([rb'a="\"\\054\"\x"; b=\054'], {"a": '"\\054"x', "b": "\\054"}),
        ([rb'a="\351\400\8\"'], {"a": "\xe94008\\"}),
    ]
    for lines, cookies in rows:
        assert connection(headers=[(b"cookie", line) for line in lines]).cookies == cookies


def by_starlette(name: str, value: str) -> str:
    response = StarletteResponse()
    response.set_cookie(name, value)
    return response.headers["set-cookie"]


def by_the_standard_library(name: str, value: str) -> str:
    """Write a cookie as Django does and docs/how-to/starlette.md shows."""
    return SimpleCookie({name: value}).output(header="")


def by_litestar(name: str, value: str) -> str:
    return Cookie(name, value=value).to_header(header="")


# Both a header and SimpleCookie take these: latin-1 without control characters.
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, blacklist_categories=["Cc"]), max_size=20)


@pytest.mark.parametrize("write", [by_starlette, by_the_standard_library, by_litestar])
@given(VALUES)
@example('a,b;c="d\\e"')
@example("é\xa0")
@example('"')
@example("\\054")
def test_a_cookie_has_the_value_that_a_framework_set(write: Callable[[str, str], str], value: str) -> None:
    pair = write("a", value).partition("; ")[0].strip()
    assert connection(headers=[(b"cookie", pair.encode("latin-1"))]).cookies == {"a": value}


@given(st.text(st.sampled_from('ab="\\0543,; \t\xe9\xa0'), max_size=30))
def test_a_cookie_is_read_as_starlette_and_django_read_it(pair: str) -> None:
    pair = pair.replace(";", "")
    cookies = connection(headers=[(b"cookie", pair.encode("latin-1"))]).cookies
    # Both of them take a text without a name as well.
    for parse in (cookie_parser, parse_cookie):
        assert cookies == {name: value for name, value in parse(pair).items() if name}


def test_a_cookie_of_nothing_but_escapes_is_read_in_time_by_its_length() -> None:
    line = b'a="' + b"\\" * 500_000 + b'"'
    assert connection(headers=[(b"cookie", line)]).cookies == {"a": "\\" * 250_000}


@given(st.binary(max_size=64))
def test_no_cookie_line_raises(line: bytes) -> None:
    _ = connection(headers=[(b"cookie", line)]).cookies


# -- client


def test_the_clients_port_is_an_int_on_every_server() -> None:
    rows: list[tuple[object, Address | None]] = [
        (("192.0.2.1", 5000), Address("192.0.2.1", 5000)),
        (("192.0.2.1", "5000"), Address("192.0.2.1", 5000)),
        (["192.0.2.1", 5000], Address("192.0.2.1", 5000)),
        (("192.0.2.1", 0), Address("192.0.2.1", 0)),
        (("/tmp/socket", None), Address("/tmp/socket", None)),
        (("", "0"), None),
        (None, None),
    ]
    for client, expected in rows:
        assert connection(client=client).client == expected


def test_a_scope_without_client_has_no_address() -> None:
    scope = http_scope()
    del scope["client"]
    assert Connection(scope).client is None


def test_an_address_is_written_as_in_a_url() -> None:
    rows: list[tuple[Address, str]] = [
        (Address("192.0.2.1", 80), "192.0.2.1:80"),
        (Address("::1", 80), "[::1]:80"),
        (Address("::1", None), "[::1]"),
        (Address("/tmp/socket", None), "/tmp/socket"),
        (Address("a b" * 800, 80), "'" + ("a b" * 26)[:76] + "...:80"),
    ]
    for address, text in rows:
        assert str(address) == text


# -- url


def test_a_host_header_that_is_no_host_has_no_say_in_the_url() -> None:
    rows: list[tuple[bytes, str]] = [
        (b"example.org", "http://example.org/a"),
        (b"EXAMPLE.org:8080", "http://EXAMPLE.org:8080/a"),
        (b"[::1]:8080", "http://[::1]:8080/a"),
        (b"", "http://127.0.0.1:8000/a"),
        (b"evil.org/path", "http://127.0.0.1:8000/a"),
        (b"user@evil.org", "http://127.0.0.1:8000/a"),
        (b"evil.org#", "http://127.0.0.1:8000/a"),
        (b"evil.org?", "http://127.0.0.1:8000/a"),
        (b"a b", "http://127.0.0.1:8000/a"),
        (b"example.org:99999", "http://127.0.0.1:8000/a"),
        (b"example.org:", "http://127.0.0.1:8000/a"),
        (b"[....]", "http://127.0.0.1:8000/a"),
        (b"a..b", "http://127.0.0.1:8000/a"),
    ]
    for host, expected in rows:
        scope = http_scope("GET", "/a")
        scope["headers"] = [(b"host", host)]
        assert Connection(scope).url == expected


def test_without_a_host_header_the_url_has_the_servers_address() -> None:
    rows: list[tuple[object, str]] = [
        (("::1", 8000), "http://[::1]:8000/"),
        (("127.0.0.1", "8000"), "http://127.0.0.1:8000/"),
        (("/tmp/granian.sock", "0"), "http://localhost/"),
        (("/tmp/uvicorn.sock", None), "http://localhost/"),
        (None, "http://localhost/"),
    ]
    for server, expected in rows:
        scope = http_scope(server=server)
        scope["headers"] = []
        assert Connection(scope).url == expected


def test_the_url_has_the_root_path_whether_the_servers_path_has_it_or_not() -> None:
    for path in ["/r/x", "/x"]:
        assert connection(path=path, root_path="/r").url == "http://testserver/r/x"


def test_the_parts_of_a_url_are_attributes() -> None:
    url = connection(path="/a b/é", query_string=b"c=d", headers=[(b"host", b"other")], scheme="https").url
    assert url == "https://testserver/a%20b/%C3%A9?c=d"
    assert (url.scheme, url.netloc, url.hostname, url.port) == ("https", "testserver", "testserver", None)
    assert (url.path, url.query) == ("/a%20b/%C3%A9", "c=d")


def test_a_websocket_without_a_scheme_is_ws() -> None:
    rows: list[tuple[Any, str]] = [
        (websocket_scope("wss://testserver/"), "wss"),
        (websocket_scope(server="daphne"), "ws"),
    ]
    for scope, scheme in rows:
        assert Connection(scope).url.scheme == scheme


@given(st.binary(max_size=24))
def test_the_parts_of_a_url_can_be_had_whatever_the_host_header_is(host: bytes) -> None:
    scope = http_scope()
    scope["headers"] = [(b"host", host)]
    url = Connection(scope).url
    assert url.path == "/"
    assert url.hostname
    assert url.port is None or 0 <= url.port <= 65535


# -- state and path parameters


@pytest.mark.parametrize("state_class", [State, StarletteState])
def test_state_has_attributes_and_items_of_the_same_dictionary_as_starlettes(state_class: Any) -> None:
    values: dict[str, Any] = {"database": "open"}
    state = state_class(values)
    state.user = "ada"
    state["tags"] = ["x"]
    # Names that a mapping would have for methods.
    state.items, state["keys"] = [1], "k"
    assert (state.database, state["user"], state.tags, state["items"], state.keys) == ("open", "ada", ["x"], [1], "k")
    assert list(state) == list(values) == ["database", "user", "tags", "items", "keys"]
    assert "items" in state
    assert "values" not in state
    assert not hasattr(state, "values")
    assert len(state) == 5
    del state.user, state["tags"], state.items, state["keys"]
    assert values == {"database": "open"}
    assert len(state_class()) == 0


def test_state_is_a_view_of_the_scope() -> None:
    values: dict[str, Any] = {"database": "open"}
    view = connection(state=values)
    view.state.user = "ada"
    assert (view.scope["state"], view.state["database"]) == ({"database": "open", "user": "ada"}, "open")


@pytest.mark.parametrize(("values", "names"), [({"database": 1, "cache": 2}, "database, cache"), ({}, "nothing")])
def test_a_missing_name_in_state_says_what_there_is(values: dict[str, Any], names: str) -> None:
    state = State(values)
    text = f"^state has no 'user'; it has: {names}$"
    with pytest.raises(AttributeError, match=text):
        _ = state.user
    with pytest.raises(AttributeError, match=text):
        del state.user
    with pytest.raises(KeyError, match=r"^'user'$"):
        _ = state["user"]
    with pytest.raises(KeyError, match=r"^'user'$"):
        del state["user"]


def test_state_is_kept_in_the_scope_where_the_server_offers_none() -> None:
    scope = websocket_scope(server="daphne")
    Connection(scope).state.user = "ada"
    assert Connection(scope).state.user == "ada"


def test_there_are_no_path_parameters_without_a_route() -> None:
    assert connection().path_params == {}
    assert connection(path_params={"id": 5}).path_params == {"id": 5}


def test_an_address_shows_nothing_unescaped_that_a_forwarded_header_may_have_put_there() -> None:
    rows: list[tuple[str, str]] = [
        ("192.0.2.7", "192.0.2.7:1"),
        ("::1", "[::1]:1"),
        ("fe80::1%eth0", "[fe80::1%eth0]:1"),
        ("client.example", "client.example:1"),
        ("\x9b31mRED", "'\\x9b31mRED':1"),
        ("a WebSocket connected: admin", "'a WebSocket connected: admin':1"),
        ("::1\n", "'::1\\n':1"),
    ]
    for host, shown in rows:
        assert str(Address(host, 1)) == shown


def test_a_state_can_be_copied() -> None:
    rows: list[Any] = [copy.copy, copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))]
    for duplicate in rows:
        copied = duplicate(State({"a": 1}))
        assert (list(copied), copied.a) == (["a"], 1)


def test_connections_are_counted_by_what_one_customer_of_a_network_has() -> None:
    rows: list[tuple[str, str | None]] = [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:443", "192.0.2.7"),  # Azure's X-Forwarded-For, as hypercorn passes it on
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:c000:207", "192.0.2.7"),
        ("64:ff9b::192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:DB8:0:0:ffff::2", "2001:db8::/64"),
        ("[2001:db8::1]:443", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("2002:c000:207::1", "2002:c000:207::/64"),
        ("fe80::1%eth0", "fe80::/64%eth0"),
        ("fe80::1", "fe80::/64"),
        ("testclient", "testclient"),
        ("/run/app.sock", "/run/app.sock"),
        ("010.0.0.1", "010.0.0.1"),
        ("", None),
    ]
    for host, key in rows:
        assert client_key({"client": [host, "50000"]}) == key


def test_a_unix_socket_has_no_client_to_count() -> None:
    assert client_key({"client": None}) is client_key({}) is None


async def test_an_entry_of_the_scope_is_given_by_its_name_and_the_scope_is_not_iterated() -> None:
    connection = Connection({"type": "http", "user": "ada"})
    assert connection["user"] == "ada"
    with pytest.raises(KeyError, match="session"):
        connection["session"]
    with pytest.raises(TypeError, match="not iterable"):
        list(connection)  # type: ignore[call-overload] # what it refuses
