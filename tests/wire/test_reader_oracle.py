"""Streams that Hypothesis builds and cuts, read by us and by the sans-IO server of the websockets library.

Where we differ, and why:

- Text that is no UTF-8 (RFC 6455 section 8.1) and lengths not in the fewest bytes (section 5.2) end a connection here.
  websockets leaves the text to its layer above, and takes the lengths.
- A close frame within a message that goes on is a close frame here: section 5.4 lets control frames stand there, and
  section 5.5.1 lets the peer end with one at any time. websockets answers 1002.
- What is wrong with a frame is said as soon as it can be seen here, in its first two bytes or in the middle of a text
  (section 8.1). websockets waits for the whole frame, but for opcodes and masks.
- A control frame that claims more than 125 bytes is 1002 here as soon as its first two bytes are there, since that is
  what is wrong with it (section 5.5). websockets looks at its limit first and answers 1009. So it does for a
  length with its topmost bit set, which is no length (section 5.2).
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

from .oracle import breaks_section_5, read_by_websockets, unlike_websockets
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

# Of anything that a frame can be; the sizes are right, so that what follows is a frame again.
ANY_FRAMES = st.builds(
    frame,
    st.sampled_from((0, 1, 2, 8, 9, 10, 0, 1, 2, 3, 11)),
    st.binary(max_size=10) | st.sampled_from((b"\x03\xe8", b"\x03", bytes(126), b"\xe2\x82", b"\xac")),
    fin=st.booleans(),
    rsv=st.sampled_from((0,) * 9 + (16, 32, 64)),
    mask=st.sampled_from((bytes(4), b"abcd", b"abcd", None)),
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


@given(st.data(), CUTS, MOST)
@settings(max_examples=200)
def test_frames_in_any_order_mean_the_same_to_us_and_to_websockets(
    data: st.DataObject, cuts: list[int], most: int | None
) -> None:
    stream = b"".join(data.draw(st.lists(ANY_FRAMES, max_size=6))) + data.draw(st.binary(max_size=20))
    ours = read(stream, cuts=cuts, most=most)
    assert unlike_websockets(stream, ours) is None
    if breaks_section_5(stream, compressed=False):
        assert isinstance(ours[-1], Violation)


@pytest.mark.parametrize(
    ("stream", "ours", "theirs"),
    [
        pytest.param(
            frame(BINARY, b"x", fin=False) + close(1000),
            Close(1000, ""),
            Violation(1002, ""),
            id="close within a message",
        ),
        pytest.param(frame(PING, length=126), Violation(1002, ""), None, id="a ping that will be too long"),
        pytest.param(
            frame(PING, length=2**62), Violation(1002, ""), Violation(1009, ""), id="a ping longer than the limit"
        ),
        pytest.param(frame(CLOSE, length=2**63), Violation(1002, ""), Violation(1009, ""), id="a close that is longer"),
        pytest.param(
            frame(BINARY, length=2**63), Violation(1002, ""), Violation(1009, ""), id="a length with its top bit"
        ),
        pytest.param(
            frame(11)[:2], Violation(1002, ""), Violation(1002, ""), id="a reserved opcode is found at once by both"
        ),
        pytest.param(
            frame(PING, rsv=RSV2)[:2], Violation(1002, ""), None, id="a reserved bit, before the frame is there"
        ),
        pytest.param(frame(CONT)[:2], Violation(1002, ""), None, id="a continuation of nothing, before it is there"),
        pytest.param(frame(TEXT, b"\xff\xff")[:7], Violation(1007, ""), None, id="no UTF-8, before the frame is there"),
    ],
)
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
