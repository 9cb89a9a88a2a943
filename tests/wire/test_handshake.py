"""The opening handshake as a server reads it: targets, sizes, and the values of headers."""

import base64
import pickle
import string
from typing import Final

import pytest
from hypothesis import example, given, strategies as st

from asgi_ws.wire.handshake import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_LINE_BYTES,
    MAX_TARGET_BYTES,
    HandshakeRefused,
    read_handshake,
)

from .handshakes import KEY, NEEDED, lines_of, refused, request


def test_a_browsers_request_is_read_whole() -> None:
    lines = (
        b"Origin: https://example.org",
        b"Cookie: a=1; b=2",
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        b"Sec-WebSocket-Protocol: chat, superchat",
    )
    read = read_handshake(request(*lines, line=b"GET /room%20one?token=a%2Fb&c HTTP/1.1"))
    assert (read.path, read.query) == (b"/room%20one", b"token=a%2Fb&c")
    assert read.key == KEY
    assert read.subprotocols == ["chat", "superchat"]
    assert read.extensions == ["permessage-deflate; client_max_window_bits"]
    pairs = [line.partition(b": ") for line in (*NEEDED, *lines)]
    assert read.headers == [(name.lower(), value) for name, _, value in pairs]


def test_a_request_that_offers_nothing_has_no_subprotocols_and_no_extensions() -> None:
    read = read_handshake(request())
    assert (read.subprotocols, read.extensions, read.query) == ([], [], b"")


# RFC 6455 sections 3 and 4.2.1, item 1; RFC 9112 section 3.2.2.
TARGETS: Final = [
    (b"/room%20one?token=a%2Fb&c", b"/room%20one", b"token=a%2Fb&c"),
    (b"//elsewhere.example/x", b"//elsewhere.example/x", b""),
    (b"/a?b?c=/d", b"/a", b"b?c=/d"),
    (b"/?", b"/", b""),
    (b'/a|b{c}^`"<>\\[]', b'/a|b{c}^`"<>\\[]', b""),
    (b"http://example.org/a?b", b"/a", b"b"),
    (b"HTTPS://example.org", b"/", b""),
    (b"http://example.org:80?b", b"/", b"b"),
]


@pytest.mark.parametrize(("target", "path", "query"), TARGETS)
def test_a_target_is_a_path_or_an_http_uri(target: bytes, path: bytes, query: bytes) -> None:
    read = read_handshake(request(line=b"GET %b HTTP/1.1" % target))
    assert (read.target, read.path, read.query) == (target, path, query)


def test_the_authority_of_an_absolute_target_replaces_the_host() -> None:
    # RFC 9112 section 3.2.2: otherwise the origin check and the application could see different hosts.
    read = read_handshake(request(line=b"GET http://other.example:81/ HTTP/1.1"))
    assert lines_of(read, b"host") == [b"other.example:81"]


def test_a_later_minor_version_of_http_1_is_read() -> None:
    assert read_handshake(request(line=b"GET / HTTP/1.2")).path == b"/"


# -- sizes


def test_a_target_of_8_kib_is_read_and_a_longer_one_refused_with_414() -> None:
    # RFC 9110 section 15.5.15.
    target = b"/" + b"a" * (MAX_TARGET_BYTES - 1)
    assert MAX_TARGET_BYTES == 8192
    assert read_handshake(request(line=b"GET %b HTTP/1.1" % target)).path == target
    for longer in (target + b"a", target * 100):
        assert refused(request(line=b"GET %b HTTP/1.1" % longer)).status == 414


def test_a_header_line_of_8_kib_is_read_and_a_longer_one_refused_with_431() -> None:
    # RFC 6585 section 5. The whole line counts with its name and white space, and without its end.
    line = b"x: " + b"v" * (MAX_LINE_BYTES - 3)
    assert MAX_LINE_BYTES == 8192
    assert lines_of(read_handshake(request(line)), b"x") == [line[3:]]
    assert refused(request(line + b"v")).status == 431


def test_128_headers_are_read_and_more_refused_with_431() -> None:
    lines = [b"x-%d: 1" % number for number in range(MAX_HEADERS - len(NEEDED))]
    assert len(read_handshake(request(*lines)).headers) == MAX_HEADERS == 128
    assert refused(request(*lines, b"x: 1")).status == 431


