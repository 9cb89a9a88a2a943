"""The headers of the opening handshake: every clause of RFC 6455 section 4.2.1, and of what it builds on."""

import base64
import string

import pytest
from hypothesis import example, given, strategies as st

from asgi_ws.wire.handshake import read_handshake

from .handshakes import KEY, lines_of, refused, request

# -- host and body


@pytest.mark.parametrize(
    "host",
    [
        b"example.org",
        b"EXAMPLE.org.",
        b"example.org:8443",
        b"example.org:",
        b"localhost",
        b"a_b.example",
        b"xn--bcher-kva.example",
        b"b%C3%BCcher.example",
        b"127.0.0.1:80",
        b"[::1]",
        b"[2001:db8::1]:443",
        b"[::ffff:127.0.0.1]",
        b"[v1.a:b]",
    ],
)
def test_a_host_of_any_kind_is_read(host: bytes) -> None:
    """RFC 3986 section 3.2.2."""
    assert lines_of(read_handshake(request(b"Host: " + host, without=b"Host")), b"host") == [host]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="RFC 9112 section 3.2: none"),
        pytest.param([b"Host: a", b"Host: b"], id="RFC 9112 section 3.2: two"),
        pytest.param([b"Host: a", b"Host: a"], id="RFC 9112 section 3.2: the same one twice"),
        pytest.param([b"Host: a", b"host:"], id="RFC 9112 section 3.2: a second one that is empty"),
        pytest.param([b"Host:"], id="RFC 9110 section 4.2.1: empty"),
        pytest.param([b"Host: a, b"], id="RFC 3986 section 3.2.2: two in one"),
        pytest.param([b"Host: a b"], id="RFC 3986 section 3.2.2: a space"),
        pytest.param([b"Host: a/b"], id="RFC 3986 section 3.2.2: a slash"),
        pytest.param([b"Host: http://a"], id="RFC 9110 section 7.2: a URI"),
        pytest.param([b"Host: u@a"], id="RFC 9110 section 7.2: user information"),
        pytest.param([b"Host: a:b"], id="RFC 3986 section 3.2.3: a port that is no number"),
        pytest.param([b"Host: a:123456"], id="RFC 3986 section 3.2.3: a port that is too long"),
        pytest.param([b"Host: a:80:80"], id="RFC 3986 section 3.2.3: two ports"),
        pytest.param([b"Host: :80"], id="RFC 9110 section 4.2.1: only a port"),
        pytest.param([b"Host: ::1"], id="RFC 3986 section 3.2.2: IPv6 without brackets"),
        pytest.param([b"Host: [::1"], id="RFC 3986 section 3.2.2: an open bracket"),
        pytest.param([b"Host: []"], id="RFC 3986 section 3.2.2: nothing in the brackets"),
        pytest.param([b"Host: a%zz"], id="RFC 3986 section 2.1: a percent sign by itself"),
        pytest.param([b"Host: \xfc.example"], id="RFC 3986 section 3.2.2: not ASCII"),
        pytest.param([b"Host: a\x85"], id="RFC 3986 section 3.2.2: 0x85"),
    ],
)
def test_a_host_that_is_not_exactly_one_is_refused_with_400(lines: list[bytes]) -> None:
    assert refused(request(*lines, without=b"Host")).status == 400


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5"],
        [b"Content-Length: -1"],
        [b"Content-Length: 00"],
        [b"Content-Length: zero"],
        [b"Content-Length:"],
        [b"Content-Length: 0", b"Content-Length: 5"],
        [b"Content-Length: 0", b"Content-Length: 0"],
        [b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding:"],
    ],
)
def test_a_body_is_refused_with_400(lines: list[bytes]) -> None:
    """RFC 9112 section 6.3: what follows the head would be frames to one reader and a body to another."""
    assert refused(request(*lines)).status == 400


def test_a_body_of_no_bytes_is_none() -> None:
    read_handshake(request(b"Content-Length: 0"))


