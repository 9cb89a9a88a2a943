"""Requests for the tests of the handshake, and the answers that clients read."""

import h11

from asgi_ws.wire.handshake import Handshake, HandshakeRefused, read_handshake

# RFC 6455 section 1.3.
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

NEEDED = (
    b"Host: example.org",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: " + KEY,
    b"Sec-WebSocket-Version: 13",
)


def request(*lines: bytes, line: bytes = b"GET / HTTP/1.1", without: bytes = b"-") -> bytes:
    """Return a request with these lines, and without the needed lines that begin with `without`."""
    kept = [needed for needed in NEEDED if not needed.startswith(without)]
    return b"\r\n".join([line, *kept, *lines, b"", b""])


def refused(data: bytes) -> HandshakeRefused:
    """Return the refusal of a request."""
    try:
        read = read_handshake(data)
    except HandshakeRefused as refusal:
        return refusal
    raise AssertionError(f"not refused: {read}")


def lines_of(handshake: Handshake, name: bytes) -> list[bytes]:
    return [value for field, value in handshake.headers if field == name]


def response(data: bytes, method: str = "GET") -> tuple[h11.Response, bytes]:
    """Return the only response that h11 reads in these bytes, and its body, when the connection closes after it."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "example.org")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    client.receive_data(b"")
    head = client.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert isinstance(client.next_event(), h11.ConnectionClosed)
    return head, body
