"""The events of a reader for valid frames (RFC 6455 sections 5.1 to 5.6, and 7.1.5 to 7.4)."""

from typing import Final

import pytest

from asgi_ws.wire.events import Close, Event, Ping, Pong, Violation
from asgi_ws.wire.reader import FrameReader

from .streams import BINARY, CLOSE, CONT, MASK, PING, PONG, RSV1, RSV2, TEXT, close, fragments, frame, read, xor

# Around each change of the form of a header, and of how a payload is unmasked.
LENGTHS: Final = (0, 1, 3, 4, 125, 126, 4095, 4096, 65_535, 65_536)
MASKS: Final = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x80\0\0\x01", MASK)


def pattern(size: int) -> bytes:
    """Return bytes whose period is not a multiple of four, so that a shifted mask changes them."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.mark.parametrize("size", LENGTHS)
def test_a_message_of_any_length_and_mask_comes_whole_also_in_two_pieces(size: int) -> None:
    assert read(frame(TEXT, b"a" * size)) == ["a" * size]
    for mask in MASKS:
        assert read(frame(BINARY, pattern(size), mask=mask)) == [pattern(size)]
    data = frame(BINARY, pattern(size)) + frame(PING, b"!")
    for place in {1, 2, 3, 4, 8, 10, 13, 14, 15, 17, len(data) // 2, len(data) - 8, len(data) - 7}:
        assert read(data, cuts=[place]) == [pattern(size), Ping(b"!")], place


def test_the_examples_of_the_rfc_are_read() -> None:
    # Section 5.7; the unmasked ones are what a server sends.
    assert read(bytes.fromhex("8185 37fa213d 7f9f4d5158")) == ["Hello"]
    assert read(bytes.fromhex("8a85 37fa213d 7f9f4d5158")) == [Pong(b"Hello")]
    assert xor(b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("7f9f4d5158")


def test_each_frame_is_unmasked_with_its_own_mask() -> None:
    data = b"".join(frame(BINARY, b"same", mask=bytes((n, n + 1, n + 2, n + 3))) for n in range(200))
    assert read(data) == [b"same"] * 200


def test_text_is_any_unicode_also_with_one_byte_in_each_fragment() -> None:
    for text in ("a", "\0", "\x7f\x80", "\u07ff\u0800", "\ud7ff\ue000", "\uffff", "\U00010000\U0010ffff", "\ufeffx"):
        assert read(frame(TEXT, text.encode())) == [text]
        assert read(b"".join(fragments(TEXT, [bytes((byte,)) for byte in text.encode()]))) == [text]


def test_what_is_text_and_what_is_binary_does_not_mix() -> None:
    data = frame(TEXT, b"1") + frame(BINARY, b"2") + frame(TEXT, b"3")
    data += b"".join(fragments(BINARY, [b"4", b"\xed\xa0"]) + fragments(TEXT, [b"6", b"7"]))
    assert read(data) == ["1", b"2", "3", b"4\xed\xa0", "67"]


def test_fragments_make_one_message() -> None:
    for parts in ([b"", b""], [b"a", b""], [b"", b"a"], [b"ab", b"", b"cd"], [b"a"] * 50):
        whole = b"".join(parts)
        data = b"".join(fragments(TEXT, parts) + fragments(BINARY, parts))
        assert read(data) == [whole.decode(), whole]


def test_control_frames_between_fragments_come_at_once_and_before_the_message() -> None:
    first, second, third = fragments(TEXT, [b"a\xe2", b"\x82", b"\xac"])
    reader = FrameReader()
    for _ in range(2):
        assert reader.feed(first + frame(PING, b"1")) == [Ping(b"1")]
        assert reader.feed(frame(PONG) + second + frame(PONG, b"2")) == [Pong(b""), Pong(b"2")]
        assert reader.feed(frame(PING, b"\xff") + third) == [Ping(b"\xff"), "a\u20ac"]


def test_a_control_frame_holds_up_to_125_bytes_of_anything() -> None:
    for payload in (b"", b"\xc0", pattern(125)):
        assert read(frame(PING, payload) + frame(PONG, payload)) == [Ping(payload), Pong(payload)]


def test_a_close_frame_has_a_code_and_a_reason_or_neither() -> None:
    # RFC 6455 section 7.4.1 and the IANA registry up to 1014; section 7.4.2 for the others.
    for code in (1000, 1003, 1007, 1014, 3000, 4999):
        assert read(close(code)) == [Close(code, "")]
    assert read(close(1001, "auf, \u20ac".encode())) == [Close(1001, "auf, \u20ac")]
    assert read(close(1000, b"r" * 123)) == [Close(1000, "r" * 123)]
    # Section 7.1.5.
    assert read(frame(CLOSE)) == [Close(1005, "")]
    assert read(frame(TEXT, b"a", fin=False) + close(1001)) == [Close(1001, "")]


@pytest.mark.parametrize("end", [close(1000), frame(TEXT, mask=None), frame(TEXT, b"\xff")])
def test_after_the_end_nothing_is_read(end: bytes) -> None:
    reader = FrameReader()
    (event,) = reader.feed(end + frame(TEXT, b"late") + frame(PING))
    assert isinstance(event, Close | Violation)
    assert reader.feed(frame(TEXT, b"later")) == []
    assert reader.feed() == []
    assert not reader.has_more
    assert reader.whole(frame(BINARY, b"x")) is None


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


@pytest.mark.parametrize(
    ("end", "last"),
    [
        (frame(TEXT, bytes(126))[:3], []),
        (close(4000, b"bye"), [Close(4000, "bye")]),
        (frame(TEXT, b"a\xff"), [Violation(1007, "invalid UTF-8")]),
    ],
    ids=["half a header", "close frame", "invalid text"],
)
def test_cuts_change_nothing(end: bytes, last: list[Event]) -> None:
    data = EVERYTHING + end
    for place in range(len(data) + 1):
        assert read(data, cuts=[place]) == EVENTS + last, place
    for size in (1, 2, 5):
        assert read(data, cuts=range(size, len(data), size)) == EVENTS + last, size
        assert read(data, cuts=range(size, len(data), size), most=1) == EVENTS + last, size


def test_an_event_comes_with_its_last_byte() -> None:
    reader = FrameReader()
    found = [(index, event) for index, byte in enumerate(EVERYTHING) for event in reader.feed(bytes((byte,)))]
    assert [event for _, event in found] == EVENTS
    for count, (index, _) in enumerate(found, start=1):
        assert read(EVERYTHING[:index]) == EVENTS[: count - 1]
        assert read(EVERYTHING[: index + 1]) == EVENTS[:count]


# -- a read that is one message


def test_a_read_that_is_one_message_of_less_than_64_kib_is_that_message() -> None:
    messages: list[tuple[bytes, str | bytes]] = [
        *[(frame(BINARY, pattern(size)), pattern(size)) for size in LENGTHS if size < 65_536],
        *[(frame(TEXT, b"a" * size), "a" * size) for size in (0, 125, 126, 65_535)],
        (frame(TEXT, "\u20ac\U0001f600".encode()), "\u20ac\U0001f600"),
    ]
    reader = FrameReader()
    for data, message in messages:
        assert reader.whole(data) == message
        # The reader is empty again.
        assert reader.feed(data) == [message]


def test_any_other_read_is_left_to_feed() -> None:
    short, long = frame(TEXT, b"ab"), frame(BINARY, bytes(126))
    for data in (
        *[short[:size] for size in range(8)],
        *[long[:size] for size in (*range(9), 133)],
        short + b"\x81",
        long + b"\x81",
        frame(TEXT) * 2,
        frame(BINARY, bytes(65_536)),
        frame(BINARY, b"", size=2),
        frame(BINARY, bytes(125), size=2),
        frame(BINARY, bytes(126), size=8),
        frame(BINARY, bytes(120), length=126),
        frame(BINARY, bytes(130), mask=None, length=126),
        frame(TEXT, b"abcdef", mask=None, length=2),
        frame(PING, b"ab"),
        frame(CONT, b"ab"),
        close(1000),
        frame(TEXT, b"ab", fin=False),
        frame(TEXT, b"ab", rsv=RSV1),
        frame(BINARY, b"ab", rsv=RSV2),
        frame(3, b"ab"),
        frame(TEXT, b"a\xff"),
        frame(TEXT, bytes(126) + b"\xe2\x82"),
    ):
        reader = FrameReader()
        assert reader.whole(data) is None
        assert reader.feed(data) == read(data)


@pytest.mark.parametrize("limit", [3, 200])
def test_a_message_longer_than_the_limit_is_left_to_feed(limit: int) -> None:
    reader = FrameReader(max_message_bytes=limit)
    assert reader.whole(frame(BINARY, bytes(limit))) == bytes(limit)
    assert reader.whole(frame(BINARY, bytes(limit + 1))) is None


def test_a_message_is_left_to_feed_while_something_else_is_under_way() -> None:
    for before in (
        frame(TEXT, b"a", fin=False),
        frame(BINARY, bytes(4), length=5),
        frame(BINARY)[:1],
        frame(PING, b"12")[:7],
    ):
        reader = FrameReader()
        reader.feed(before)
        assert reader.whole(frame(BINARY, b"x")) is None


def test_a_message_is_left_to_feed_while_there_is_more() -> None:
    reader = FrameReader()
    assert reader.feed(frame(TEXT, b"1") * 2, 1) == ["1"]
    assert reader.whole(frame(TEXT, b"2")) is None
    assert reader.feed(frame(TEXT, b"2")) == ["1", "2"]
    assert reader.whole(frame(TEXT, b"3")) == "3"