# -- upgrade, connection, version, key


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (b"Upgrade", [b"Upgrade: WebSocket"]),
        (b"Upgrade", [b"Upgrade: h2c, websocket"]),
        (b"Upgrade", [b"Upgrade: h2c", b"Upgrade: WEBSOCKET"]),
        (b"Upgrade", [b"Upgrade: ,\twebsocket\t, "]),
        (b"Connection", [b"Connection: upgrade"]),
        (b"Connection", [b"Connection: keep-alive, Upgrade"]),
        (b"Connection", [b"Connection: UPGRADE,keep-alive"]),
        (b"Connection", [b"Connection: keep-alive", b"Connection: Upgrade"]),
        (b"Connection", [b"Connection: Upgrade", b"Connection: keep-alive"]),
        (b"Connection", [b"Connection:", b"Connection: ,, Upgrade ,"]),
    ],
)
def test_upgrade_and_connection_are_lists_in_any_case(name: bytes, lines: list[bytes]) -> None:
    """RFC 6455 section 4.2.1, items 3 and 4; RFC 9110 sections 5.3 and 7.6.1."""
    read = read_handshake(request(*lines, without=name))
    assert len(lines_of(read, name.lower())) == len(lines)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        pytest.param(b"Upgrade", [], id="RFC 6455 section 4.2.1 item 3: no Upgrade"),
        pytest.param(b"Upgrade", [b"Upgrade: h2c"], id="RFC 6455 section 4.2.1 item 3: another protocol"),
        pytest.param(b"Upgrade", [b"Upgrade: websocket/13"], id="RFC 6455 section 4.2.1 item 3: with a version"),
        pytest.param(b"Upgrade", [b"Upgrade: websockets"], id="RFC 6455 section 4.2.1 item 3: a longer name"),
        pytest.param(b"Upgrade", [b"Upgrade: websocket\x85"], id="RFC 9110 section 5.6.3: 0x85 is no white space"),
        pytest.param(b"Connection", [], id="RFC 6455 section 4.2.1 item 4: no Connection"),
        pytest.param(b"Connection", [b"Connection: keep-alive"], id="RFC 6455 section 4.2.1 item 4: another option"),
        pytest.param(b"Connection", [b"Connection: keep-alive Upgrade"], id="RFC 9110 section 5.6.1: no comma"),
        pytest.param(b"Connection", [b"Connection: \xa0Upgrade"], id="RFC 9110 section 5.6.3: 0xa0 is no white space"),
        pytest.param(b"Sec-WebSocket-Version", [], id="RFC 6455 section 4.2.1 item 6: no version"),
        *(
            pytest.param(
                b"Sec-WebSocket-Version",
                [b"Sec-WebSocket-Version: " + version],
                id=f"RFC 6455 section 4.4: version {version.decode()}",
            )
            for version in (b"8", b"12", b"14", b"013", b"+13", b"13.0", b"1 3", b"13, 8", b"")
        ),
        pytest.param(
            b"Sec-WebSocket-Version", [b"Sec-WebSocket-Version: 13"] * 2, id="RFC 6455 section 11.3.5: two versions"
        ),
    ],
)
def test_what_is_no_upgrade_to_version_13_is_refused_with_426_and_told_what_to_upgrade_to(
    name: bytes, lines: list[bytes]
) -> None:
    """RFC 6455 section 4.4; RFC 9110 section 15.5.22."""
    refusal = refused(request(*lines, without=name))
    assert refusal.status == 426
    assert refusal.headers == ((b"upgrade", b"websocket"), (b"sec-websocket-version", b"13"))


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="RFC 6455 section 4.2.1 item 5: none"),
        pytest.param([KEY, KEY], id="RFC 6455 section 11.3.1: two"),
        pytest.param([KEY, b""], id="RFC 6455 section 11.3.1: a second one that is empty"),
        pytest.param([b""], id="RFC 6455 section 4.2.1 item 5: empty"),
        pytest.param([b"x"], id="RFC 4648 section 4: no base64"),
        pytest.param([base64.b64encode(bytes(15))], id="RFC 6455 section 4.2.1 item 5: 15 bytes"),
        pytest.param([base64.b64encode(bytes(17))], id="RFC 6455 section 4.2.1 item 5: 17 bytes"),
        pytest.param([base64.b64encode(bytes(18))], id="RFC 6455 section 4.2.1 item 5: 18 bytes"),
        pytest.param([KEY[:-1]], id="RFC 4648 section 3.2: half of the padding"),
        pytest.param([KEY[:-2]], id="RFC 4648 section 3.2: no padding"),
        pytest.param([KEY + b"="], id="RFC 4648 section 3.2: too much padding"),
        pytest.param([b"-_" + KEY[2:]], id="RFC 4648 section 5: the alphabet of URLs"),
        pytest.param([KEY[:5] + b" " + KEY[5:]], id="RFC 4648 section 3.3: a space"),
        pytest.param([KEY[:4] + b"=" + KEY[5:]], id="RFC 4648 section 3.3: padding inside"),
        pytest.param([b'"' + KEY + b'"'], id="RFC 6455 section 4.1 item 7: quoted"),
        pytest.param([KEY + b"\x85"], id="RFC 9110 section 5.6.3: 0x85 is no white space"),
    ],
)
def test_a_key_that_is_not_one_of_16_bytes_is_refused_with_400(lines: list[bytes]) -> None:
    keys = [b"Sec-WebSocket-Key: " + key for key in lines]
    assert refused(request(*keys, without=b"Sec-WebSocket-Key")).status == 400


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


