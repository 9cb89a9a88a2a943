"""Requests that are refused, by the clause that they break, and the status of the refusal."""

import base64
from collections.abc import Mapping
from typing import Final

import pytest

from .handshakes import KEY, refused, request

LINES: Final = {
    "RFC 6455 section 3: a fragment": b"GET /a#b HTTP/1.1",
    "RFC 9112 section 3.2.4: the asterisk is for OPTIONS": b"GET * HTTP/1.1",
    "RFC 9112 section 3.2.3: an authority is for CONNECT": b"GET example.org:80 HTTP/1.1",
    "RFC 9112 section 3.2.1: a relative path": b"GET a/b HTTP/1.1",
    "RFC 6455 section 4.2.1 item 1: another scheme": b"GET ftp://example.org/ HTTP/1.1",
    "RFC 9110 section 4.2.1: no host in the URI": b"GET http:///a HTTP/1.1",
    "RFC 9110 section 4.2.4: user information in the URI": b"GET http://a@example.org/ HTTP/1.1",
    "RFC 3986 section 2: not ASCII": b"GET /\xc3\xa9 HTTP/1.1",
    "RFC 3986 section 2: a control character": b"GET /a\x7f HTTP/1.1",
    "RFC 9112 section 3: a space in the target": b"GET /a b HTTP/1.1",
    "RFC 9112 section 3: two spaces": b"GET  / HTTP/1.1",
    "RFC 9112 section 3: a space at the end": b"GET / HTTP/1.1 ",
    "RFC 9112 section 3: no version": b"GET /",
    "RFC 9112 section 2.3: a version in lower case": b"GET / http/1.1",
    "RFC 9110 section 9.1: the method is a token": b"G(T / HTTP/1.1",
    "an empty request line": b"",
}
# `%c` is replaced by each control character.
HEADERS: Final = {
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
    # RFC 9112 section 6.3: one reader would take the bytes after the head for frames, another for a body.
    "RFC 9112 section 6.3: a body": b"Content-Length: 5",
    "RFC 9112 section 6.3: a length in two digits": b"Content-Length: 00",
    "RFC 9112 section 6.3: an empty length": b"Content-Length:",
    "RFC 9112 section 6.3: two lengths": b"Content-Length: 0\r\nContent-Length: 0",
    "RFC 9112 section 6.3: a chunked body": b"Transfer-Encoding: chunked",
    "RFC 9112 section 6.3: an empty transfer coding": b"Transfer-Encoding:",
    "RFC 6455 section 4.3: one subprotocol at least": b"Sec-WebSocket-Protocol: , ,",
    "RFC 6455 section 4.3: a space in a subprotocol": b"Sec-WebSocket-Protocol: chat superchat",
    "RFC 6455 section 4.3: a separator in a subprotocol": b"Sec-WebSocket-Protocol: chat/1",
    "RFC 6455 section 4.3: a subprotocol that is not ASCII": b"Sec-WebSocket-Protocol: ch\xe4t",
    "RFC 9110 section 5.6.3: 0x85 behind a subprotocol": b"Sec-WebSocket-Protocol: chat\x85",
    "RFC 6455 section 4.3: a bad subprotocol after a good one": b"Sec-WebSocket-Protocol: good, b@d",
    "RFC 6455 section 4.1 item 10: a subprotocol twice": b"Sec-WebSocket-Protocol: chat, chat",
    "RFC 6455 section 4.1 item 10: twice in two lines": b"Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: b",
    **{f"RFC 9110 section 5.5: {code:#x} in a value": b"x: a%cb" % code for code in (*range(9), *range(10, 32), 127)},
}
HOSTS: Final[Mapping[str, list[bytes]]] = {
    "RFC 9112 section 3.2: no host": [],
    "RFC 9112 section 3.2: the same host twice": [b"a", b"a"],
    "RFC 9112 section 3.2: a second host that is empty": [b"a", b""],
    "RFC 9110 section 4.2.1: an empty host": [b""],
    "RFC 3986 section 3.2.2: two hosts in one": [b"a, b"],
    "RFC 9110 section 7.2: a URI": [b"http://a"],
    "RFC 9110 section 7.2: user information": [b"u@a"],
    "RFC 3986 section 3.2.3: a port that is not a number": [b"a:b"],
    "RFC 3986 section 3.2.3: a port that is too long": [b"a:123456"],
    "RFC 3986 section 3.2.3: two ports": [b"a:80:80"],
    "RFC 9110 section 4.2.1: only a port": [b":80"],
    "RFC 3986 section 3.2.2: an open bracket": [b"[::1"],
    "RFC 3986 section 3.2.2: empty brackets": [b"[]"],
    "RFC 3986 section 2.1: a percent sign by itself": [b"a%zz"],
    "RFC 3986 section 3.2.2: a host that is not ASCII": [b"a\x85"],
}
KEYS: Final[Mapping[str, list[bytes]]] = {
    "RFC 6455 section 4.2.1 item 5: no key": [],
    "RFC 6455 section 11.3.1: two keys": [KEY, KEY],
    "RFC 6455 section 11.3.1: a second key that is empty": [KEY, b""],
    "RFC 6455 section 4.2.1 item 5: an empty key": [b""],
    "RFC 6455 section 4.2.1 item 5: 15 bytes": [base64.b64encode(bytes(15))],
    "RFC 6455 section 4.2.1 item 5: 17 bytes": [base64.b64encode(bytes(17))],
    "RFC 4648 section 3.2: half of the padding": [KEY[:-1]],
    "RFC 4648 section 5: the alphabet of URLs": [b"-_" + KEY[2:]],
    "RFC 6455 section 4.1 item 7: a quoted key": [b'"' + KEY + b'"'],
    "RFC 9110 section 5.6.3: 0x85 behind the key": [KEY + b"\x85"],
}
UPGRADES: Final[Mapping[str, list[bytes]]] = {
    "RFC 6455 section 4.2.1 item 3: no Upgrade": [],
    "RFC 6455 section 4.2.1 item 3: another protocol": [b"h2c"],
    "RFC 6455 section 4.2.1 item 3: with a version": [b"websocket/13"],
    "RFC 9110 section 5.6.3: 0x85 is not white space": [b"websocket\x85"],
}
CONNECTIONS: Final[Mapping[str, list[bytes]]] = {
    "RFC 6455 section 4.2.1 item 4: no Connection": [],
    "RFC 6455 section 4.2.1 item 4: another option": [b"keep-alive"],
    "RFC 9110 section 5.6.1: no comma": [b"keep-alive Upgrade"],
}
VERSIONS: Final[Mapping[str, list[bytes]]] = {
    "RFC 6455 section 4.2.1 item 6: no version of the protocol": [],
    "RFC 6455 section 4.4: an older version": [b"8"],
    "RFC 6455 section 4.4: a leading zero": [b"013"],
    "RFC 6455 section 4.4: a list of versions": [b"13, 8"],
    "RFC 6455 section 11.3.5: two versions": [b"13", b"13"],
}
HEADS: Final = {
    "one byte is missing": request()[:-1],
    "the empty line is missing": request()[:-2],
    "the last line end is missing": request()[:-4],
    "a frame behind the head": request() + b"\x81",
    "a second request": request() + request(),
    "lines that end in LF": request().replace(b"\r\n", b"\n"),
    "an empty line before the head": b"\r\n" + request(),
    "a request line alone": b"GET / HTTP/1.1\r\n",
    "nothing": b"",
}


