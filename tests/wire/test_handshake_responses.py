"""Answers to a handshake, read by clients of other libraries: the 101, refusals and the heads of denials."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request

from asgi_ws import InvalidHeader, InvalidStatus, InvalidSubprotocol
from asgi_ws.wire.handshake import (
    HandshakeRefused,
    RawHeaders,
    accept_response,
    accept_value,
    read_handshake,
    refusal,
    response_head,
)

from .handshakes import ACCEPT, KEY, request, response

OFFERING = read_handshake(request(b"Sec-WebSocket-Protocol: chat, superchat"))
SERVER = [(b"server", b"uvicorn"), (b"date", b"Tue, 01 Jul 2025 00:00:00 GMT")]


# -- 101


def test_the_accept_value_is_that_of_the_rfc() -> None:
    # RFC 6455 section 1.3.
    assert accept_value(KEY) == ACCEPT


def test_a_bare_101_has_the_headers_of_the_rfc_and_no_others() -> None:
    # RFC 6455 section 4.2.2, item 5.
    assert accept_response(OFFERING, subprotocol=None, extension=None, headers=[]) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"upgrade: websocket\r\n"
        b"connection: Upgrade\r\n"
        b"sec-websocket-accept: " + ACCEPT + b"\r\n"
        b"\r\n"
    )


def test_a_101_carries_subprotocol_extension_and_headers_in_order() -> None:
    headers = [*SERVER, (b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=\xe9\t2"), (b"x-empty", b"")]
    data = accept_response(OFFERING, subprotocol="superchat", extension="permessage-deflate; a=1", headers=headers)
    head, _, rest = data.partition(b"\r\n\r\n")
    assert rest == b""
    assert head.split(b"\r\n")[4:] == [
        b"sec-websocket-protocol: superchat",
        b"sec-websocket-extensions: permessage-deflate; a=1",
        b"server: uvicorn",
        b"date: Tue, 01 Jul 2025 00:00:00 GMT",
        b"Set-Cookie: a=1",
        b"set-cookie: b=\xe9\t2",
        b"x-empty: ",
    ]


def test_the_websockets_library_opens_a_connection() -> None:
    client = ClientProtocol(
        parse_uri("ws://example.org/chat?a=b"),
        subprotocols=[Subprotocol("chat"), Subprotocol("superchat")],
        extensions=[ClientPerMessageDeflateFactory(client_max_window_bits=True)],
    )
    client.send_request(client.connect())
    (data,) = client.data_to_send()
    handshake = read_handshake(data)
    assert (handshake.path, handshake.query) == (b"/chat", b"a=b")

    answer = accept_response(handshake, subprotocol="superchat", extension="permessage-deflate", headers=SERVER)
    client.receive_data(answer)
    assert client.handshake_exc is None
    assert client.state is State.OPEN
    assert client.subprotocol == "superchat"
    assert [extension.name for extension in client.extensions] == ["permessage-deflate"]


def test_wsproto_opens_a_connection() -> None:
    client = WSConnection(ConnectionType.CLIENT)
    data = client.send(Request(host="example.org", target="/", subprotocols=["chat"]))
    client.receive_data(accept_response(read_handshake(data), subprotocol="chat", extension=None, headers=SERVER))
    (event,) = client.events()
    assert isinstance(event, AcceptConnection)
    assert event.subprotocol == "chat"


@pytest.mark.parametrize("subprotocol", ["Chat", "", "chat, superchat", "chat\r\nx: y", b"chat"])
def test_a_subprotocol_that_was_not_offered_is_an_error_of_the_application(subprotocol: Any) -> None:
    # RFC 6455 section 4.2.2, item 4.
    with pytest.raises(InvalidSubprotocol) as caught:
        accept_response(OFFERING, subprotocol=subprotocol, extension=None, headers=[])
    assert caught.value.offered == ("chat", "superchat")


def test_headers_of_the_handshake_are_not_for_the_application_to_set() -> None:
    own = (b"Upgrade", b"connection", b"sec-websocket-accept", b"Sec-WebSocket-Protocol", b"sec-websocket-extensions")
    for name in (*own, b"sec-websocket-version", b"content-length", b"Transfer-Encoding"):
        with pytest.raises(InvalidHeader) as caught:
            accept_response(OFFERING, subprotocol=None, extension=None, headers=[(name, b"x")])
        assert caught.value.name == name


ANSWERS: dict[str, Callable[[RawHeaders], bytes]] = {
    "accept": lambda headers: accept_response(OFFERING, subprotocol=None, extension=None, headers=headers),
    "denial": lambda headers: response_head(403, headers),
    "refusal": lambda headers: refusal(HandshakeRefused(400, "no"), headers),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_header_that_would_break_the_answer_is_an_error(answer: Callable[[Any], bytes]) -> None:
    values = [b"a\r\ny: b", *(b"a%cb" % code for code in (*range(9), *range(10, 32), 0x7F, 0x85)), "a", 5]
    names = [b"x\r\ny", b"x: y", b"x:", b"x ", b" x", b"x\n", b"", b"\xe9", "x", None]
    for name, value in [*((b"x", value) for value in values), *((name, b"a") for name in names)]:
        with pytest.raises(InvalidHeader) as caught:
            answer([(b"good", b"one"), (name, value)])
        assert (caught.value.name, caught.value.value) == (name, value)


# -- other answers


def test_the_head_of_a_denial_is_read_by_a_client() -> None:
    head, body = response(response_head(401, [(b"content-length", b"2"), (b"www-authenticate", b"Basic")]) + b"no")
    assert (head.status_code, head.reason, body) == (401, b"Unauthorized", b"no")
    assert dict(head.headers) == {b"content-length": b"2", b"www-authenticate": b"Basic"}


def test_a_head_without_headers_is_its_status_line() -> None:
    assert response_head(HTTPStatus.FORBIDDEN, []) == b"HTTP/1.1 403 Forbidden\r\n\r\n"


def test_a_status_without_a_name_has_an_empty_reason_phrase() -> None:
    # RFC 9112 section 4: the space before the reason phrase stays.
    assert response_head(499, []) == b"HTTP/1.1 499 \r\n\r\n"


@pytest.mark.parametrize("status", [101, 199, 600, 403.0, "403"])
def test_a_status_that_does_not_end_a_request_is_an_error(status: Any) -> None:
    with pytest.raises(InvalidStatus):
        response_head(status, [])


def test_a_refusal_is_a_whole_response_that_closes_the_connection() -> None:
    # Its own headers replace the server's.
    defaults = [*SERVER, (b"connection", b"keep-alive"), (b"content-type", b"text/x")]
    data = refusal(HandshakeRefused(405, "a GET, please", ((b"allow", b"GET"),)), defaults)
    head, body = response(data)
    assert (head.status_code, head.reason, body) == (405, b"Method Not Allowed", b"a GET, please")
    assert list(head.headers) == [
        *SERVER,
        (b"allow", b"GET"),
        (b"connection", b"close"),
        (b"content-length", b"13"),
        (b"content-type", b"text/plain; charset=utf-8"),
    ]


def test_a_refusal_that_names_an_upgrade_lists_it_in_connection() -> None:
    # RFC 9110 section 7.8.
    head, _ = response(refusal(HandshakeRefused(426, "13", ((b"upgrade", b"websocket"),)), []))
    assert dict(head.headers)[b"connection"] == b"close, upgrade"


def test_a_refusal_without_a_reason_has_no_body_and_no_length() -> None:
    # RFC 9110 section 8.6: in an answer to HEAD this would be the length of the body for GET, which is another.
    data = refusal(HandshakeRefused(405, "", ((b"allow", b"GET"),)), [])
    assert data == b"HTTP/1.1 405 Method Not Allowed\r\nallow: GET\r\nconnection: close\r\n\r\n"
    for method in ("HEAD", "GET"):
        assert response(data, method)[1] == b""