@given(st.binary(min_size=16, max_size=16))
def test_every_key_that_a_client_may_send_is_read(nonce: bytes) -> None:
    key = base64.b64encode(nonce)
    assert read_handshake(request(b"Sec-WebSocket-Key: " + key, without=b"Sec-WebSocket-Key")).key == key


# -- subprotocols and extensions


@pytest.mark.parametrize(
    ("values", "subprotocols"),
    [
        ([b"chat"], ["chat"]),
        ([b"chat, superchat"], ["chat", "superchat"]),
        ([b"b,a\t ,  c"], ["b", "a", "c"]),
        ([b"v1.example", b"chat, graphql-ws"], ["v1.example", "chat", "graphql-ws"]),
        ([b"chat, Chat"], ["chat", "Chat"]),
        ([b", chat,, superchat ,"], ["chat", "superchat"]),
        ([b"chat", b""], ["chat"]),
        ([b"!#$%&'*+-.^_`|~09"], ["!#$%&'*+-.^_`|~09"]),
    ],
)
def test_subprotocols_are_those_of_all_lines_in_order(values: list[bytes], subprotocols: list[str]) -> None:
    """RFC 6455 sections 4.1, item 10, and 11.3.4; RFC 9110 section 5.6.1 for empty elements."""
    lines = [b"Sec-WebSocket-Protocol: " + value for value in values]
    assert read_handshake(request(*lines)).subprotocols == subprotocols


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([b""], id="RFC 6455 section 4.3: one at least"),
        pytest.param([b" , ,"], id="RFC 6455 section 4.3: one at least, and commas are none"),
        pytest.param([b"chat superchat"], id="RFC 6455 section 4.3: a space"),
        pytest.param([b"chat/1"], id="RFC 6455 section 4.3: a separator"),
        pytest.param([b'"chat"'], id="RFC 6455 section 4.3: quoted"),
        pytest.param([b"a;b=c"], id="RFC 6455 section 4.3: parameters"),
        pytest.param([b"ch\xe4t"], id="RFC 6455 section 4.3: not ASCII"),
        pytest.param([b"chat\x85"], id="RFC 9110 section 5.6.3: 0x85 is no white space"),
        pytest.param([b"good", b"b@d"], id="RFC 6455 section 4.3: a bad one after a good one"),
        pytest.param([b"chat, chat"], id="RFC 6455 section 4.1 item 10: repeated"),
        pytest.param([b"a, chat", b"chat"], id="RFC 6455 section 4.1 item 10: repeated on another line"),
    ],
)
def test_malformed_or_repeated_subprotocols_are_refused_with_400(values: list[bytes]) -> None:
    assert refused(request(*(b"Sec-WebSocket-Protocol: " + value for value in values))).status == 400


def test_extensions_are_handed_on_line_by_line_as_they_are() -> None:
    """RFC 6455 section 9.1: whoever negotiates parses them."""
    lines = [b"Sec-WebSocket-Extensions: a; b=1, c", b"sec-websocket-extensions: d\xe9\x85;;", b"X: y"]
    assert read_handshake(request(*lines)).extensions == ["a; b=1, c", "d\xe9\x85;;"]
    assert read_handshake(request(lines[1])).extensions == ["d\xe9\x85;;"]