def replaced(name: bytes, table: Mapping[str, list[bytes]]) -> dict[str, bytes]:
    """Return requests whose header `name` has these values."""
    return {
        clause: request(*(b"%b: %b" % (name, value) for value in values), without=name)
        for clause, values in table.items()
    }


BAD_REQUESTS: Final = {
    **{clause: request(line=line) for clause, line in LINES.items()},
    **{clause: request(line) for clause, line in HEADERS.items()},
    **replaced(b"Host", HOSTS),
    **replaced(b"Sec-WebSocket-Key", KEYS),
    **HEADS,
}
NOT_AN_UPGRADE: Final = {
    **replaced(b"Upgrade", UPGRADES),
    **replaced(b"Connection", CONNECTIONS),
    **replaced(b"Sec-WebSocket-Version", VERSIONS),
}


@pytest.mark.parametrize("data", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_a_malformed_request_is_refused_with_400(data: bytes) -> None:
    assert refused(data).status == 400


@pytest.mark.parametrize("data", NOT_AN_UPGRADE.values(), ids=NOT_AN_UPGRADE)
def test_a_request_that_does_not_upgrade_to_version_13_is_refused_with_426_and_the_upgrade(data: bytes) -> None:
    # RFC 6455 section 4.4; RFC 9110 section 15.5.22.
    refusal = refused(data)
    assert refusal.status == 426
    assert refusal.headers == ((b"upgrade", b"websocket"), (b"sec-websocket-version", b"13"))


@pytest.mark.parametrize("method", [b"POST", b"get", b"GETS"])
def test_another_method_than_get_is_refused_with_405_and_the_allowed_one(method: bytes) -> None:
    # RFC 6455 section 4.2.1, item 1; RFC 9110 section 15.5.6.
    refusal = refused(request(line=method + b" / HTTP/1.1"))
    assert (refusal.status, refusal.headers) == (405, ((b"allow", b"GET"),))
    assert refusal.reason


def test_the_refusal_of_a_head_request_has_no_body() -> None:
    # RFC 9110 section 9.3.2.
    refusal = refused(request(line=b"HEAD / HTTP/1.1"))
    assert (refusal.status, refusal.reason) == (405, "")


@pytest.mark.parametrize("version", [b"1.0", b"0.9", b"2.0"])
def test_an_http_version_without_this_handshake_is_refused_with_505(version: bytes) -> None:
    # RFC 6455 section 4.2.1, item 1: "an HTTP/1.1 or higher GET request". HTTP/2 has its own handshake.
    assert refused(request(line=b"GET / HTTP/" + version)).status == 505
