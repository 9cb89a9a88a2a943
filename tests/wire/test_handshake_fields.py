"""The headers of the opening handshake: every clause of RFC 6455 section 4.2.1, and of what it builds on."""

import base64
import string
from typing import Final

from hypothesis import example, given, strategies as st

from asgi_ws.wire.handshake import read_handshake

from .handshakes import KEY, lines_of, refused, request

# -- host and body


def test_a_host_of_any_kind_is_read() -> None:
    """RFC 3986 section 3.2.2."""
    for host in (
        b"EXAMPLE.org.",
        b"example.org:8443",
        b"example.org:",
        b"a_b.example",
        b"b%C3%BCcher.example",
        b"127.0.0.1:80",
        b"[::1]",
        b"[2001:db8::1]:443",
        b"[v1.a:b]",
    ):
        assert lines_of(read_handshake(request(b"Host: " + host, without=b"Host")), b"host") == [host]


BAD_HOSTS: Final[dict[str, list[bytes]]] = {
    "RFC 9112 section 3.2: none": [],
    "RFC 9112 section 3.2: the same one twice": [b"Host: a", b"Host: a"],
    "RFC 9112 section 3.2: a second one that is empty": [b"Host: a", b"host:"],
    "RFC 9110 section 4.2.1: empty": [b"Host:"],
    "RFC 3986 section 3.2.2: two in one": [b"Host: a, b"],
    "RFC 9110 section 7.2: a URI": [b"Host: http://a"],
    "RFC 9110 section 7.2: user information": [b"Host: u@a"],
    "RFC 3986 section 3.2.3: a port that is not a number": [b"Host: a:b"],
    "RFC 3986 section 3.2.3: a port that is too long": [b"Host: a:123456"],
    "RFC 3986 section 3.2.3: two ports": [b"Host: a:80:80"],
    "RFC 9110 section 4.2.1: only a port": [b"Host: :80"],
    "RFC 3986 section 3.2.2: an open bracket": [b"Host: [::1"],
    "RFC 3986 section 3.2.2: nothing in the brackets": [b"Host: []"],
    "RFC 3986 section 2.1: a percent sign by itself": [b"Host: a%zz"],
    "RFC 3986 section 3.2.2: not ASCII": [b"Host: a\x85"],
}


def test_a_host_that_is_not_exactly_one_is_refused_with_400() -> None:
    for clause, lines in BAD_HOSTS.items():
        assert refused(request(*lines, without=b"Host")).status == 400, clause


