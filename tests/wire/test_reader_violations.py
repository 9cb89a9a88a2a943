"""What a reader refuses, with which code, how early, and what it still gives: a table for each clause."""

from typing import Final

import pytest

from asgi_ws.wire.events import Ping, Violation
from asgi_ws.wire.reader import FrameReader

from .streams import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    PlainInflater,
    close,
    fragments,
    frame,
    read,
    without_reasons,
)

GOES_ON: Final = frame(BINARY, b"x", fin=False)

# Clause, and what breaks it. Where a message goes on the first frame is GOES_ON.
VIOLATIONS: Final[list[tuple[str, bytes]]] = [
    *[(f"5.1 no mask, opcode {opcode}", frame(opcode, mask=None)) for opcode in (TEXT, BINARY, CLOSE, PING, PONG)],
    ("5.1 no mask, a longer frame", frame(BINARY, bytes(126), mask=None)),
    ("5.1 no mask on a continuation", GOES_ON + frame(CONT, mask=None)),
    *[(f"5.2 reserved bits {rsv >> 4:03b}", frame(TEXT, rsv=rsv)) for rsv in range(0x10, 0x80, 0x10)],
    *[(f"5.2 reserved bit {rsv:#x} of a continuation", GOES_ON + frame(CONT, rsv=rsv)) for rsv in (RSV1, RSV2, RSV3)],
    *[(f"5.2 reserved bit {rsv:#x} of a ping", frame(PING, rsv=rsv)) for rsv in (RSV1, RSV2, RSV3)],
    *[(f"5.2 reserved opcode {opcode}", frame(opcode)) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
    *[(f"5.2 reserved opcode {opcode} within a message", GOES_ON + frame(opcode)) for opcode in (3, 7, 11, 15)],
    *[(f"5.2 {size} in two bytes", frame(BINARY, bytes(size), size=2)) for size in (0, 1, 124, 125)],
    *[(f"5.2 {size} in eight bytes", frame(BINARY, bytes(size), size=8)) for size in (0, 125, 126, 65_535)],
    *[(f"5.2 length {length:#x}", frame(BINARY, length=length)) for length in (2**63, 2**63 + 5, 2**64 - 1)],
    ("5.2 length of a continuation", GOES_ON + frame(CONT, b"x", size=2)),
    *[(f"5.4 continuation of nothing, final: {fin}", frame(CONT, b"x", fin=fin)) for fin in (False, True)],
    ("5.4 continuation after a whole message", frame(TEXT) + frame(CONT)),
    ("5.4 continuation after a message in fragments", b"".join(fragments(TEXT, [b"a", b"b"])) + frame(CONT)),
    *[
        (f"5.4 opcode {opcode} within a message, final: {fin}", GOES_ON + frame(opcode, b"x", fin=fin))
        for opcode in (TEXT, BINARY)
        for fin in (False, True)
    ],
    *[(f"5.4 fragmented control frame {opcode}", frame(opcode, fin=False)) for opcode in (CLOSE, PING, PONG)],
    *[(f"5.5 control frame {opcode} of 126 bytes", frame(opcode, bytes(126))) for opcode in (CLOSE, PING, PONG)],
    *[(f"5.5 control frame {opcode} of 65,536 bytes", frame(opcode, bytes(65_536))) for opcode in (CLOSE, PING, PONG)],
    ("5.5 control frame with a long form of a short length", frame(PING, b"x", size=2)),
    *[(f"5.5.1 close frame of the byte {byte}", frame(CLOSE, bytes((byte,)))) for byte in (0, 3, 255)],
    *[
        (f"7.4 code {code}", close(code, reason))
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
        for reason in (b"", b"why")
    ],
]


@pytest.mark.parametrize("broken", [pytest.param(broken, id=clause) for clause, broken in VIOLATIONS])
def test_a_violation_is_1002_after_all_that_was_right(broken: bytes) -> None:
    before = frame(TEXT, b"right") + frame(PING, b"!")
    expected = ["right", Ping(b"!")]
    events = without_reasons(read(before + broken + frame(TEXT, b"late")))
    assert events[:2] == expected
    assert events[-1] == Violation(1002, "")
    # Those with a message of their own before what is broken give that too, and nothing else.
    assert len(events) - 3 == broken.startswith((frame(TEXT), fragments(TEXT, [b"a", b"b"])[0]))


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(broken, id=clause)
        for clause, broken in VIOLATIONS
        if clause.startswith(("5.1 no mask, ", "5.2 res"))
    ],
)
def test_what_the_first_two_bytes_show_is_not_waited_for(broken: bytes) -> None:
    before = len(GOES_ON) if broken.startswith(GOES_ON) else 0
    assert read(broken[: before + 1]) == []
    assert without_reasons(read(broken[: before + 2])) == [Violation(1002, "")]


@pytest.mark.parametrize("size", [2, 8])
def test_a_length_in_too_many_bytes_is_found_with_its_last_byte(size: int) -> None:
    header = frame(BINARY, b"x", size=size)[: 2 + size]
    assert read(header[:-1]) == []
    assert without_reasons(read(header)) == [Violation(1002, "")]


def test_a_length_with_its_topmost_bit_set_is_none_however_large_messages_may_be() -> None:
    reader = FrameReader(max_message_bytes=2**64)
    assert without_reasons(reader.feed(frame(BINARY, length=2**63))) == [Violation(1002, "")]
    reader = FrameReader(max_message_bytes=2**64)
    assert reader.feed(frame(BINARY, length=2**63 - 1)) == []


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_a_control_frame_that_will_be_too_long_is_not_waited_for(opcode: int) -> None:
    for size in (126, 65_536):
        assert without_reasons(read(frame(opcode, length=size)[:2])) == [Violation(1002, "")]


