"""The opening handshake against whatever bytes there are, with h11 as the second reader."""

import re

import h11
from hypothesis import example, given, strategies as st

from asgi_ws.wire.handshake import Handshake, HandshakeRefused, accept_response, read_handshake, refusal

from .handshakes import request
from .test_handshake_responses import SERVER, response

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")

FULL = request(
    b"Origin: https://example.org",
    b"Connection: keep-alive",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    b"Sec-WebSocket-Protocol: chat, superchat",
    b"Sec-WebSocket-Protocol: v1.example",
    b"Content-Length: 0",
    line=b"GET /room/1?a=b HTTP/1.1",
)
# What a smuggler would try, beside any byte.
PIECES = st.one_of(
    st.binary(max_size=3),
    st.sampled_from(
        [
            b"\r\n",
            b"\n",
            b"\r",
            b"\r\n ",
            b"\r\n\r\n",
            b": ",
            b",",
            b"\x0b",
            b"\x0c",
            b"\x85",
            b"\xa0",
            b"\0",
            b"\r\nHost: other.example",
            b"\r\nTransfer-Encoding: chunked",
            b"\r\nContent-Length: 5",
            b"\r\nx-extra:\t\x85 \xc3\x85\t",
            b"http://other.example",
            b"%0d%0a",
            b"a" * 9000,
            b"x: y\r\n" * 140,
        ]
    ),
)


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A good request in which up to three stretches were replaced."""
    data = FULL
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(start + 8, len(data))))
        data = data[:start] + draw(PIECES) + data[end:]
    return data


def check_read(data: bytes, read: Handshake) -> None:
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    event = server.next_event()
    assert isinstance(event, h11.Request)
    assert event.method == b"GET"
    assert event.target == read.target
    # All but Host, which an absolute target overrules.
    assert [pair for pair in event.headers if pair[0] != b"host"] == [
        pair for pair in read.headers if pair[0] != b"host"
    ]
    assert isinstance(server.next_event(), h11.EndOfMessage)
    assert server.trailing_data[0] == b""

    assert all(TOKEN.fullmatch(name) for name, _ in read.headers)
    assert not any(set(value) & set(b"\r\n\0\x0b\x0c") or value != value.strip(b" \t") for _, value in read.headers)
    assert [name for name, _ in read.headers].count(b"host") == 1
    assert read.path.startswith(b"/")
    assert read.target.endswith(b"?" * bool(read.query) + read.query)
    for subprotocol in (None, *read.subprotocols):
        answer = accept_response(read, subprotocol=subprotocol, extension=None, headers=SERVER)
        assert answer.count(b"\r\n\r\n") == 1


def check_refused(data: bytes, refused: HandshakeRefused) -> None:
    assert refused.status in {400, 405, 414, 426, 431, 505}
    method = "HEAD" if data.startswith(b"HEAD ") else "GET"
    head, body = response(refusal(refused, SERVER), method)
    assert head.status_code == refused.status
    assert body == refused.reason.encode()
    assert b"close" in dict(head.headers)[b"connection"]


@given(st.one_of(st.binary(), spoilt()))
@example(FULL)
@example(FULL.replace(b"/room", b"http://other.example/room"))
@example(FULL.replace(b"GET", b"HEAD"))
@example(FULL.replace(b"chat, ", b"\xe9, "))
def test_any_bytes_are_a_handshake_that_h11_reads_alike_or_are_refused_with_a_whole_response(data: bytes) -> None:
    try:
        read = read_handshake(data)
    except HandshakeRefused as refused:
        check_refused(data, refused)
    else:
        check_read(data, read)
