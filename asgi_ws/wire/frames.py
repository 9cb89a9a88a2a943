"""Frames as a server sends them: not masked (RFC 6455 section 5.1)."""

from typing import Final

from ..close_codes import CloseCode, check_close

# RFC 6455 section 5.2, the first byte.
FIN: Final = 0x80
RSV1: Final = 0x40
RSV2_RSV3: Final = 0x30
OPCODE: Final = 0x0F

TEXT_OPCODE: Final = 0x1
BINARY_OPCODE: Final = 0x2
CLOSE_OPCODE: Final = 0x8
PING_OPCODE: Final = 0x9
PONG_OPCODE: Final = 0xA

# The second byte.
MASKED: Final = 0x80
LENGTH: Final = 0x7F
# These lengths say that the real one follows in two or eight bytes; below the minimum it has to be in fewer.
IN_2_BYTES: Final = 126
IN_8_BYTES: Final = 127
MIN_IN_8_BYTES: Final = 65_536

# The first byte of a message in one frame.
TEXT: Final = FIN | TEXT_OPCODE
BINARY: Final = FIN | BINARY_OPCODE
# Beside one of the two: the payload is compressed (RFC 7692 section 6).
COMPRESSED: Final = RSV1

_CLOSE: Final = FIN | CLOSE_OPCODE
_PING: Final = FIN | PING_OPCODE
_PONG: Final = FIN | PONG_OPCODE

# By the first byte, then by the length.
SHORT_HEADERS: Final = {
    first: [bytes((first, length)) for length in range(IN_2_BYTES)]
    for first in (TEXT, BINARY, TEXT | COMPRESSED, BINARY | COMPRESSED, _CLOSE, _PING, _PONG)
}


def header(first: int, length: int) -> bytes:
    """Return the header of a frame. `first` is its first byte, such as TEXT, and `length` that of the payload."""
    if length < IN_2_BYTES:
        return SHORT_HEADERS[first][length]
    if length < MIN_IN_8_BYTES:
        return bytes((first, IN_2_BYTES)) + length.to_bytes(2, "big")
    return bytes((first, IN_8_BYTES)) + length.to_bytes(8, "big")


def ping_frame(payload: bytes) -> bytes:
    """Return a ping with at most 125 bytes."""
    return header(_PING, len(payload)) + payload


def pong_frame(payload: bytes) -> bytes:
    """Return a pong with at most 125 bytes, those of the ping."""
    return header(_PONG, len(payload)) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame. 1005 stands for one without a code.

    Raises:
        InvalidCloseCode: for a code that may not be sent, see `close_codes.check_close`; for 1005 with a reason.
        InvalidCloseReason: for a reason of more than 123 bytes.
    """
    if code == CloseCode.NO_STATUS and not reason:
        return header(_CLOSE, 0)
    check_close(code, reason)
    payload = code.to_bytes(2, "big") + reason.encode()
    return header(_CLOSE, len(payload)) + payload