def test_a_body_is_refused_with_400() -> None:
    """RFC 9112 section 6.3: what follows the head would be frames to one reader and a body to another."""
    for lines in (
        [b"Content-Length: 5"],
        [b"Content-Length: 00"],
        [b"Content-Length:"],
        [b"Content-Length: 0", b"Content-Length: 0"],
        [b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding:"],
    ):
        assert refused(request(*lines)).status == 400
    read_handshake(request(b"Content-Length: 0"))


# -- upgrade, connection, version, key


def test_upgrade_and_connection_are_lists_in_any_case() -> None:
    """RFC 6455 section 4.2.1, items 3 and 4; RFC 9110 sections 5.3 and 7.6.1."""
    for name, lines in (
        (b"Upgrade", [b"Upgrade: WebSocket"]),
        (b"Upgrade", [b"Upgrade: h2c", b"Upgrade: WEBSOCKET"]),
        (b"Upgrade", [b"Upgrade: ,\twebsocket\t, "]),
        (b"Connection", [b"Connection: keep-alive, upgrade"]),
        (b"Connection", [b"Connection: UPGRADE,keep-alive"]),
        (b"Connection", [b"Connection: keep-alive", b"Connection: Upgrade"]),
        (b"Connection", [b"Connection:", b"Connection: ,, Upgrade ,"]),
    ):
        assert len(lines_of(read_handshake(request(*lines, without=name)), name.lower())) == len(lines)


_UPGRADE: Final = b"Upgrade"
_CONNECTION: Final = b"Connection"
_VERSION: Final = b"Sec-WebSocket-Version"
NOT_AN_UPGRADE: Final[dict[str, tuple[bytes, list[bytes]]]] = {
    "RFC 6455 section 4.2.1 item 3: no Upgrade": (_UPGRADE, []),
    "RFC 6455 section 4.2.1 item 3: another protocol": (_UPGRADE, [b"h2c"]),
    "RFC 6455 section 4.2.1 item 3: with a version": (_UPGRADE, [b"websocket/13"]),
    "RFC 9110 section 5.6.3: 0x85 is not white space": (_UPGRADE, [b"websocket\x85"]),
    "RFC 6455 section 4.2.1 item 4: no Connection": (_CONNECTION, []),
    "RFC 6455 section 4.2.1 item 4: another option": (_CONNECTION, [b"keep-alive"]),
    "RFC 9110 section 5.6.1: no comma": (_CONNECTION, [b"keep-alive Upgrade"]),
    "RFC 6455 section 4.2.1 item 6: no version": (_VERSION, []),
    "RFC 6455 section 4.4: an older version": (_VERSION, [b"8"]),
    "RFC 6455 section 4.4: a leading zero": (_VERSION, [b"013"]),
    "RFC 6455 section 4.4: a list of versions": (_VERSION, [b"13, 8"]),
    "RFC 6455 section 11.3.5: two versions": (_VERSION, [b"13", b"13"]),
}


def test_what_is_not_an_upgrade_to_version_13_is_refused_with_426_and_told_what_to_upgrade_to() -> None:
    """RFC 6455 section 4.4; RFC 9110 section 15.5.22."""
    for clause, (name, values) in NOT_AN_UPGRADE.items():
        refusal = refused(request(*(name + b": " + value for value in values), without=name))
        assert refusal.status == 426, clause
        assert refusal.headers == ((b"upgrade", b"websocket"), (b"sec-websocket-version", b"13")), clause


BAD_KEYS: Final[dict[str, list[bytes]]] = {
    "RFC 6455 section 4.2.1 item 5: none": [],
    "RFC 6455 section 11.3.1: two": [KEY, KEY],
    "RFC 6455 section 11.3.1: a second one that is empty": [KEY, b""],
    "RFC 6455 section 4.2.1 item 5: empty": [b""],
    "RFC 6455 section 4.2.1 item 5: 15 bytes": [base64.b64encode(bytes(15))],
    "RFC 6455 section 4.2.1 item 5: 17 bytes": [base64.b64encode(bytes(17))],
    "RFC 4648 section 3.2: half of the padding": [KEY[:-1]],
    "RFC 4648 section 5: the alphabet of URLs": [b"-_" + KEY[2:]],
    "RFC 6455 section 4.1 item 7: quoted": [b'"' + KEY + b'"'],
    "RFC 9110 section 5.6.3: 0x85 is not white space": [KEY + b"\x85"],
}


def test_a_key_that_is_not_one_of_16_bytes_is_refused_with_400() -> None:
    for clause, values in BAD_KEYS.items():
        keys = [b"Sec-WebSocket-Key: " + key for key in values]
        assert refused(request(*keys, without=b"Sec-WebSocket-Key")).status == 400, clause


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


# -- subprotocols and extensions


def test_subprotocols_are_those_of_all_lines_in_order() -> None:
    """RFC 6455 sections 4.1, item 10, and 11.3.4; RFC 9110 section 5.6.1 for empty elements."""
    for values, subprotocols in (
        ([b"b,a\t ,  c"], ["b", "a", "c"]),
        ([b"v1.example", b"chat, Chat"], ["v1.example", "chat", "Chat"]),
        ([b", chat,, superchat ,", b""], ["chat", "superchat"]),
        ([b"!#$%&'*+-.^_`|~09"], ["!#$%&'*+-.^_`|~09"]),
    ):
        lines = [b"Sec-WebSocket-Protocol: " + value for value in values]
        assert read_handshake(request(*lines)).subprotocols == subprotocols


BAD_SUBPROTOCOLS: Final = {
    "RFC 6455 section 4.3: one at least": [b" , ,"],
    "RFC 6455 section 4.3: a space": [b"chat superchat"],
    "RFC 6455 section 4.3: a separator": [b"chat/1"],
    "RFC 6455 section 4.3: not ASCII": [b"ch\xe4t"],
    "RFC 9110 section 5.6.3: 0x85 is not white space": [b"chat\x85"],
    "RFC 6455 section 4.3: a bad one after a good one": [b"good", b"b@d"],
    "RFC 6455 section 4.1 item 10: repeated": [b"chat, chat"],
    "RFC 6455 section 4.1 item 10: repeated on another line": [b"a, chat", b"chat"],
}


def test_malformed_or_repeated_subprotocols_are_refused_with_400() -> None:
    for clause, values in BAD_SUBPROTOCOLS.items():
        lines = [b"Sec-WebSocket-Protocol: " + value for value in values]
        assert refused(request(*lines)).status == 400, clause


def test_extensions_are_handed_on_line_by_line_as_they_are() -> None:
    """RFC 6455 section 9.1: whoever negotiates parses them."""
    lines = [b"Sec-WebSocket-Extensions: a; b=1, c", b"sec-websocket-extensions: d\xe9\x85;;", b"X: y"]
    assert read_handshake(request(*lines)).extensions == ["a; b=1, c", "d\xe9\x85;;"]
    assert read_handshake(request(lines[1])).extensions == ["d\xe9\x85;;"]
