"""Streams that Hypothesis builds and cuts, read by us and by the sans-IO server of the websockets library.

The fuzzer compares streams of any frames; here are valid ones, and the differences.

Where we differ, and why:

- Text that is not UTF-8 (RFC 6455 section 8.1) or a length not in the fewest bytes (section 5.2) ends a connection
  here. websockets leaves the text to the layer above, and accepts the lengths.
- A close frame within a message that goes on is a close frame here: section 5.4 allows control frames there, and
  section 5.5.1 lets the peer end with one at any time. websockets answers 1002.
- A fault of a frame is reported here as soon as it can be seen, in the first two bytes or in the middle of a text
  (section 8.1). websockets waits for the whole frame, except for opcodes and masks.
- A control frame that claims more than 125 bytes is 1002 here as soon as its first two bytes are there, since that is
  its fault (section 5.5). websockets checks its limit first and answers 1009. It also does so for a length with its
  topmost bit set, which is not a valid length (section 5.2).
- The limit of bytes is one for messages. That of websockets holds for the payload of a control frame too.
- Compressed data that cannot be inflated is 1007 here (RFC 7692 section 7.2.2 has no code for it; section 7.4.1 of RFC
  6455 has "data within a message that was not consistent with the type of the message"). websockets answers 1002.
- A limit on the number of fragments exists here alone, and has its tests in `test_reader_limits`.
"""

import pytest
from hypothesis import given, settings, strategies as st

from asgi_ws.sizes import MIB
from asgi_ws.wire.events import Close, Event, Ping, Violation
from asgi_ws.wire.reader import FrameReader

from .oracle import read_by_websockets
from .streams import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    RSV1,
    RSV2,
    TEXT,
    PlainInflater,
    close,
    frame,
    read,
    streams,
    without_reasons,
)

CUTS = st.lists(st.integers(0, 300), max_size=8)
MOST = st.none() | st.integers(1, 3)


@given(st.data(), CUTS, MOST)
@settings(max_examples=150)
def test_a_right_stream_gives_what_was_sent_and_what_websockets_reads(
    data: st.DataObject, cuts: list[int], most: int | None
) -> None:
    stream = data.draw(streams())
    assert read(stream.data, cuts=cuts, most=most) == list(stream.events)
    assert read_by_websockets(stream.data) == list(stream.events)


@given(st.data(), CUTS, MOST)
@settings(max_examples=100)
def test_a_compressed_stream_gives_what_was_sent_and_what_websockets_reads(
    data: st.DataObject, cuts: list[int], most: int | None
) -> None:
    stream = data.draw(streams(compressed=True))
    reader = FrameReader(inflater=PlainInflater(), max_work=data.draw(st.sampled_from((1, 300, 2**17))))
    assert read(stream.data, cuts=cuts, most=most, reader=reader) == list(stream.events)
    assert read_by_websockets(stream.data, compressed=True) == list(stream.events)


UNLIKE: dict[str, tuple[bytes, Event, Event | None]] = {
    "close within a message": (
        frame(BINARY, b"x", fin=False) + close(1000),
        Close(1000, ""),
        Violation(1002, ""),
    ),
    "a ping that will be too long": (frame(PING, length=126), Violation(1002, ""), None),
    "a ping longer than the limit": (frame(PING, length=2**62), Violation(1002, ""), Violation(1009, "")),
    "a close that is longer": (frame(CLOSE, length=2**63), Violation(1002, ""), Violation(1009, "")),
    "a length with its top bit": (frame(BINARY, length=2**63), Violation(1002, ""), Violation(1009, "")),
    "a reserved opcode, at once by both": (frame(11)[:2], Violation(1002, ""), Violation(1002, "")),
    "a reserved bit before the frame is whole": (frame(PING, rsv=RSV2)[:2], Violation(1002, ""), None),
    "a continuation of nothing before it is whole": (frame(CONT)[:2], Violation(1002, ""), None),
    "invalid text before the frame is whole": (frame(TEXT, b"\xff\xff")[:7], Violation(1007, ""), None),
}


@pytest.mark.parametrize(("stream", "ours", "theirs"), UNLIKE.values(), ids=UNLIKE)
def test_where_we_differ_from_websockets(stream: bytes, ours: Event, theirs: Event | None) -> None:
    assert without_reasons(read(stream)) == [ours]
    assert read_by_websockets(stream, max_size=MIB) == ([] if theirs is None else [theirs])


def test_data_that_cannot_be_inflated_is_1007_and_not_1002() -> None:
    stream = frame(BINARY, b"\xff\xff", rsv=RSV1)
    assert without_reasons(read(stream, reader=FrameReader(inflater=PlainInflater()))) == [Violation(1007, "")]
    assert read_by_websockets(stream, compressed=True) == [Violation(1002, "")]


def test_the_limit_of_a_message_is_none_for_control_frames() -> None:
    stream = frame(PING, b"12345")
    assert read(stream, reader=FrameReader(max_message_bytes=4)) == [Ping(b"12345")]
    assert read_by_websockets(stream, max_size=4) == [Violation(1009, "")]
