"""What bounds a reader: bytes and fragments of a message, events and inflated bytes of a call, and its memory."""

import tracemalloc
from collections.abc import Iterator

import pytest

from asgi_ws.sizes import MIB
from asgi_ws.wire.events import Close, Event, Ping, Pong, Utf8, Violation
from asgi_ws.wire.reader import FrameReader

from .streams import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    RSV1,
    TEXT,
    PlainInflater,
    close,
    deflated,
    drain,
    fragments,
    frame,
    pieces,
    read,
    without_reasons,
)

TOO_BIG = [Violation(1009, "message too big")]
TOO_MANY = [Violation(1009, "too many fragments")]
NO_MASK = bytes(4)


def limited(max_message_bytes: int) -> FrameReader:
    return FrameReader(max_message_bytes=max_message_bytes)


@pytest.mark.parametrize("limit", [0, 1, 125, 126, 65_535, 65_536])
def test_a_message_may_have_as_many_bytes_as_the_limit_and_no_more(limit: int) -> None:
    for size, is_too_big in ((max(limit - 1, 0), False), (limit, False), (limit + 1, True)):
        whole = bytes(size)
        for data, message in (
            (frame(BINARY, whole), whole),
            (b"".join(fragments(BINARY, [whole[:1], whole[1:]])), whole),
            (frame(TEXT, whole), whole.decode()),
        ):
            # The limit is for one message, and what was before one that is too big is given.
            before = frame(BINARY, bytes(limit)) + frame(PING, b"?")
            assert read(before + data, reader=limited(limit))[2:] == (TOO_BIG if is_too_big else [message])


def test_the_limit_is_in_bytes_and_not_in_characters() -> None:
    assert read(frame(TEXT, "\u20ac".encode()), reader=limited(3)) == ["\u20ac"]
    assert read(frame(TEXT, "\u20ac".encode()), reader=limited(2)) == TOO_BIG


@pytest.mark.parametrize("limit", [3, 200])
def test_control_frames_do_not_count(limit: int) -> None:
    first, second = fragments(BINARY, [bytes(limit - 1), b"x"])
    data = first + frame(PING, bytes(125)) + frame(PONG, bytes(125)) + second + close(1000, b"longer than three")
    events = [Ping(bytes(125)), Pong(bytes(125)), bytes(limit - 1) + b"x", Close(1000, "longer than three")]
    assert read(data, reader=limited(limit)) == events


@pytest.mark.parametrize("size", [11, 126, 65_536, 2**62])
def test_a_message_that_will_be_too_big_is_refused_with_its_length(size: int) -> None:
    header = frame(BINARY, length=size)[:-4]
    assert read(header[:-1], reader=limited(10)) == []
    assert read(header, reader=limited(10)) == TOO_BIG
    first = frame(BINARY, bytes(10), fin=False)
    assert read(first + frame(CONT, length=1)[:2], reader=limited(10)) == TOO_BIG


@pytest.mark.parametrize("limit", [1, 3])
def test_a_message_may_have_as_many_fragments_as_the_limit_and_no_more(limit: int) -> None:
    def reader() -> FrameReader:
        return FrameReader(max_fragments=limit)

    # Control frames are no fragments, and an empty fragment is one.
    for part in (b"x", b""):
        data = frame(PING).join(fragments(BINARY, [part] * limit))
        assert read(data * 3, reader=reader()) == ([Ping(b"")] * (limit - 1) + [part * limit]) * 3
    data = b"".join(fragments(BINARY, [b"x"] * (limit + 1)))
    assert read(data[: 7 * limit + 1], reader=reader()) == []
    assert read(data[: 7 * limit + 2], reader=reader()) == TOO_MANY


def test_by_default_a_message_has_16_mib_and_131072_fragments() -> None:
    assert read(frame(BINARY, length=16 * MIB)) == []
    assert read(frame(BINARY, length=16 * MIB + 1)) == TOO_BIG
    reader = FrameReader()
    assert drain(reader, frame(BINARY, fin=False) + frame(CONT, fin=False) * 131_071) == []
    assert drain(reader, frame(CONT)) == TOO_MANY


