"""The bounds of a reader: bytes and fragments of a message, events of a call, and its memory."""

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from asgi_ws.sizes import MIB
from asgi_ws.wire.events import Close, Event, Ping, Pong, Utf8, Violation
from asgi_ws.wire.reader import FrameReader

from .streams import (
    BINARY,
    CLOSE,
    CONT,
    NO_MASK,
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
INVALID = [Violation(1007, "")]


def limited(max_message_bytes: int) -> FrameReader:
    return FrameReader(max_message_bytes=max_message_bytes)


@pytest.mark.parametrize("limit", [0, 1, 125, 126, 65_535, 65_536])
def test_a_message_may_have_as_many_bytes_as_the_limit_and_no_more(limit: int) -> None:
    # The limit is for one message, and earlier messages are returned.
    before = frame(BINARY, bytes(limit)) + frame(PING, b"?")
    for whole in (bytes(max(limit - 1, 0)), bytes(limit), bytes(limit + 1)):
        split = b"".join(fragments(BINARY, [whole[:1], whole[1:]]))
        for data, message in ((frame(BINARY, whole), whole), (split, whole), (frame(TEXT, whole), whole.decode())):
            expected = TOO_BIG if len(whole) > limit else [message]
            assert read(before + data, reader=limited(limit))[2:] == expected


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
    # Control frames are not fragments, and an empty fragment is one.
    for part in (b"x", b""):
        data = frame(PING).join(fragments(BINARY, [part] * limit))
        events = [Ping(b"")] * (limit - 1) + [part * limit]
        assert read(data * 3, reader=FrameReader(max_fragments=limit)) == events * 3
    data = b"".join(fragments(BINARY, [b"x"] * (limit + 1)))
    assert read(data[: 7 * limit + 1], reader=FrameReader(max_fragments=limit)) == []
    assert read(data[: 7 * limit + 2], reader=FrameReader(max_fragments=limit)) == TOO_MANY


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
def test_a_call_returns_at_most_so_many_messages_and_the_next_calls_the_rest(
    most: int, calls: list[list[Event]]
) -> None:
    reader = FrameReader()
    data = MIXED
    assert reader.feed() == []
    for events in calls:
        assert reader.feed(data, most) == events
        assert reader.has_more == (events is not calls[-1])
        data = b""
    assert reader.feed(b"", most) == []


def test_a_call_that_may_return_nothing_holds_its_bytes_and_knows_that_there_may_be_more() -> None:
    reader, data = FrameReader(), frame(TEXT, b"abc")
    assert reader.feed(data[:-1]) == reader.feed(data[-1:], 0) == []
    assert reader.has_more
    assert reader.held == 1
    assert reader.feed() == ["abc"]
    assert not reader.has_more


def test_held_bytes_finish_a_begun_frame_wherever_it_is_cut() -> None:
    for place in range(1, len(MIXED)):
        reader = FrameReader()
        events = reader.feed(MIXED[:place])
        assert reader.feed(MIXED[place:], 0) == []
        assert reader.has_more
        assert [*events, *drain(reader, b"", 1)] == MIXED_EVENTS, place


def test_a_header_that_came_in_two_pieces_does_not_hide_the_frame_behind_it() -> None:
    message, reader = frame(BINARY, bytes(126)), FrameReader()
    assert reader.feed(message[:3]) == []
    assert reader.feed(message[3:] + frame(TEXT, b"x"), 1) == [bytes(126)]
    assert reader.has_more
    assert reader.feed() == ["x"]


def test_a_call_reads_at_most_256_frames() -> None:
    reader = FrameReader()
    assert len(reader.feed(frame(PING) * 5000)) == 256
    assert reader.has_more
    reader = FrameReader()
    assert reader.feed(frame(BINARY, fin=False) + frame(CONT, fin=False) * 5000) == []
    assert reader.held == 6 * (5001 - 256)
    assert reader.has_more


def test_held_bytes_come_before_later_bytes() -> None:
    reader, third = FrameReader(), frame(TEXT, b"3")
    assert reader.feed(frame(TEXT, b"1") + frame(TEXT, b"2") + third[:3], 1) == ["1"]
    assert reader.feed(third[3:] + frame(TEXT, b"4"), 1) == ["2"]
    assert reader.has_more
    assert reader.feed() == ["3", "4"]
    assert not reader.has_more


def test_a_violation_counts_as_an_event_of_a_call() -> None:
    reader = FrameReader()
    assert reader.feed(frame(TEXT, b"1") + frame(TEXT, b"\xff"), 1) == ["1"]
    assert reader.has_more
    assert without_reasons(reader.feed(b"", 1)) == INVALID
    assert not reader.has_more


@pytest.mark.parametrize("rest", [*[frame(TEXT, b"abc")[:size] for size in (0, 1, 2, 5, 8)], frame(PING, b"abc")[:8]])
def test_a_frame_that_is_not_whole_does_not_count_as_more(rest: bytes) -> None:
    for before, events in ((b"", []), (frame(TEXT, b"1") + frame(TEXT, b"2"), ["1", "2"])):
        for most in (1, 2):
            reader = FrameReader()
            assert drain(reader, before + rest, most) == events
            assert not reader.has_more


# -- memory: held bytes and those of a call never grow faster than the input


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def held() -> int:
    return tracemalloc.get_traced_memory()[0]


def moved(calls: Iterator[object]) -> int:
    """Add up the most memory of each call, beside what was held before it: the bytes that are moved."""
    total = 0
    while True:
        before = held()
        tracemalloc.reset_peak()
        if next(calls, None) is None:
            return total
        total += tracemalloc.get_traced_memory()[1] - before


def feeding(parts: list[bytes], most: int | None = None, before: bytes = b"") -> Iterator[object]:
    """Feed each part to a reader that holds `before`, without an event."""
    reader = FrameReader()
    reader.feed(before, 0)
    for part in parts:
        assert (drain(reader, part) if most is None else reader.feed(part, most)) == []
        yield True


def pieces_of(opcode: int, length: int, size: int) -> Iterator[object]:
    # The last byte never comes, so that only the pieces are counted.
    data = frame(opcode, bytes(length), mask=NO_MASK)[:-1]
    return feeding(pieces(data, range(size, len(data), size)))


def one_at_a_time(count: int) -> Iterator[object]:
    reader, data = FrameReader(), frame(BINARY, b"x" * 30) * count
    while reader.feed(data, 1):
        data = b""
        yield True


COSTS: dict[str, tuple[Callable[[int], Iterator[object]], int]] = {
    "a text in pieces of one byte": (lambda count: pieces_of(TEXT, count, 1), 8192),
    "a message in pieces of 4 KiB": (lambda count: pieces_of(BINARY, count, 4096), 4 * MIB),
    "small fragments": (
        lambda count: feeding([frame(BINARY, b"12", fin=False)] + [frame(CONT, b"12", fin=False)] * count),
        2000,
    ),
    "many messages in one read, one a call": (one_at_a_time, 2000),
    "small pieces behind much that is held": (
        lambda count: feeding([b"\x82"] * count, 0, before=frame(BINARY, b"x") * 20_000),
        1000,
    ),
}


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(("calls", "count"), COSTS.values(), ids=COSTS)
def test_the_bytes_that_are_moved_grow_no_faster_than_the_input(
    calls: Callable[[int], Iterator[object]], count: int
) -> None:
    few, many = moved(calls(count // 4)), moved(calls(count))
    # The held bytes of the last case are copied once.
    assert many < 5 * few + 7 * 20_000 * (calls is COSTS["small pieces behind much that is held"][0])


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("piece", [4096, MIB])
def test_a_message_of_16_mib_is_held_at_most_twice(piece: int) -> None:
    data = frame(BINARY, bytes(16 * MIB), mask=NO_MASK)
    reader, view, before = FrameReader(), memoryview(data), held()
    tracemalloc.reset_peak()
    events: list[Event] = []
    for start in range(0, len(data), piece):
        events = reader.feed(bytes(view[start : start + piece]))
    assert [len(event) for event in events if isinstance(event, bytes)] == [16 * MIB]
    # The pieces so far, an eighth of space for more, and the message that is made of them.
    assert tracemalloc.get_traced_memory()[1] - before < 2.3 * 16 * MIB
    del events
    assert held() - before < MIB // 10


@pytest.mark.usefixtures("traced")
def test_of_many_fragments_only_their_bytes_are_held() -> None:
    reader, before = FrameReader(), held()
    assert reader.feed(frame(BINARY, b"ab", fin=False)) == []
    for _ in range(50):
        assert reader.feed(frame(CONT, b"ab", fin=False) * 200) == []
        assert reader.feed(frame(PING)) == [Ping(b"")]
    assert held() - before < 1.2 * 20_002 + 5000


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("end", [close(1000), frame(PING, fin=False)])
def test_the_end_frees_all_held_bytes(end: bytes) -> None:
    reader, before = FrameReader(), held()
    reader.feed(frame(TEXT, bytes(MIB), fin=False, mask=NO_MASK))
    assert held() - before >= MIB
    # The end arrives while much of the data is left to the next call.
    assert len(reader.feed(frame(PING) * 256 + end + bytes(MIB))) == 256
    assert reader.has_more
    assert len(reader.feed()) == 1
    assert held() - before < MIB // 10
    assert reader.feed(bytes(MIB)) == []
    assert held() - before < MIB // 10


@pytest.mark.usefixtures("traced")
def test_a_text_is_held_encoded_and_not_in_four_bytes_for_a_character() -> None:
    text = "a" * (MIB // 4) + "\U0001f600"
    for parts in ([text.encode()], [text[:-1].encode() + b"\xf0\x9f", b"\x98\x80"]):
        data = b"".join(fragments(TEXT, parts))
        reader, before = FrameReader(), held()
        (event,) = reader.feed(data)
        assert isinstance(event, Utf8)
        assert held() - before < 1.2 * MIB // 4
        assert event.decode() == text


@pytest.mark.parametrize("end", [b"\xff", b"\xf0\x9f"])
def test_a_text_that_is_held_encoded_was_checked(end: bytes) -> None:
    data = frame(TEXT, b"a" * 5000 + end)
    assert without_reasons(read(data)) == without_reasons(read(data, cuts=[3000])) == INVALID
    assert FrameReader().whole(data) is None


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
    reader = limited(10)
    reader.restrict(1000)
    assert reader.feed(frame(BINARY, length=11)[:2]) == TOO_BIG


WHOLE, FRAGMENTS = frame(BINARY, bytes(100)), fragments(BINARY, [bytes(20), bytes(40)])
UNDER_WAY = {
    "in one frame": (WHOLE[:60], WHOLE[60:]),
    "in fragments": (FRAGMENTS[0], FRAGMENTS[1][:2]),
    "compressed": tuple(fragments(BINARY, [deflated(bytes(100)), b"\x00"], rsv=RSV1)),
}


@pytest.mark.parametrize(("begun", "rest"), UNDER_WAY.values(), ids=UNDER_WAY)
def test_a_lower_bound_holds_for_the_message_under_way(begun: bytes, rest: bytes) -> None:
    reader = FrameReader(inflater=PlainInflater())
    assert reader.feed(begun) == []
    reader.restrict(50)
    assert reader.feed(rest) == TOO_BIG
