"""Frames as a server sends them (RFC 6455 sections 5.1, 5.2, 5.5 and 7.4), beside those of the websockets library."""

import pytest
from websockets.frames import Close, Frame, Opcode

from asgi_ws.errors import InvalidCloseCode, InvalidCloseReason
from asgi_ws.wire.frames import BINARY, COMPRESSED, TEXT, close_frame, header, ping_frame, pong_frame

LENGTHS = (0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 4096, 65_534, 65_535, 65_536, 65_537, 1_000_000)


def of_websockets(opcode: Opcode, payload: bytes, *, rsv1: bool = False) -> bytes:
    sent = Frame(opcode, payload).serialize(mask=False)
    # Its own check lets no reserved bit through.
    return bytes((sent[0] | rsv1 << 6,)) + sent[1:]


@pytest.mark.parametrize("rsv1", [False, True])
@pytest.mark.parametrize(("first", "opcode"), [(TEXT, Opcode.TEXT), (BINARY, Opcode.BINARY)])
def test_a_message_of_any_length_is_what_websockets_sends(first: int, opcode: Opcode, *, rsv1: bool) -> None:
    first |= COMPRESSED if rsv1 else 0
    for length in (*LENGTHS, *range(300)):
        assert header(first, length) + bytes(length) == of_websockets(opcode, bytes(length), rsv1=rsv1)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, "8100"),
        (125, "817d"),
        (126, "817e007e"),
        (65_535, "817effff"),
        (65_536, "817f0000000000010000"),
        (2**63 - 1, "817f7fffffffffffffff"),
    ],
)
def test_a_length_is_in_the_fewest_bytes(length: int, expected: str) -> None:
    assert header(TEXT, length) == bytes.fromhex(expected)


@pytest.mark.parametrize("length", range(126))
def test_pings_and_pongs_are_what_websockets_sends(length: int) -> None:
    payload = bytes(range(length))
    assert ping_frame(payload) == of_websockets(Opcode.PING, payload)
    assert pong_frame(payload) == of_websockets(Opcode.PONG, payload)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
@pytest.mark.parametrize("reason", ["", "bye", "\u20ac" * 41, "r" * 123])
def test_a_close_frame_is_what_websockets_sends(code: int, reason: str) -> None:
    assert close_frame(code, reason) == of_websockets(Opcode.CLOSE, Close(code, reason).serialize())
    assert close_frame(code) == close_frame(code, "")


def test_1005_is_a_close_frame_without_a_code() -> None:
    assert close_frame(1005) == of_websockets(Opcode.CLOSE, b"") == b"\x88\x00"


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65_535, 65_536, 10**9])
def test_a_code_that_may_not_be_sent_makes_no_frame(code: int) -> None:
    with pytest.raises(InvalidCloseCode):
        close_frame(code, "why")


@pytest.mark.parametrize("reason", ["r" * 124, "\u20ac" * 42, "\ud800"])
def test_a_reason_that_does_not_fit_makes_no_frame(reason: str) -> None:
    with pytest.raises(InvalidCloseReason):
        close_frame(1000, reason)