# -- the bound of a call

MIXED = frame(TEXT, b"1") + frame(PING, b"2") + b"".join(fragments(BINARY, [b"3", b"4"])) + frame(PONG) + frame(CLOSE)
MIXED_EVENTS: list[Event] = ["1", Ping(b"2"), b"34", Pong(b""), Close(1005, "")]


@pytest.mark.parametrize(
    ("most", "calls"),
    [
        (1, [MIXED_EVENTS[:1], MIXED_EVENTS[1:3], MIXED_EVENTS[3:]]),
        (2, [MIXED_EVENTS[:3], MIXED_EVENTS[3:]]),
        (3, [MIXED_EVENTS]),
    ],
)
def test_a_call_gives_at_most_so_many_messages_and_the_next_ones_the_rest(most: int, calls: list[list[Event]]) -> None:
    reader = FrameReader()
    data = MIXED
    assert reader.feed() == []
    for events in calls:
        assert reader.feed(data, most) == events
        assert reader.has_more == (events is not calls[-1])
        data = b""
    assert reader.feed(b"", most) == []


def test_a_call_that_may_give_nothing_holds_what_it_gets_and_knows_what_may_be_in_it() -> None:
    reader = FrameReader()
    first, last = frame(TEXT, b"abc")[:-1], frame(TEXT, b"abc")[-1:]
    assert reader.feed(first) == []
    assert reader.feed(last, 0) == []
    assert reader.has_more
    assert reader.held == 1
    assert reader.feed() == ["abc"]
    assert not reader.has_more


def test_what_is_held_finishes_what_was_begun_wherever_it_is_cut() -> None:
    for place in range(1, len(MIXED)):
        reader = FrameReader()
        events = reader.feed(MIXED[:place])
        assert reader.feed(MIXED[place:], 0) == []
        assert reader.has_more
        assert [*events, *drain(reader, b"", 1)] == MIXED_EVENTS, place


def test_a_header_that_came_in_two_pieces_does_not_hide_the_frame_behind_it() -> None:
    message = frame(BINARY, bytes(126))
    reader = FrameReader()
    assert reader.feed(message[:3]) == []
    assert reader.feed(message[3:] + frame(TEXT, b"x"), 1) == [bytes(126)]
    assert reader.has_more
    assert reader.feed() == ["x"]


def test_a_call_reads_at_most_so_many_frames() -> None:
    reader = FrameReader()
    assert len(reader.feed(frame(PING) * 5000)) == 256
    assert reader.has_more
    reader = FrameReader()
    assert reader.feed(frame(BINARY, fin=False) + frame(CONT, fin=False) * 5000) == []
    assert reader.held == 6 * (5001 - 256)
    assert reader.has_more


def test_what_a_bound_left_comes_before_what_comes_later() -> None:
    reader = FrameReader()
    assert reader.feed(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(TEXT, b"3")[:3], 1) == ["1"]
    assert reader.feed(frame(TEXT, b"3")[3:] + frame(TEXT, b"4"), 1) == ["2"]
    assert reader.has_more
    assert reader.feed() == ["3", "4"]
    assert not reader.has_more


def test_a_failure_is_an_event_like_others_for_the_bound() -> None:
    reader = FrameReader()
    assert reader.feed(frame(TEXT, b"1") + frame(TEXT, b"\xff"), 1) == ["1"]
    assert reader.has_more
    assert without_reasons(reader.feed(b"", 1)) == [Violation(1007, "")]
    assert not reader.has_more