def test_a_head_of_64_kib_is_read_and_a_larger_one_refused_with_431() -> None:
    # The request line counts too.
    room = MAX_HEAD_BYTES - len(request(*[b"x: "] * 9))
    lines = [b"x: " + b"v" * (room // 9)] * 8 + [b"x: " + b"v" * (room - room // 9 * 8)]
    data = request(*lines)
    assert len(data) == MAX_HEAD_BYTES == 65536
    assert len(lines_of(read_handshake(data), b"x")) == 9
    assert refused(data.replace(b"GET / ", b"GET /a ")).status == 431


def test_offers_of_2_kib_are_read_and_more_refused_with_431() -> None:
    # The limit holds for the sum of all lines.
    lines = [b"sec-websocket-extensions: " + b"a" * 512] * 4
    assert sum(map(len, read_handshake(request(*lines)).extensions)) == 2048
    assert refused(request(*lines, b"sec-websocket-extensions: b")).status == 431


def test_each_bound_can_be_changed() -> None:
    cookie = b"cookie: " + b"v" * 32_760
    assert len(read_handshake(request(cookie), max_header_bytes=32_768).headers) == len(NEEDED) + 1
    for bound in ("max_target_bytes", "max_header_bytes", "max_headers", "max_head_bytes"):
        with pytest.raises(HandshakeRefused) as caught:
            read_handshake(request(line=b"GET /a HTTP/1.1"), **{bound: 1})
        assert caught.value.status == (414 if bound == "max_target_bytes" else 431)


# -- the values of headers


# RFC 9110 sections 5.5 and 5.6.3; RFC 9112 section 5.1.
VALUES: Final = [
    (b"x:", b""),
    (b"x: \t ", b""),
    (b"x:a", b"a"),
    (b"X: \t a:b \t c\t ", b"a:b \t c"),
    (b"x: \x85a\xa0", b"\x85a\xa0"),
    (b"x: \xc3\x85\xff", b"\xc3\x85\xff"),
]


@pytest.mark.parametrize(("line", "value"), VALUES)
def test_spaces_and_tabs_around_a_value_are_stripped(line: bytes, value: bytes) -> None:
    assert lines_of(read_handshake(request(line)), b"x") == [value]


# RFC 3986 section 3.2.2.
HOSTS: Final = [
    b"EXAMPLE.org.",
    b"example.org:8443",
    b"example.org:",
    b"a_b.example",
    b"b%C3%BCcher.example",
    b"127.0.0.1:80",
    b"[::1]",
    b"[2001:db8::1]:443",
    b"[v1.a:b]",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_of_any_kind_is_read(host: bytes) -> None:
    assert lines_of(read_handshake(request(b"Host: " + host, without=b"Host")), b"host") == [host]


# RFC 6455 section 4.2.1, items 3 and 4; RFC 9110 sections 5.3 and 7.6.1.
UPGRADES: Final = [
    (b"Upgrade", [b"WebSocket"]),
    (b"Upgrade", [b"h2c", b"WEBSOCKET"]),
    (b"Upgrade", [b",\twebsocket\t, "]),
    (b"Connection", [b"keep-alive, upgrade"]),
    (b"Connection", [b"UPGRADE,keep-alive"]),
    (b"Connection", [b"keep-alive", b"Upgrade"]),
    (b"Connection", [b"", b",, Upgrade ,"]),
    (b"Content-Length", [b"0"]),
]


@pytest.mark.parametrize(("name", "values"), UPGRADES)
def test_upgrade_and_connection_are_lists_in_any_case_and_an_empty_body_may_be_named(
    name: bytes, values: list[bytes]
) -> None:
    read = read_handshake(request(*(b"%b: %b" % (name, value) for value in values), without=name))
    assert len(lines_of(read, name.lower())) == len(values)


@given(st.text(alphabet=string.ascii_letters + string.digits + "+/=-_ ", min_size=20, max_size=26).map(str.encode))
@example(b"dGhlIHNhbXBsZSBub25jZR==")
def test_a_key_is_read_exactly_where_strict_base64_gives_16_bytes(key: bytes) -> None:
    key = key.strip()
    try:
        is_valid = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        is_valid = False
    data = request(b"Sec-WebSocket-Key: " + key, without=b"Sec-WebSocket-Key")
    if is_valid:
        assert read_handshake(data).key == key
    else:
        assert refused(data).status == 400


# RFC 6455 sections 4.1, item 10, and 11.3.4; RFC 9110 section 5.6.1 for empty elements.
SUBPROTOCOLS: Final = [
    ([b"b,a\t ,  c"], ["b", "a", "c"]),
    ([b"v1.example", b"chat, Chat"], ["v1.example", "chat", "Chat"]),
    ([b", chat,, superchat ,", b""], ["chat", "superchat"]),
    ([b"!#$%&'*+-.^_`|~09"], ["!#$%&'*+-.^_`|~09"]),
]


@pytest.mark.parametrize(("values", "subprotocols"), SUBPROTOCOLS)
def test_subprotocols_are_those_of_all_lines_in_order(values: list[bytes], subprotocols: list[str]) -> None:
    read = read_handshake(request(*(b"Sec-WebSocket-Protocol: " + value for value in values)))
    assert read.subprotocols == subprotocols


def test_the_lines_of_extensions_are_not_parsed() -> None:
    # RFC 6455 section 9.1: the negotiation parses them.
    lines = [b"Sec-WebSocket-Extensions: a; b=1, c", b"sec-websocket-extensions: d\xe9\x85;;", b"X: y"]
    assert read_handshake(request(*lines)).extensions == ["a; b=1, c", "d\xe9\x85;;"]
    assert read_handshake(request(lines[1])).extensions == ["d\xe9\x85;;"]


def test_a_refusal_has_status_and_reason_and_survives_pickling() -> None:
    assert str(refused(request(line=b"HEAD / HTTP/1.1"))) == "405"
    refusal = refused(request(line=b"POST / HTTP/1.1"))
    assert str(refusal) == "405 a WebSocket handshake is a GET request"
    again = pickle.loads(pickle.dumps(refusal))
    assert (again.status, again.reason, again.headers) == (405, refusal.reason, refusal.headers)
