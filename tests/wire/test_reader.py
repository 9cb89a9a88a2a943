"""What a reader makes of right frames: RFC 6455 sections 5.1-5.6 and 7.1.5-7.4, a table for each clause."""

import itertools
from typing import Final

import pytest

from asgi_ws.wire.events import Close, Event, Ping, Pong, Violation
from asgi_ws.wire.reader import FrameReader

from .streams import BINARY, CLOSE, CONT, MASK, PING, PONG, TEXT, close, fragments, frame, read, xor

# Around each change of the form of a header, and of how a payload is unmasked.
LENGTHS: Final = (0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 4095, 4096, 4097, 65_534, 65_535, 65_536, 65_537)
MASKS: Final = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x01", b"\x80\0\0\0", MASK)


def pattern(size: int) -> bytes:
    """Bytes whose period is no multiple of four, so that no shifted mask gives them too."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.mark.parametrize("size", LENGTHS)
def test_a_message_of_any_length_comes_whole(size: int) -> None:
    text = "a" * size
    assert read(frame(BINARY, pattern(size))) == [pattern(size)]
    assert read(frame(TEXT, text.encode())) == [text]


@pytest.mark.parametrize("size", LENGTHS)
def test_a_message_of_any_length_comes_whole_in_two_pieces(size: int) -> None:
    data = frame(BINARY, pattern(size)) + frame(PING, b"!")
    for place in {1, 2, 3, 4, 7, 8, 10, 13, 14, 15, 16, 17, 18, len(data) // 2, len(data) - 8, len(data) - 7}:
        assert read(data, cuts=[place]) == [pattern(size), Ping(b"!")]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 5000])
def test_any_mask_will_do(mask: bytes, size: int) -> None:
    assert read(frame(BINARY, pattern(size), mask=mask)) == [pattern(size)]
    assert read(frame(PING, pattern(min(size, 125)), mask=mask)) == [Ping(pattern(min(size, 125)))]


def test_the_examples_of_the_rfc_are_read() -> None:
    # Section 5.7; the unmasked ones are what a server sends.
    assert read(bytes.fromhex("8185 37fa213d 7f9f4d5158")) == ["Hello"]
    assert read(bytes.fromhex("8a85 37fa213d 7f9f4d5158")) == [Pong(b"Hello")]


def test_each_frame_is_unmasked_with_its_own_mask() -> None:
    data = b"".join(frame(BINARY, b"same", mask=bytes((n, n + 1, n + 2, n + 3))) for n in range(200))
    assert read(data) == [b"same"] * 200


@pytest.mark.parametrize(
    "text", ["", "a", "\0", "\x7f\x80", "\u07ff\u0800", "\ud7ff\ue000", "\uffff", "\U00010000", "\U0010ffff", "\ufeffx"]
)
def test_text_is_any_unicode(text: str) -> None:
    assert read(frame(TEXT, text.encode())) == [text]
    # One byte in each fragment.
    parts = [bytes((byte,)) for byte in text.encode()] or [b""]
    assert read(b"".join(fragments(TEXT, parts))) == [text]


def test_what_is_text_and_what_is_binary_does_not_mix() -> None:
    data = frame(TEXT, b"1") + frame(BINARY, b"2") + frame(TEXT, b"3")
    data += b"".join(fragments(BINARY, [b"4", b"5"]) + fragments(TEXT, [b"6", b"7"]))
    assert read(data) == ["1", b"2", "3", b"45", "67"]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize(
    "parts", [[b"", b""], [b"a", b""], [b"", b"a"], [b"", b"", b""], [b"ab", b"", b"cd"], [b"a"] * 50]
)
def test_fragments_make_one_message(opcode: int, parts: list[bytes]) -> None:
    whole = b"".join(parts)
    assert read(b"".join(fragments(opcode, parts))) == [whole.decode() if opcode == TEXT else whole]


def test_binary_fragments_need_not_be_utf_8() -> None:
    assert read(b"".join(fragments(BINARY, [b"\xff", b"\xc0\x80", b"\xed\xa0"]))) == [b"\xff\xc0\x80\xed\xa0"]


def test_control_frames_between_fragments_come_at_once_and_before_the_message() -> None:
    first, second, third = fragments(TEXT, [b"a\xe2", b"\x82", b"\xac"])
    reader = FrameReader()
    assert reader.feed(first + frame(PING, b"1")) == [Ping(b"1")]
    assert reader.feed(frame(PONG) + second + frame(PONG, b"2")) == [Pong(b""), Pong(b"2")]
    assert reader.feed(frame(PING, b"\xff") + third) == [Ping(b"\xff"), "a\u20ac"]


def test_a_message_after_a_fragmented_one_starts_anew() -> None:
    data = b"".join(fragments(TEXT, ["\u20ac".encode()[:1], "\u20ac".encode()[1:]]))
    assert read(data * 3 + frame(TEXT, b"x") + data) == ["\u20ac", "\u20ac", "\u20ac", "x", "\u20ac"]


@pytest.mark.parametrize("size", [0, 1, 4, 124, 125])
def test_a_control_frame_holds_up_to_125_bytes_of_anything(size: int) -> None:
    payload = bytes(reversed(pattern(size)))
    assert read(frame(PING, payload) + frame(PONG, payload)) == [Ping(payload), Pong(payload)]


# RFC 6455 section 7.4.1 and the IANA registry up to 1014; section 7.4.2 for the others.
SENDABLE: Final = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)


@pytest.mark.parametrize("code", SENDABLE)
def test_a_close_frame_has_a_code_and_a_reason(code: int) -> None:
    assert read(close(code)) == [Close(code, "")]
    assert read(close(code, "auf, \u20ac".encode())) == [Close(code, "auf, \u20ac")]


def test_a_close_frame_without_a_code_is_1005() -> None:
    # Section 7.1.5.
    assert read(frame(CLOSE)) == [Close(1005, "")]


def test_the_longest_reason_has_123_bytes() -> None:
    assert read(close(1000, b"r" * 123)) == [Close(1000, "r" * 123)]


def test_a_close_frame_may_stand_within_a_message() -> None:
    assert read(frame(TEXT, b"a", fin=False) + close(1001)) == [Close(1001, "")]


@pytest.mark.parametrize("end", [close(1000), frame(CLOSE), frame(TEXT, mask=None), frame(3), frame(TEXT, b"\xff")])
def test_after_the_end_nothing_is_read(end: bytes) -> None:
    reader = FrameReader()
    (event,) = reader.feed(end + frame(TEXT, b"late") + frame(PING))
    assert isinstance(event, Close | Violation)
    assert reader.feed(frame(TEXT, b"later")) == []
    assert reader.feed() == []
    assert not reader.has_more


EVERYTHING: Final = (
    frame(TEXT, "\u20ac1".encode())
    + frame(PING, b"p")
    + b"".join(fragments(TEXT, [b"\xe2", b"\x82\xac", b""]))
    + frame(BINARY, fin=False)
    + frame(PONG, b"q")
    + frame(CONT, pattern(130))
    + frame(BINARY, pattern(300))
)
EVENTS: Final[list[Event]] = ["\u20ac1", Ping(b"p"), "\u20ac", Pong(b"q"), pattern(130), pattern(300)]
ENDS: Final[dict[str, tuple[bytes, list[Event]]]] = {
    "open": (b"", []),
    "half a header": (frame(TEXT, bytes(126))[:3], []),
    "close": (close(4000, b"bye"), [Close(4000, "bye")]),
    "failure": (frame(TEXT, b"a\xff"), [Violation(1007, "invalid UTF-8")]),
    "violation": (frame(PING, fin=False), [Violation(1002, "fragmented control frame")]),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_cut_at_any_byte_changes_nothing(end: str) -> None:
    data, last = EVERYTHING + ENDS[end][0], ENDS[end][1]
    for place in range(len(data) + 1):
        assert read(data, cuts=[place]) == EVENTS + last


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
def test_pieces_of_any_size_change_nothing(end: str, size: int) -> None:
    data, last = EVERYTHING + ENDS[end][0], ENDS[end][1]
    assert read(data, cuts=range(size, len(data), size)) == EVENTS + last
    assert read(data, cuts=range(size, len(data), size), most=1) == EVENTS + last


def test_two_cuts_at_any_bytes_change_nothing() -> None:
    data = b"".join(fragments(TEXT, [b"\xf0\x9f", b"\x98\x80"])) + frame(BINARY, bytes(126), mask=bytes(4))[:20]
    for first, second in itertools.combinations(range(len(data) + 1), 2):
        assert read(data, cuts=[first, second]) == ["\U0001f600"]


def test_an_event_comes_with_its_last_byte() -> None:
    reader = FrameReader()
    found = [(index, event) for index, byte in enumerate(EVERYTHING) for event in reader.feed(bytes((byte,)))]
    assert [event for _, event in found] == EVENTS
    for count, (index, _) in enumerate(found, start=1):
        # The byte completes the event, and before it there are only those before.
        assert read(EVERYTHING[:index]) == EVENTS[: count - 1]
        assert read(EVERYTHING[: index + 1]) == EVENTS[:count]


def test_the_reference_unmasks_as_the_rfc_says() -> None:
    assert xor(b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("7f9f4d5158")


# -- a read that is one message

BELOW_64_KIB: Final[list[tuple[bytes, str | bytes]]] = [
    *[(frame(BINARY, pattern(size)), pattern(size)) for size in LENGTHS if size < 65_536],
    *[(frame(TEXT, b"a" * size), "a" * size) for size in (0, 1, 125, 126, 65_535)],
    (frame(TEXT, "\u20ac\U0001f600".encode()), "\u20ac\U0001f600"),
]


@pytest.mark.parametrize(("data", "message"), BELOW_64_KIB)
def test_a_read_that_is_one_message_of_less_than_64_kib_is_that_message(data: bytes, message: str | bytes) -> None:
    reader = FrameReader()
    assert reader.whole(data) == message
    # It leaves nothing behind.
    assert reader.whole(data) == message
    assert reader.feed(data) == [message]
    assert reader.whole(data) == message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        *[frame(TEXT, b"ab")[:size] for size in range(8)],
        frame(TEXT, b"ab") + b"\x81",
        frame(TEXT) * 2,
        frame(BINARY, bytes(65_536)),
        *[frame(BINARY, bytes(126))[:size] for size in (*range(10), 133)],
        frame(BINARY, bytes(126)) + b"\x81",
        *[frame(BINARY, bytes(size), size=2) for size in (0, 1, 125)],
        frame(BINARY, bytes(126), size=8),
        frame(BINARY, bytes(120), length=126),
        frame(BINARY, bytes(126), mask=None),
        frame(BINARY, bytes(130), mask=None, length=126),
        frame(TEXT, bytes(126) + b"\xff"),
        frame(PING, bytes(126)),
        frame(PING, b"ab"),
        frame(PONG),
        frame(CONT, b"ab"),
        close(1000),
        frame(TEXT, b"ab", fin=False),
        frame(TEXT, b"ab", rsv=0x40),
        frame(BINARY, b"ab", rsv=0x20),
        frame(3, b"ab"),
        frame(TEXT, b"ab", mask=None),
        frame(TEXT, b"abcdef", mask=None, length=2),
        frame(TEXT, b"a\xff"),
        frame(TEXT, b"\xe2\x82"),
    ],
)
def test_any_other_read_is_left_to_feed(data: bytes) -> None:
    reader = FrameReader()
    assert reader.whole(data) is None
    assert reader.feed(data) == read(data)


def test_a_message_longer_than_the_limit_is_left_to_feed() -> None:
    reader = FrameReader(max_message_bytes=3)
    assert reader.whole(frame(BINARY, b"123")) == b"123"
    assert reader.whole(frame(BINARY, b"1234")) is None
    reader = FrameReader(max_message_bytes=200)
    assert reader.whole(frame(BINARY, bytes(200))) == bytes(200)
    assert reader.whole(frame(BINARY, bytes(201))) is None


@pytest.mark.parametrize(
    "before",
    [
        frame(TEXT, b"a", fin=False),
        frame(BINARY, bytes(4), length=5),
        frame(BINARY, bytes(300))[:100],
        frame(BINARY)[:1],
        frame(PING, b"12")[:7],
        frame(CLOSE),
        frame(3),
    ],
)
def test_a_message_is_left_to_feed_while_something_else_is_under_way_or_at_an_end(before: bytes) -> None:
    reader = FrameReader()
    reader.feed(before)
    assert reader.whole(frame(BINARY, b"x")) is None


def test_a_message_is_left_to_feed_while_there_is_more() -> None:
    reader = FrameReader()
    assert reader.feed(frame(TEXT, b"1") * 2, 1) == ["1"]
    assert reader.whole(frame(TEXT, b"2")) is None
    assert reader.feed(frame(TEXT, b"2")) == ["1", "2"]
    assert reader.whole(frame(TEXT, b"3")) == "3"