@pytest.mark.parametrize("rest", [*[frame(TEXT, b"abc")[:size] for size in (0, 1, 2, 5, 8)], frame(PING, b"abc")[:8]])
def test_a_frame_that_is_not_whole_is_nothing_more(rest: bytes) -> None:
    for most in (1, 2):
        reader = FrameReader()
        assert drain(reader, frame(TEXT, b"1") + frame(TEXT, b"2") + rest, most) == ["1", "2"]
        assert not reader.has_more
    reader = FrameReader()
    assert reader.feed(rest) == []
    assert not reader.has_more


# -- memory: what a reader holds, and what its calls take for a moment, never grows faster than what came


@pytest.fixture
def _traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def allocated(reader: FrameReader, parts: list[bytes]) -> int:
    """What the calls took at most, each beside what was there before it, added up: a count of bytes moved."""
    total = 0
    for part in parts:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert drain(reader, part) == []
        total += tracemalloc.get_traced_memory()[1] - before
    return total


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize(("opcode", "size", "piece"), [(TEXT, 8192, 1), (BINARY, 4 * MIB, 4096)])
def test_a_message_in_small_pieces_costs_as_much_for_each_of_them_however_long_it_is(
    opcode: int, size: int, piece: int
) -> None:
    costs = []
    for length in (size // 4, size):
        # The last byte never comes, so that only the pieces are counted.
        data = frame(opcode, bytes(length), mask=NO_MASK)[:-1]
        costs.append(allocated(FrameReader(), pieces(data, range(piece, len(data), piece))))
    assert costs[1] < 5 * costs[0]


@pytest.mark.usefixtures("_traced")
def test_a_message_in_small_fragments_costs_as_much_for_each_of_them_however_long_it_is() -> None:
    costs = []
    for count in (500, 2000):
        parts = [frame(BINARY, b"12", fin=False)] + [frame(CONT, b"12", fin=False)] * count
        costs.append(allocated(FrameReader(), parts))
    assert costs[1] < 5 * costs[0]


@pytest.mark.usefixtures("_traced")
def test_many_messages_in_one_piece_cost_as_much_for_each_of_them_however_many_they_are() -> None:
    costs = []
    for count in (500, 2000):
        reader = FrameReader()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        # One at a time, so that what is left is left again and again.
        cost, data = 0, frame(BINARY, b"x" * 30) * count
        while reader.feed(data, 1):
            cost += tracemalloc.get_traced_memory()[1] - before
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            data = b""
        costs.append(cost)
    assert costs[1] < 5 * costs[0]


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize("piece", [4096, MIB])
def test_a_message_of_16_mib_is_there_at_most_twice(piece: int) -> None:
    data = frame(BINARY, bytes(16 * MIB), mask=NO_MASK)
    reader = FrameReader()
    view = memoryview(data)
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    events: list[Event] = []
    for start in range(0, len(data), piece):
        events = reader.feed(bytes(view[start : start + piece]))
    assert [len(event) for event in events if isinstance(event, bytes)] == [16 * MIB]
    # The parts so far, an eighth of room for the next ones, and the message that is made of them.
    assert tracemalloc.get_traced_memory()[1] - before < 2.3 * 16 * MIB
    del events
    # Nothing of it stays.
    assert tracemalloc.get_traced_memory()[0] - before < MIB // 10


@pytest.mark.usefixtures("_traced")
def test_what_a_reader_holds_of_many_fragments_is_their_bytes() -> None:
    reader = FrameReader()
    before, _ = tracemalloc.get_traced_memory()
    assert reader.feed(frame(BINARY, b"ab", fin=False)) == []
    for _ in range(50):
        assert reader.feed(frame(CONT, b"ab", fin=False) * 200) == []
        assert reader.feed(frame(PING)) == [Ping(b"")]
    assert tracemalloc.get_traced_memory()[0] - before < 1.2 * 20_002 + 5000


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize("end", [close(1000), frame(PING, fin=False)])
def test_the_end_gives_back_what_was_held(end: bytes) -> None:
    reader = FrameReader()
    before, _ = tracemalloc.get_traced_memory()
    reader.feed(frame(TEXT, bytes(MIB), fin=False, mask=NO_MASK))
    assert tracemalloc.get_traced_memory()[0] - before >= MIB
    # The end comes with much that is left to the next call.
    assert len(reader.feed(frame(PING) * 256 + end + bytes(MIB))) == 256
    assert reader.has_more
    assert len(reader.feed()) == 1
    assert tracemalloc.get_traced_memory()[0] - before < MIB // 10
    assert reader.feed(bytes(MIB)) == []
    assert tracemalloc.get_traced_memory()[0] - before < MIB // 10


@pytest.mark.usefixtures("_traced")
def test_small_pieces_behind_much_that_is_held_are_copied_once() -> None:
    held = frame(BINARY, b"x") * 20_000
    costs = []
    for count in (250, 1000):
        reader = FrameReader()
        reader.feed(held, 0)
        cost = 0
        for _ in range(count):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            reader.feed(b"\x82", 0)
            cost += tracemalloc.get_traced_memory()[1] - before
        costs.append(cost)
    assert costs[1] < 5 * costs[0] + len(held)


@pytest.mark.usefixtures("_traced")
def test_a_text_is_held_as_long_as_it_came_and_not_in_four_bytes_for_a_character() -> None:
    text = "a" * (MIB // 4) + "\U0001f600"
    for parts in ([text.encode()], [text[:-1].encode() + b"\xf0\x9f", b"\x98\x80"]):
        data = b"".join(fragments(TEXT, parts))
        reader = FrameReader()
        before, _ = tracemalloc.get_traced_memory()
        (event,) = reader.feed(data)
        assert isinstance(event, Utf8)
        assert tracemalloc.get_traced_memory()[0] - before < 1.2 * MIB // 4
        assert event.decode() == text


def test_a_text_that_is_held_encoded_was_checked() -> None:
    for payload in (b"a" * 5000 + b"\xff", b"a" * 5000 + b"\xf0\x9f"):
        assert without_reasons(read(frame(TEXT, payload))) == [Violation(1007, "")]
        assert without_reasons(read(frame(TEXT, payload), cuts=[3000])) == [Violation(1007, "")]
        assert FrameReader().whole(frame(TEXT, payload)) is None


# -- a bound that is lowered


@pytest.mark.parametrize("size", [10, 126, 5000])
def test_a_lower_bound_holds_for_the_next_message(size: int) -> None:
    reader = FrameReader()
    reader.restrict(size)
    assert reader.whole(frame(BINARY, bytes(size))) == bytes(size)
    assert reader.whole(frame(BINARY, bytes(size + 1))) is None
    assert reader.whole(frame(BINARY, bytes(size + 200))) is None
    assert reader.feed(frame(BINARY, bytes(size)) + frame(BINARY, length=size + 1)[:-4]) == [bytes(size), *TOO_BIG]


def test_a_higher_bound_changes_nothing() -> None:
    reader = FrameReader(max_message_bytes=10)
    reader.restrict(1000)
    assert reader.feed(frame(BINARY, length=11)[:2]) == TOO_BIG


def test_a_lower_bound_holds_for_the_message_under_way() -> None:
    whole = frame(BINARY, bytes(100))
    reader = FrameReader()
    assert reader.feed(whole[:60]) == []
    reader.restrict(50)
    assert reader.feed(whole[60:]) == TOO_BIG
    first, second = fragments(BINARY, [bytes(20), bytes(40)])
    reader = FrameReader()
    assert reader.feed(first) == []
    reader.restrict(50)
    assert reader.feed(second[:2]) == TOO_BIG


def test_a_lower_bound_holds_for_what_a_message_under_way_inflates_to() -> None:
    first, second = fragments(BINARY, [deflated(bytes(100)), b"\x00"], rsv=RSV1)
    reader = FrameReader(inflater=PlainInflater())
    assert reader.feed(first) == []
    reader.restrict(50)
    assert reader.feed(second) == TOO_BIG
