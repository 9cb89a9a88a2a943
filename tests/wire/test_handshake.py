"""The opening handshake as a server reads it: the request line, sizes, and the syntax of headers."""

import pickle
from typing import Final

import pytest

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
    read = read_handshake(
        request(
            b"Origin: https://example.org",
            b"Cookie: a=1; b=2",
            b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            b"Sec-WebSocket-Protocol: chat, superchat",
            line=b"GET /room%20one?token=a%2Fb&c HTTP/1.1",
        )
    )
    assert read.target == b"/room%20one?token=a%2Fb&c"
    assert read.path == b"/room%20one"
    assert read.query == b"token=a%2Fb&c"
    assert read.key == KEY
    assert read.subprotocols == ["chat", "superchat"]
    assert read.extensions == ["permessage-deflate; client_max_window_bits"]
    assert read.headers == [
        (b"host", b"example.org"),
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-key", KEY),
        (b"sec-websocket-version", b"13"),
        (b"origin", b"https://example.org"),
        (b"cookie", b"a=1; b=2"),
        (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"),
        (b"sec-websocket-protocol", b"chat, superchat"),
    ]


def test_a_request_that_offers_nothing_has_no_subprotocols_and_no_extensions() -> None:
    read = read_handshake(request())
    assert (read.subprotocols, read.extensions, read.query) == ([], [], b"")


# -- the request line


def test_a_target_is_a_path_or_an_http_uri() -> None:
    """RFC 6455 sections 3 and 4.2.1, item 1; RFC 9112 section 3.2.2."""
    for target, path, query in (
        (b"//elsewhere.example/x", b"//elsewhere.example/x", b""),
        (b"/a?b?c=/d", b"/a", b"b?c=/d"),
        (b"/?", b"/", b""),
        (b'/a|b{c}^`"<>\\[]', b'/a|b{c}^`"<>\\[]', b""),
        (b"http://example.org/a?b", b"/a", b"b"),
        (b"HTTPS://example.org", b"/", b""),
        (b"http://example.org:80?b", b"/", b"b"),
    ):
        read = read_handshake(request(line=b"GET %b HTTP/1.1" % target))
        assert (read.target, read.path, read.query) == (target, path, query)


def test_the_authority_of_an_absolute_target_takes_the_place_of_the_host() -> None:
    """RFC 9112 section 3.2.2: else origin and application could go by different hosts."""
    read = read_handshake(request(line=b"GET http://other.example:81/ HTTP/1.1"))
    assert lines_of(read, b"host") == [b"other.example:81"]


MALFORMED_LINES: Final = {
    "RFC 6455 section 3: a fragment": b"GET /a#b HTTP/1.1",
    "RFC 9112 section 3.2.4: the asterisk is for OPTIONS": b"GET * HTTP/1.1",
    "RFC 9112 section 3.2.3: an authority is for CONNECT": b"GET example.org:80 HTTP/1.1",
    "RFC 9112 section 3.2.1: a relative path": b"GET a/b HTTP/1.1",
    "RFC 6455 section 4.2.1 item 1: another scheme": b"GET ftp://example.org/ HTTP/1.1",
    "RFC 9110 section 4.2.1: no host in the URI": b"GET http:///a HTTP/1.1",
    "RFC 9110 section 4.2.4: user information": b"GET http://a@example.org/ HTTP/1.1",
    "RFC 3986 section 2: not ASCII": b"GET /\xc3\xa9 HTTP/1.1",
    "RFC 3986 section 2: a control character": b"GET /a\x7f HTTP/1.1",
    "RFC 9112 section 3: a space in the target": b"GET /a b HTTP/1.1",
    "RFC 9112 section 3: two spaces": b"GET  / HTTP/1.1",
    "RFC 9112 section 3: a space at the end": b"GET / HTTP/1.1 ",
    "RFC 9112 section 3: no version": b"GET /",
    "RFC 9112 section 2.3: case matters": b"GET / http/1.1",
    "RFC 9110 section 9.1: the method is a token": b"G(T / HTTP/1.1",
    "nothing": b"",
}


def test_a_malformed_request_line_is_refused_with_400() -> None:
    for clause, line in MALFORMED_LINES.items():
        assert refused(request(line=line)).status == 400, clause


def test_another_method_than_get_is_refused_with_405_and_told_which_is_allowed() -> None:
    """RFC 6455 section 4.2.1, item 1; RFC 9110 section 15.5.6."""
    for method in (b"POST", b"get", b"GETS"):
        refusal = refused(request(line=method + b" / HTTP/1.1"))
        assert (refusal.status, refusal.headers) == (405, ((b"allow", b"GET"),))
        assert refusal.reason


def test_the_refusal_of_a_head_request_has_no_body() -> None:
    """RFC 9110 section 9.3.2."""
    refusal = refused(request(line=b"HEAD / HTTP/1.1"))
    assert (refusal.status, refusal.reason) == (405, "")


def test_the_http_version_is_1_1_or_a_later_one_of_that_kind() -> None:
    """RFC 6455 section 4.2.1, item 1: "an HTTP/1.1 or higher GET request"; HTTP/2 has a handshake of its own."""
    for version in (b"1.0", b"0.9", b"2.0"):
        assert refused(request(line=b"GET / HTTP/" + version)).status == 505
    read_handshake(request(line=b"GET / HTTP/1.2"))


# -- sizes


def test_a_target_of_8_kib_is_read_and_a_longer_one_refused_with_414() -> None:
    """RFC 9110 section 15.5.15."""
    target = b"/" + b"a" * (MAX_TARGET_BYTES - 1)
    assert MAX_TARGET_BYTES == 8192
    assert read_handshake(request(line=b"GET %b HTTP/1.1" % target)).path == target
    assert refused(request(line=b"GET %ba HTTP/1.1" % target)).status == 414
    assert refused(request(line=b"GET %b HTTP/1.1" % (target * 100))).status == 414


def test_a_header_line_of_8_kib_is_read_and_a_longer_one_refused_with_431() -> None:
    """RFC 6585 section 5. The whole line counts, name and white space too, without its end."""
    line = b"x: " + b"v" * (MAX_LINE_BYTES - 3)
    assert MAX_LINE_BYTES == 8192
    assert lines_of(read_handshake(request(line)), b"x") == [line[3:]]
    assert refused(request(line + b"v")).status == 431


def test_128_headers_are_read_and_more_refused_with_431() -> None:
    """RFC 6585 section 5."""
    lines = [b"x-%d: 1" % number for number in range(MAX_HEADERS - len(NEEDED))]
    assert MAX_HEADERS == 128
    assert len(read_handshake(request(*lines)).headers) == 128
    assert refused(request(*lines, b"x: 1")).status == 431


def test_a_head_of_64_kib_is_read_and_a_larger_one_refused_with_431() -> None:
    """RFC 6585 section 5. The request line counts too."""
    room = MAX_HEAD_BYTES - len(request(b"x: ", b"x: ", b"x: ", b"x: ", b"x: ", b"x: ", b"x: ", b"x: ", b"x: "))
    lines = [b"x: " + b"v" * (room // 9)] * 8 + [b"x: " + b"v" * (room - room // 9 * 8)]
    data = request(*lines)
    assert len(data) == MAX_HEAD_BYTES == 65536
    assert len(lines_of(read_handshake(data), b"x")) == 9
    assert refused(data.replace(b"GET / ", b"GET /a ")).status == 431


def test_other_sizes_can_be_asked_for() -> None:
    cookie = b"cookie: " + b"v" * 32_760
    assert len(read_handshake(request(cookie), max_header_bytes=32_768).headers) == len(NEEDED) + 1
    for bound in ("max_target_bytes", "max_header_bytes", "max_headers", "max_head_bytes"):
        with pytest.raises(HandshakeRefused) as caught:
            read_handshake(request(line=b"GET /a HTTP/1.1"), **{bound: 1})
        assert caught.value.status == (414 if bound == "max_target_bytes" else 431)


def test_offers_of_2_kib_are_read_and_more_refused_with_431() -> None:
    """A peer may put them in one line or in many."""
    lines = [b"sec-websocket-extensions: " + b"a" * 512] * 4
    assert sum(map(len, read_handshake(request(*lines)).extensions)) == 2048
    assert refused(request(*lines, b"sec-websocket-extensions: b")).status == 431


# -- the syntax of headers


MALFORMED_HEADERS: Final = {
    "RFC 9110 section 5.1: an empty name": b": v",
    "RFC 9110 section 5.1: a space in the name": b"Ho st: v",
    "RFC 9110 section 5.1: a name that is not ASCII": b"x\xe9: v",
    "RFC 9110 section 5.6.2: a delimiter in the name": b"x(: v",
    "RFC 9112 section 5.1: white space before the colon": b"x : v",
    "RFC 9112 section 2.2: white space before the name": b" x: v",
    "RFC 9112 section 5.2: a folded line": b"x: v\r\n w",
    "RFC 9112 section 5.2: a folded line that looks like a header": b"x: v\r\n\tw: z",
    "RFC 9112 section 5: no colon": b"x",
    "RFC 9112 section 2.2: a bare LF": b"x: v\ny: w",
    "RFC 9112 section 2.2: a bare CR": b"x: v\ry: w",
    "RFC 9112 section 2.2: CR CR LF": b"x: v\r",
}


def test_a_malformed_header_is_refused_with_400() -> None:
    for clause, line in MALFORMED_HEADERS.items():
        assert refused(request(line)).status == 400, clause
    for code in (*range(9), *range(10, 32), 127):
        assert refused(request(b"x: a%cb" % code)).status == 400, f"RFC 9110 section 5.5: {code:#x} in a value"


def test_a_value_is_what_stands_between_spaces_and_tabs() -> None:
    """RFC 9110 sections 5.5 and 5.6.3; RFC 9112 section 5.1."""
    for line, value in (
        (b"x:", b""),
        (b"x: \t ", b""),
        (b"x:a", b"a"),
        (b"X: \t a:b \t c\t ", b"a:b \t c"),
        (b"x: \x85a\xa0", b"\x85a\xa0"),
        (b"x: \xc3\x85\xff", b"\xc3\x85\xff"),
    ):
        assert lines_of(read_handshake(request(line)), b"x") == [value]


def test_what_is_not_one_whole_head_is_refused_with_400() -> None:
    for data in (
        request()[:-1],
        request()[:-2],
        request()[:-4],
        request() + b"\x81",
        request() + request(),
        request().replace(b"\r\n", b"\n"),
        b"\r\n" + request(),
        b"GET / HTTP/1.1\r\n",
        b"",
    ):
        assert refused(data).status == 400


# -- the refusal itself


def test_a_refusal_says_status_and_reason_and_survives_pickling() -> None:
    refusal = refused(request(line=b"HEAD / HTTP/1.1"))
    assert str(refusal) == "405"
    refusal = refused(request(line=b"POST / HTTP/1.1"))
    assert str(refusal) == "405 a WebSocket handshake is a GET request"
    again = pickle.loads(pickle.dumps(refusal))
    assert (again.status, again.reason, again.headers) == (405, refusal.reason, refusal.headers)
