"""Violations that a reader finds: the code, how early, and the events before. One table for each clause."""

from typing import Final

import pytest

from asgi_ws.wire import violations
from asgi_ws.wire.events import Event, Ping, Violation
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
BROKEN: Final[list[Event]] = [Violation(1002, "")]

# Violations that the first two bytes of a frame show, by clause. GOES_ON is the first frame of an unfinished message.
AT_ONCE: Final[dict[str, list[bytes]]] = {
    "5.1 no mask": [
        *[frame(opcode, mask=None) for opcode in (TEXT, BINARY, CLOSE, PING, PONG)],
        frame(BINARY, bytes(126), mask=None),
        GOES_ON + frame(CONT, mask=None),
    ],
    "5.2 reserved bits": [
        *[frame(TEXT, rsv=rsv) for rsv in (RSV1, RSV2, RSV3)],
        *[GOES_ON + frame(CONT, rsv=rsv) for rsv in (RSV1, RSV2, RSV3)],
        *[frame(PING, rsv=rsv) for rsv in (RSV1, RSV2, RSV3)],
    ],
    "5.2 reserved opcode": [
        *[frame(opcode) for opcode in (3, 7, 11, 15)],
        *[GOES_ON + frame(opcode) for opcode in (3, 7, 11, 15)],
    ],
    "5.4 continuation of nothing": [frame(CONT, b"x"), frame(CONT, b"x", fin=False)],
    "5.4 a message within a message": [
        GOES_ON + frame(opcode, b"x", fin=fin) for opcode in (TEXT, BINARY) for fin in (False, True)
    ],
    "5.4 fragmented control frame": [frame(opcode, fin=False) for opcode in (CLOSE, PING, PONG)],
    "5.5 long control frame": [
        *[frame(opcode, bytes(126)) for opcode in (CLOSE, PING, PONG)],
        frame(PING, bytes(65_536)),
        frame(PING, b"x", size=2),
    ],
}
WHOLE: Final[dict[str, list[bytes]]] = {
    "5.2 length in too many bytes": [
        *[frame(BINARY, bytes(size), size=2) for size in (0, 125)],
        *[frame(BINARY, bytes(size), size=8) for size in (0, 125, 126, 65_535)],
        GOES_ON + frame(CONT, b"x", size=2),
    ],
    "5.2 length with its topmost bit": [frame(BINARY, length=length) for length in (2**63, 2**64 - 1)],
    "5.5.1 close frame of one byte": [frame(CLOSE, b"\x00"), frame(CLOSE, b"\x03")],
    "7.4 close code": [
        close(code, reason)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)
        for reason in (b"", b"why")
    ],
}


@pytest.mark.parametrize("clause", [*AT_ONCE, *WHOLE])
def test_a_violation_is_1002_after_all_that_was_right(clause: str) -> None:
    before = frame(TEXT, b"right") + b"".join(fragments(TEXT, [b"a", b"b"])) + frame(PING, b"!")
    for broken in {**AT_ONCE, **WHOLE}[clause]:
        events = without_reasons(read(before + broken + frame(TEXT, b"late")))
        assert events == ["right", "ab", Ping(b"!"), *BROKEN], broken


@pytest.mark.parametrize("clause", AT_ONCE)
def test_what_the_first_two_bytes_show_is_not_waited_for(clause: str) -> None:
    for broken in AT_ONCE[clause]:
        before = len(GOES_ON) if broken.startswith(GOES_ON) else 0
        assert read(broken[: before + 1]) == []
        assert without_reasons(read(broken[: before + 2])) == BROKEN


@pytest.mark.parametrize("size", [2, 8])
def test_a_length_in_too_many_bytes_is_found_with_its_last_byte(size: int) -> None:
    header = frame(BINARY, b"x", size=size)[: 2 + size]
    assert read(header[:-1]) == []
    assert without_reasons(read(header)) == BROKEN


def test_a_length_with_its_topmost_bit_set_is_none_however_large_messages_may_be() -> None:
    assert without_reasons(FrameReader(max_message_bytes=2**64).feed(frame(BINARY, length=2**63))) == BROKEN
    assert FrameReader(max_message_bytes=2**64).feed(frame(BINARY, length=2**63 - 1)) == []


