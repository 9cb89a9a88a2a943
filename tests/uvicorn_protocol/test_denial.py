"""The response to a refused handshake, part by part."""

from typing import Any

import pytest

from asgi_ws import InvalidHeader, InvalidMessage
from asgi_ws.uvicorn_protocol.denial import Denial

_SERVER = [(b"server", b"uvicorn")]


def _denial(*headers: tuple[bytes, bytes], status: int = 401) -> Denial:
    return Denial({"type": "websocket.http.response.start", "status": status, "headers": [*headers]}, _SERVER)


def _part(body: Any = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": body, "more_body": more}


def test_a_body_in_one_part_has_its_length() -> None:
    denial = _denial((b"x", b"y"))
    assert denial.body(_part(b"no")) == (
        b"HTTP/1.1 401 Unauthorized\r\nserver: uvicorn\r\nx: y\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno"
    )
    assert denial.is_complete


def test_a_body_in_parts_is_sent_in_chunks() -> None:
    denial = _denial((b"transfer-encoding", b"gzip"))
    first = denial.body(_part(b"one", more=True))
    assert first.endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
    assert b"gzip" not in first
    assert denial.body(_part(more=True)) == b""
    assert not denial.is_complete
    assert denial.body(_part(b"two")) == b"3\r\ntwo\r\n0\r\n\r\n"


def test_the_application_s_own_connection_and_length_stand() -> None:
    denial = _denial((b"Connection", b"close, x"), (b"Content-Length", b"6"))
    first = denial.body(_part(b"one", more=True))
    assert first.lower().count(b"connection:") == first.lower().count(b"content-length:") == 1
    assert first.endswith(b"\r\n\r\none")
    assert denial.body(_part(b"two")) == b"two"


def test_some_responses_have_no_body() -> None:
    for status in (204, 304):
        sent = _denial(status=status).body(_part(b"none"))
        assert sent.endswith(b"\r\n\r\n")
        assert b"content-length" not in sent
        assert b"transfer-encoding" not in sent


def test_a_content_length_is_one_number() -> None:
    for lines in ([b"abc"], [b"1_0"], [b"+5"], [b""], [b"1", b"1"]):
        with pytest.raises(InvalidHeader):
            _denial(*((b"content-length", line) for line in lines))


def test_a_part_that_cannot_be_sent_leaves_the_response_as_it_was() -> None:
    denial = _denial((b"content-length", b"3"))
    for part, more in ((b"four", True), (b"four", False), (b"on", False), ("one", False)):
        with pytest.raises(InvalidMessage):
            denial.body(_part(part, more=more))
    assert denial.body(_part(b"one")).endswith(b"\r\n\r\none")
    assert denial.is_complete
