"""The opening handshake as a server reads it: the request line, sizes, and the syntax of headers."""

import pickle

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


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"//elsewhere.example/x", b"//elsewhere.example/x", b""),
        (b"/a?b?c=/d", b"/a", b"b?c=/d"),
        (b"/?", b"/", b""),
        (b'/a|b{c}^`"<>\\[]', b'/a|b{c}^`"<>\\[]', b""),
        (b"/http://other.example/", b"/http://other.example/", b""),
        (b"http://example.org/a?b", b"/a", b"b"),
        (b"HTTPS://example.org", b"/", b""),
        (b"http://example.org:80?b", b"/", b"b"),
    ],
)
def test_a_target_is_a_path_or_an_http_uri(target: bytes, path: bytes, query: bytes) -> None:
    """RFC 6455 sections 3 and 4.2.1, item 1; RFC 9112 section 3.2.2."""
    read = read_handshake(request(line=b"GET %b HTTP/1.1" % target))
    assert (read.target, read.path, read.query) == (target, path, query)


def test_the_authority_of_an_absolute_target_takes_the_place_of_the_host() -> None:
    """RFC 9112 section 3.2.2: else origin and application could go by different hosts."""
    read = read_handshake(request(line=b"GET http://other.example:81/ HTTP/1.1"))
    assert lines_of(read, b"host") == [b"other.example:81"]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"GET /a#b HTTP/1.1", id="RFC 6455 section 3: a fragment"),
        pytest.param(b"GET * HTTP/1.1", id="RFC 9112 section 3.2.4: the asterisk is for OPTIONS"),
        pytest.param(b"GET example.org:80 HTTP/1.1", id="RFC 9112 section 3.2.3: an authority is for CONNECT"),
        pytest.param(b"GET a/b HTTP/1.1", id="RFC 9112 section 3.2.1: a relative path"),
        pytest.param(b"GET ftp://example.org/ HTTP/1.1", id="RFC 6455 section 4.2.1 item 1: another scheme"),
        pytest.param(b"GET http:///a HTTP/1.1", id="RFC 9110 section 4.2.1: no host in the URI"),
        pytest.param(b"GET http://a@example.org/ HTTP/1.1", id="RFC 9110 section 4.2.4: user information"),
        pytest.param(b"GET /\xc3\xa9 HTTP/1.1", id="RFC 3986 section 2: not ASCII"),
        pytest.param(b"GET /a\x0bb HTTP/1.1", id="RFC 3986 section 2: a control character"),
        pytest.param(b"GET /a\x7f HTTP/1.1", id="RFC 3986 section 2: DEL"),
        pytest.param(b"GET /a b HTTP/1.1", id="RFC 9112 section 3: a space in the target"),
        pytest.param(b"GET  / HTTP/1.1", id="RFC 9112 section 3: two spaces"),
        pytest.param(b"GET\t/ HTTP/1.1", id="RFC 9112 section 3: a tab"),
        pytest.param(b"GET / HTTP/1.1 ", id="RFC 9112 section 3: a space at the end"),
        pytest.param(b"GET /", id="RFC 9112 section 3: no version"),
        pytest.param(b"GET / HTTP/11", id="RFC 9112 section 2.3: no minor version"),
        pytest.param(b"GET / http/1.1", id="RFC 9112 section 2.3: case matters"),
        pytest.param(b"GET / ICY/1.1", id="RFC 9112 section 2.3: another protocol"),
        pytest.param(b"G(T / HTTP/1.1", id="RFC 9110 section 9.1: the method is a token"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_a_malformed_request_line_is_refused_with_400(line: bytes) -> None:
    assert refused(request(line=line)).status == 400


@pytest.mark.parametrize("method", [b"POST", b"OPTIONS", b"CONNECT", b"get", b"GETS"])
def test_another_method_than_get_is_refused_with_405_and_told_which_is_allowed(method: bytes) -> None:
    """RFC 6455 section 4.2.1, item 1; RFC 9110 section 15.5.6."""
    refusal = refused(request(line=method + b" / HTTP/1.1"))
    assert refusal.status == 405
    assert (b"allow", b"GET") in refusal.headers
    assert refusal.reason


def test_the_refusal_of_a_head_request_has_no_body() -> None:
    """RFC 9110 section 9.3.2."""
    refusal = refused(request(line=b"HEAD / HTTP/1.1"))
    assert (refusal.status, refusal.reason) == (405, "")


@pytest.mark.parametrize(("version", "status"), [(b"1.0", 505), (b"0.9", 505), (b"2.0", 505), (b"1.2", 101)])
def test_the_http_version_is_1_1_or_a_later_one_of_that_kind(version: bytes, status: int) -> None:
    """RFC 6455 section 4.2.1, item 1: "an HTTP/1.1 or higher GET request"; HTTP/2 has a handshake of its own."""
    data = request(line=b"GET / HTTP/" + version)
    if status == 101:
        read_handshake(data)
    else:
        assert refused(data).status == status


# -- sizes


def test_a_target_of_8_kib_is_read_and_a_longer_one_refused_with_414() -> None:
    """RFC 9110 section 15.5.15."""
    target = b"/" + b"a" * (MAX_TARGET_BYTES - 1)
    assert MAX_TARGET_BYTES == 8192
    assert read_handshake(request(line=b"GET %b HTTP/1.1" % target)).path == target
    assert refused(request(line=b"GET %ba HTTP/1.1" % target)).status == 414
    assert refused(request(line=b"GET %b HTTP/1.1" % (target * 100))).status == 414


@pytest.mark.parametrize("name", [b"x: ", b"X:"])
def test_a_header_line_of_8_kib_is_read_and_a_longer_one_refused_with_431(name: bytes) -> None:
    """RFC 6585 section 5. The whole line counts, name and white space too, without its end."""
    line = name + b"v" * (MAX_LINE_BYTES - len(name))
    assert MAX_LINE_BYTES == 8192
    assert lines_of(read_handshake(request(line)), b"x") == [line[len(name) :]]
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


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b": v", id="RFC 9110 section 5.1: an empty name"),
        pytest.param(b"Ho st: v", id="RFC 9110 section 5.1: a space in the name"),
        pytest.param(b"x\xe9: v", id="RFC 9110 section 5.1: a name that is not ASCII"),
        pytest.param(b"x\x00: v", id="RFC 9110 section 5.1: NUL in the name"),
        pytest.param(b"x\x0b: v", id="RFC 9110 section 5.1: VT in the name"),
        pytest.param(b"x(: v", id="RFC 9110 section 5.6.2: a delimiter in the name"),
        pytest.param(b"x : v", id="RFC 9112 section 5.1: white space before the colon"),
        pytest.param(b" x: v", id="RFC 9112 section 2.2: white space before the name"),
        pytest.param(b"x: v\r\n w", id="RFC 9112 section 5.2: a folded line"),
        pytest.param(b"x: v\r\n\tw: z", id="RFC 9112 section 5.2: a folded line that looks like a header"),
        pytest.param(b"x", id="RFC 9112 section 5: no colon"),
        pytest.param(b"x: v\ny: w", id="RFC 9112 section 2.2: a bare LF"),
        pytest.param(b"x: v\ry: w", id="RFC 9112 section 2.2: a bare CR"),
        pytest.param(b"x: v\r", id="RFC 9112 section 2.2: CR CR LF"),
        *(
            pytest.param(b"x: a%bb" % bytes([code]), id=f"RFC 9110 section 5.5: 0x{code:02x} in the value")
            for code in [*range(9), *range(10, 32), 127]
        ),
    ],
)
def test_a_malformed_header_is_refused_with_400(line: bytes) -> None:
    assert refused(request(line)).status == 400