def test_a_reserved_opcode_is_named_as_one() -> None:
    assert read(frame(3)) == read(frame(11)) == [violations.RESERVED_OPCODE]


def test_no_reason_holds_what_the_peer_sent() -> None:
    for broken in (frame(TEXT, b"hunter2\xff"), close(999, b"hunter2"), frame(PING, b"hunter2", fin=False)):
        (event,) = read(broken)
        assert isinstance(event, Violation)
        assert "hunter2" not in event.reason
        assert 0 < len(event.reason.encode()) <= 123


# RFC 3629: text, and at which byte it cannot become right any more.
NOT_UTF8: Final[list[tuple[bytes, int]]] = [
    (b"\x80", 0),
    (b"\xc1\xbf", 0),
    (b"\xf5\x80\x80\x80", 0),
    (b"a\xfe", 1),
    (b"\xc2\xc2", 1),
    (b"\xe0\x9f\xbf", 1),
    (b"\xe2\x82\x41", 2),
    (b"\xed\xa0\x80", 1),
    (b"\xed\xbf\xbf", 1),
    (b"\xf0\x8f\xbf\xbf", 1),
    (b"\xf0\x90\x80\xc0", 3),
    (b"\xf4\x90\x80\x80", 1),
    (b"ok \xe2\x82\xac \xf0\x9f\x98\x80 \xed\xa0\x80", 13),
]
CUT_SHORT: Final = (b"\xc2", b"\xe2\x82", b"\xed\x9f", b"\xf4\x8f\xbf", b"a\xf0\x9f\x98")
INVALID: Final = [Violation(1007, "invalid UTF-8")]


@pytest.mark.parametrize("text", [text for text, _ in NOT_UTF8] + list(CUT_SHORT))
def test_text_that_is_not_utf_8_is_1007(text: bytes) -> None:
    assert read(frame(TEXT, b"ok") + frame(TEXT, text) + frame(TEXT, b"late")) == ["ok", *INVALID]
    assert read(frame(TEXT, b"x" * 200 + text)) == INVALID
    for place in range(len(text) + 1):
        assert read(b"".join(fragments(TEXT, [b"x" * 200 + text[:place], b"", text[place:]]))) == INVALID


@pytest.mark.parametrize(("text", "at"), NOT_UTF8)
def test_text_is_refused_with_the_first_byte_that_cannot_be_right(text: bytes, at: int) -> None:
    # The frame goes on after the byte that is refused.
    data = frame(TEXT, text + b"x" * 50)
    start = len(data) - len(text) - 50
    for cuts in ((), range(1, len(data))):
        assert read(data[: start + at], cuts=cuts) == []
        assert read(data[: start + at + 1], cuts=cuts) == INVALID
    reader = FrameReader()
    assert reader.feed(frame(TEXT, b"x", fin=False)) == []
    for byte in text[:at]:
        assert reader.feed(frame(CONT, bytes((byte,)), fin=False) + frame(PING)) == [Ping(b"")]
    assert reader.feed(frame(CONT, text[at : at + 1], fin=False)) == INVALID


def test_text_that_may_still_become_right_is_waited_for() -> None:
    for text in CUT_SHORT:
        assert read(frame(TEXT, text + b"\x80\x80\x80", fin=False)[:-3]) == []
        assert read(frame(TEXT, text, fin=False)) == []


def test_compressed_text_is_refused_as_soon_as_it_is_inflated() -> None:
    # Stored blocks (RFC 1951 section 3.2.4), which come out as they go in.
    stored = b"\x00\x03\x00\xfc\xffab\xff"
    reader = FrameReader(inflater=PlainInflater())
    assert reader.feed(frame(TEXT, stored, fin=False, rsv=RSV1)) == INVALID


def test_a_close_reason_that_is_not_utf_8_is_1007() -> None:
    for reason in (b"\xff", b"\xed\xa0\x80", b"ok\xe2\x82"):
        assert read(frame(TEXT, b"ok") + close(1000, reason)) == ["ok", *INVALID]