def test_no_reason_holds_what_the_peer_sent() -> None:
    secret = b"hunter2"
    for broken in (
        frame(TEXT, secret + b"\xff"),
        close(999, secret),
        frame(11, secret),
        frame(PING, secret, fin=False),
    ):
        (event,) = read(broken)
        assert isinstance(event, Violation)
        assert "hunter2" not in event.reason
        assert 0 < len(event.reason.encode()) <= 123


# RFC 3629: text, and at which byte it cannot become right any more.
NOT_UTF8: Final[list[tuple[bytes, int]]] = [
    (b"\x80", 0),
    (b"\xbf", 0),
    (b"\xc0\x80", 0),
    (b"\xc1\xbf", 0),
    (b"\xf5\x80\x80\x80", 0),
    (b"\xff", 0),
    (b"a\xfe", 1),
    (b"\xc2\x41", 1),
    (b"\xc2\xc2", 1),
    (b"\xe0\x9f\xbf", 1),
    (b"\xe1\x41", 1),
    (b"\xe2\x82\x41", 2),
    (b"\xe2\x82\xe2", 2),
    (b"\xed\xa0\x80", 1),
    (b"\xed\xaf\xbf", 1),
    (b"\xed\xb0\x80", 1),
    (b"\xed\xbf\xbf", 1),
    (b"\xf0\x8f\xbf\xbf", 1),
    (b"\xf0\x90\x41", 2),
    (b"\xf0\x90\x80\xc0", 3),
    (b"\xf4\x90\x80\x80", 1),
    (b"ok \xe2\x82\xac \xf0\x9f\x98\x80 \xed\xa0\x80", 13),
]
CUT_SHORT: Final = (
    b"\xc2",
    b"\xe2",
    b"\xe2\x82",
    b"\xed",
    b"\xed\x9f",
    b"\xf0",
    b"\xf0\x9f",
    b"\xf4\x8f\xbf",
    b"a\xf0\x9f\x98",
)
TEXT_FAILED: Final = [Violation(1007, "invalid UTF-8")]


@pytest.mark.parametrize("text", [text for text, _ in NOT_UTF8] + list(CUT_SHORT))
def test_text_that_is_no_utf_8_is_1007(text: bytes) -> None:
    assert read(frame(TEXT, b"ok") + frame(TEXT, text) + frame(TEXT, b"late")) == ["ok", *TEXT_FAILED]
    long = b"x" * 200 + text
    assert read(frame(TEXT, long)) == TEXT_FAILED
    for place in range(len(text) + 1):
        assert read(b"".join(fragments(TEXT, [text[:place], text[place:]]))) == TEXT_FAILED
        assert read(b"".join(fragments(TEXT, [b"x" * 200 + text[:place], b"", text[place:]]))) == TEXT_FAILED


@pytest.mark.parametrize(("text", "at"), NOT_UTF8)
def test_text_is_refused_with_the_first_byte_that_cannot_be_right_within_a_frame(text: bytes, at: int) -> None:
    # The frame is longer than what comes of it.
    data = frame(TEXT, text + b"x" * 50)
    start = len(data) - len(text) - 50
    assert read(data[: start + at]) == []
    assert read(data[: start + at + 1]) == TEXT_FAILED
    reader = FrameReader()
    for byte in data[: start + at]:
        assert reader.feed(bytes((byte,))) == []
    assert reader.feed(data[start + at : start + at + 1]) == TEXT_FAILED


@pytest.mark.parametrize(("text", "at"), NOT_UTF8)
def test_text_is_refused_with_the_first_byte_that_cannot_be_right_across_fragments(text: bytes, at: int) -> None:
    reader = FrameReader()
    assert reader.feed(frame(TEXT, b"x", fin=False)) == []
    for byte in text[:at]:
        assert reader.feed(frame(CONT, bytes((byte,)), fin=False)) == []
        assert reader.feed(frame(PING)) == [Ping(b"")]
    assert reader.feed(frame(CONT, text[at : at + 1], fin=False)) == TEXT_FAILED


@pytest.mark.parametrize("text", CUT_SHORT)
def test_text_that_may_still_become_right_is_waited_for(text: bytes) -> None:
    data = frame(TEXT, text + b"\x80\x80\x80", fin=False)
    assert read(data[: len(data) - 3]) == []
    assert read(frame(TEXT, text, fin=False)) == []


def test_compressed_text_is_refused_as_soon_as_it_is_inflated() -> None:
    # Stored blocks (RFC 1951 section 3.2.4), which come out as they go in.
    stored = b"\x00\x03\x00\xfc\xffab\xff"
    reader = FrameReader(inflater=PlainInflater())
    assert reader.feed(frame(TEXT, stored, fin=False, rsv=RSV1)) == TEXT_FAILED


@pytest.mark.parametrize("reason", [b"\xff", b"\xed\xa0\x80", b"ok\xe2\x82"])
def test_a_close_reason_that_is_no_utf_8_is_1007(reason: bytes) -> None:
    assert read(frame(TEXT, b"ok") + close(1000, reason)) == ["ok", *TEXT_FAILED]


@pytest.mark.parametrize("payload", [b"\xff", b"\xc0\x80"])
def test_other_control_frames_need_not_be_utf_8(payload: bytes) -> None:
    assert read(frame(PING, payload)) == [Ping(payload)]