@pytest.mark.parametrize(
    ("line", "value"),
    [
        pytest.param(b"x:", b"", id="RFC 9110 section 5.5: an empty value"),
        pytest.param(b"x: \t ", b"", id="RFC 9112 section 5.1: a value of white space"),
        pytest.param(b"x:a", b"a", id="RFC 9112 section 5.1: no white space"),
        pytest.param(b"X: \t a \t b\t ", b"a \t b", id="RFC 9112 section 5.1: white space around it"),
        pytest.param(b"x: a:b: c", b"a:b: c", id="RFC 9110 section 5.5: colons"),
        pytest.param(b"x: \x85a\x85", b"\x85a\x85", id="RFC 9110 section 5.6.3: 0x85 is no white space"),
        pytest.param(b"x: \xa0a\xa0", b"\xa0a\xa0", id="RFC 9110 section 5.6.3: 0xa0 is no white space"),
        pytest.param(b"x: \xc3\x85\xff", b"\xc3\x85\xff", id="RFC 9110 section 5.5: obs-text"),
    ],
)
def test_a_value_is_what_stands_between_spaces_and_tabs(line: bytes, value: bytes) -> None:
    assert lines_of(read_handshake(request(line)), b"x") == [value]


@pytest.mark.parametrize(
    "data",
    [
        request()[:-1],
        request()[:-2],
        request()[:-4],
        request() + b"\x81",
        request() + request(),
        request() + b"\r\n",
        request().replace(b"\r\n", b"\n"),
        b"\r\n" + request(),
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\r\n",
        b"\r\n\r\n",
        b"",
    ],
)
def test_what_is_not_one_whole_head_is_refused_with_400(data: bytes) -> None:
    assert refused(data).status == 400


# -- the refusal itself


def test_a_refusal_says_status_and_reason_and_survives_pickling() -> None:
    refusal = refused(request(line=b"HEAD / HTTP/1.1"))
    assert str(refusal) == "405"
    refusal = refused(request(line=b"POST / HTTP/1.1"))
    assert str(refusal) == "405 a WebSocket handshake is a GET request"
    again = pickle.loads(pickle.dumps(refusal))
    assert (again.status, again.reason, again.headers) == (405, refusal.reason, refusal.headers)
