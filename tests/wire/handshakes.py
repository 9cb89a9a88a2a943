"""Requests for the tests of the handshake, and what becomes of them."""

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
    """What RFC 6455 asks for and these lines; `without` is the beginning of the lines to leave away."""
    kept = [needed for needed in NEEDED if not needed.startswith(without)]
    return b"\r\n".join([line, *kept, *lines, b"", b""])


def refused(data: bytes) -> HandshakeRefused:
    """The refusal of a request that must not be read."""
    try:
        read = read_handshake(data)
    except HandshakeRefused as refusal:
        return refusal
    raise AssertionError(f"not refused: {read}")


def lines_of(handshake: Handshake, name: bytes) -> list[bytes]:
    return [value for field, value in handshake.headers if field == name]
