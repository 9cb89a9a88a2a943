"""Frames as a server sends them (RFC 6455 sections 5.1, 5.2, 5.5 and 7.4), beside those of the websockets library."""

import pytest
from websockets.frames import Close, Frame, Opcode

from asgi_ws.errors import InvalidCloseCode, InvalidCloseReason
from asgi_ws.wire.frames import BINARY, COMPRESSED, TEXT, close_frame, header, ping_frame, pong_frame


def of_websockets(opcode: Opcode, payload: bytes, *, rsv1: bool = False) -> bytes:
    sent = Frame(opcode, payload).serialize(mask=False)
    # Its own check lets no reserved bit through.
    return bytes((sent[0] | rsv1 << 6,)) + sent[1:]


def test_a_message_of_any_length_is_what_websockets_sends() -> None:
    for first, opcode in ((TEXT, Opcode.TEXT), (BINARY, Opcode.BINARY)):
        for rsv1 in (False, True):
            for length in (0, 1, 125, 126, 65_535, 65_536):
                sent = header(first | COMPRESSED * rsv1, length) + bytes(length)
                assert sent == of_websockets(opcode, bytes(length), rsv1=rsv1)
    assert header(TEXT, 2**63 - 1) == bytes.fromhex("817f7fffffffffffffff")


def test_pings_and_pongs_are_what_websockets_sends() -> None:
    for payload in (b"", b"x", bytes(125)):
        assert ping_frame(payload) == of_websockets(Opcode.PING, payload)
        assert pong_frame(payload) == of_websockets(Opcode.PONG, payload)


def test_a_close_frame_is_what_websockets_sends() -> None:
    for code in (1000, 1003, 1007, 1014, 3000, 4999):
        for reason in ("", "bye", "\u20ac" * 41):
            assert close_frame(code, reason) == of_websockets(Opcode.CLOSE, Close(code, reason).serialize())
    assert close_frame(1005) == of_websockets(Opcode.CLOSE, b"") == b"\x88\x00"


def test_a_code_that_may_not_be_sent_makes_no_frame() -> None:
    for code in (-1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_536):
        with pytest.raises(InvalidCloseCode):
            close_frame(code, "why")


def test_a_reason_that_does_not_fit_makes_no_frame() -> None:
    for reason in ("r" * 124, "\u20ac" * 42, "\ud800"):
        with pytest.raises(InvalidCloseReason):
            close_frame(1000, reason)
