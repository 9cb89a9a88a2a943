"""Compressed messages in a reader (RFC 7692 sections 6 and 7.2): the calls of the inflater, and the events."""

import random
import tracemalloc
import zlib
from typing import Final

import pytest

from asgi_ws.sizes import MIB
from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.events import Close, Event, Ping, Violation
from asgi_ws.wire.negotiation import Parameters
from asgi_ws.wire.reader import FrameReader

from .streams import (
    BINARY,
    CONT,
    PING,
    RSV1,
    RSV2,
    SYNC_FLUSH,
    TEXT,
    PlainInflater,
    close,
    deflated,
    fragments,
    frame,
    read,
    without_reasons,
)

HELLO: Final = bytes.fromhex("f248cdc9c90700")


def ours() -> Deflate:
    return Deflate(Parameters(False, False, 15, 15))


def test_the_examples_of_the_rfc_are_read() -> None:
    # RFC 7692 sections 7.2.3.1 to 7.2.3.6, all in one context.
    data = frame(TEXT, HELLO, rsv=RSV1)
    data += frame(TEXT, HELLO[:3], rsv=RSV1, fin=False) + frame(CONT, HELLO[3:])
    data += frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1)
    data += frame(TEXT, bytes.fromhex("000500faff48656c6c6f00"), rsv=RSV1)
    data += frame(TEXT, b"\0", rsv=RSV1)
    assert read(data, reader=FrameReader(inflater=ours())) == ["Hello"] * 4 + [""]


def test_compressed_messages_and_others_may_alternate() -> None:
    compressor = zlib.compressobj(wbits=-15)
    stream = b""
    events: list[Event] = []
    for number in range(20):
        message = b"%d times the same " % number * 10
        if number % 3:
            stream += frame(BINARY, deflated(message, compressor), rsv=RSV1)
        else:
            stream += b"".join(fragments(BINARY, [message[:5], message[5:]]))
        stream += frame(PING)
        events += [message, Ping(b"")]
    for size in (1, 7, 100, len(stream)):
        reader = FrameReader(inflater=ours())
        assert read(stream, cuts=range(size, len(stream), size), reader=reader) == events


def test_a_compressed_message_may_be_cut_and_fragmented_anywhere() -> None:
    text = "".join(f"{number} \u20ac " for number in range(20))
    whole = deflated(text.encode())
    for place in range(len(whole) + 1):
        parts = fragments(TEXT, [whole[:place], whole[place:]], rsv=RSV1)
        assert read(frame(PING).join(parts), reader=FrameReader(inflater=ours())) == [Ping(b""), text]
        data = frame(BINARY, whole, rsv=RSV1)
        assert read(data, cuts=[place], reader=FrameReader(inflater=ours())) == [text.encode()]


def test_the_inflater_gets_the_payload_the_last_frame_and_the_room_that_is_left() -> None:
    inflater = PlainInflater()
    first, second = deflated(b"x" * 50)[:4], deflated(b"x" * 50)[4:]
    reader = FrameReader(max_message_bytes=100, inflater=inflater)
    data = frame(BINARY, first, rsv=RSV1, fin=False) + frame(CONT, fin=False) + frame(CONT, second)
    assert reader.feed(data) == [b"x" * 50]
    assert [payload for payload, _, _ in inflater.calls] == [first, b"", second]
    assert [final for _, final, _ in inflater.calls] == [False, False, True]
    opened = zlib.decompressobj(-15).decompress(first)
    assert [room for _, _, room in inflater.calls] == [100, 100 - len(opened), 100 - len(opened)]


def test_a_frame_in_pieces_is_the_last_one_with_its_last_byte_only() -> None:
    inflater = PlainInflater()
    data = frame(TEXT, HELLO, rsv=RSV1)
    assert read(data, cuts=range(len(data)), reader=FrameReader(inflater=inflater)) == ["Hello"]
    assert b"".join(payload for payload, _, _ in inflater.calls) == HELLO
    finals = [final for _, final, _ in inflater.calls]
    assert finals == [False] * (len(finals) - 1) + [True]


def test_the_inflater_may_come_after_the_first_frames() -> None:
    reader = FrameReader()
    assert reader.feed(frame(TEXT, b"plain") + frame(TEXT, HELLO, rsv=RSV1), 1) == ["plain"]
    reader.inflater = ours()
    assert reader.feed() == ["Hello"]


def test_without_an_inflater_a_compressed_frame_is_1002() -> None:
    assert without_reasons(read(frame(TEXT, HELLO, rsv=RSV1))) == [Violation(1002, "")]


RSV1_MISUSED: Final = {
    "a continuation of a compressed message": frame(TEXT, rsv=RSV1, fin=False) + frame(CONT, rsv=RSV1),
    "a continuation": frame(TEXT, fin=False) + frame(CONT, rsv=RSV1),
    "a ping": frame(PING, rsv=RSV1),
    "another reserved bit": frame(TEXT, HELLO, rsv=RSV1 | RSV2),
    "a reserved opcode": frame(3, HELLO, rsv=RSV1),
    "no mask": frame(TEXT, HELLO, rsv=RSV1, mask=None),
    "a message within a message": frame(TEXT, fin=False) + frame(TEXT, HELLO, rsv=RSV1),
}


@pytest.mark.parametrize("broken", RSV1_MISUSED.values(), ids=RSV1_MISUSED)
def test_only_the_first_frame_of_a_message_may_be_marked_as_compressed(broken: bytes) -> None:
    assert without_reasons(read(broken, reader=FrameReader(inflater=PlainInflater()))) == [Violation(1002, "")]


NOT_INFLATABLE: Final = {
    "block type 3": b"\xff",
    "contradicting lengths of a stored block": b"\x00\x05\x00\x05\x00Hello",
    "a distance to before the beginning": bytes.fromhex("4b04c200"),
    "too many codes": b"\xfd" + bytes(20),
}


@pytest.mark.parametrize("payload", NOT_INFLATABLE.values(), ids=NOT_INFLATABLE)
def test_data_that_cannot_be_inflated_is_1007(payload: bytes) -> None:
    data = frame(BINARY, b"ok") + frame(BINARY, payload, rsv=RSV1)
    events = read(data, reader=FrameReader(inflater=ours()))
    assert events == [b"ok", Violation(1007, "invalid compressed data")]


def test_compressed_text_that_is_not_utf_8_is_1007() -> None:
    data = frame(TEXT, deflated(b"\xc3\x28"), rsv=RSV1)
    assert without_reasons(read(data, reader=FrameReader(inflater=ours()))) == [Violation(1007, "")]


def test_the_limit_holds_for_inflated_bytes() -> None:
    for size in (10, 11):
        whole = deflated(bytes(size))
        for parts in ([whole], [whole[:1], whole[1:]], [b"", whole, b""]):
            reader = FrameReader(max_message_bytes=10, inflater=ours())
            (event,) = read(b"".join(fragments(BINARY, parts, rsv=RSV1)), reader=reader)
            assert event == (bytes(10) if size == 10 else Violation(1009, "message too big"))


def test_the_limit_counts_earlier_fragments() -> None:
    compressor = zlib.compressobj(wbits=-15)
    parts = [compressor.compress(b"123456") + compressor.flush(zlib.Z_SYNC_FLUSH), deflated(b"12345", compressor)]
    reader = FrameReader(max_message_bytes=10, inflater=ours())
    first, second = fragments(BINARY, parts, rsv=RSV1)
    assert reader.feed(first) == []
    assert reader.feed(second) == [Violation(1009, "message too big")]


def test_a_message_that_gets_longer_by_compression_is_not_too_big() -> None:
    # Level, window and memory level: stored blocks, and the settings that expand random data most.
    for level, window_bits, memory_level in ((0, 15, 8), (1, 9, 1), (9, 9, 1), (1, 15, 8), (9, 12, 5)):
        for size in (1, 1000, 100 * 1024):
            chance = random.Random(size)
            # Random bytes, and random bytes above 143, of which each takes nine bits with the fixed codes of RFC 1951.
            for message in (chance.randbytes(size), bytes(144 + byte % 112 for byte in chance.randbytes(size))):
                payload = deflated(message, zlib.compressobj(level, zlib.DEFLATED, -window_bits, memory_level))
                reader = FrameReader(max_message_bytes=size, inflater=ours())
                assert read(frame(BINARY, payload, rsv=RSV1, mask=bytes(4)), reader=reader) == [message]


def test_fragments_that_are_compressed_one_by_one_are_not_too_big() -> None:
    compressor = zlib.compressobj(wbits=-9)
    message = random.Random(1).randbytes(1000)
    parts = [
        compressor.compress(message[at : at + 4]) + compressor.flush(zlib.Z_SYNC_FLUSH) for at in range(0, 1000, 4)
    ]
    parts[-1] = parts[-1].removesuffix(SYNC_FLUSH)
    assert sum(map(len, parts)) > 2000
    reader = FrameReader(max_message_bytes=1000, inflater=ours())
    assert read(b"".join(fragments(BINARY, parts, rsv=RSV1)), reader=reader) == [message]


def test_a_compressed_message_longer_than_any_right_one_is_refused_with_its_length() -> None:
    most = 1024 + 1024 // 8 + 1024 // 64 + 64
    reader = FrameReader(max_message_bytes=1024, inflater=PlainInflater())
    assert reader.feed(frame(BINARY, length=most, rsv=RSV1)[:8]) == []
    reader = FrameReader(max_message_bytes=1024, inflater=PlainInflater())
    assert reader.feed(frame(BINARY, length=most + 1, rsv=RSV1)[:4]) == [Violation(1009, "message too big")]


def test_a_bomb_is_refused_with_little_memory() -> None:
    data = frame(BINARY, deflated(bytes(64 * MIB)), rsv=RSV1)
    tracemalloc.start()
    reader = FrameReader(max_message_bytes=MIB, inflater=ours())
    assert read(data, reader=reader) == [Violation(1009, "message too big")]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * MIB


def test_a_call_leaves_the_rest_when_it_has_inflated_enough() -> None:
    one = frame(BINARY, deflated(bytes(100)), rsv=RSV1)
    reader = FrameReader(inflater=PlainInflater(), max_work=3 * (2 * 512 + 100))
    assert reader.feed(frame(PING) + one * 7 + frame(PING)) == [Ping(b""), *[bytes(100)] * 3]
    assert reader.has_more
    assert reader.feed() == [bytes(100)] * 3
    assert reader.has_more
    assert reader.feed() == [bytes(100), Ping(b"")]
    assert not reader.has_more


def test_a_call_that_has_inflated_a_part_of_a_message_leaves_the_rest_of_it_too() -> None:
    whole = deflated(bytes(1000))
    parts = fragments(BINARY, [whole[:-1], whole[-1:]], rsv=RSV1)
    reader = FrameReader(inflater=PlainInflater(), max_work=1100)
    assert reader.feed(b"".join(parts)) == []
    assert reader.has_more
    assert reader.feed() == [bytes(1000)]
    assert not reader.has_more


def test_a_call_that_completes_a_large_message_leaves_the_next_one() -> None:
    one = frame(BINARY, deflated(bytes(1000)), rsv=RSV1)
    reader = FrameReader(inflater=PlainInflater(), max_work=1100)
    assert reader.feed(one[:7]) == []
    assert reader.feed(one[7:] + one) == [bytes(1000)]
    assert reader.has_more
    assert reader.feed() == [bytes(1000)]


def test_plain_messages_do_not_count_as_work_of_the_inflater() -> None:
    reader = FrameReader(inflater=PlainInflater(), max_work=10_000)
    assert reader.feed(frame(BINARY, bytes(200)) * 5) == [bytes(200)] * 5
    assert not reader.has_more


def test_the_end_frees_the_inflater() -> None:
    reader = FrameReader(inflater=PlainInflater())
    reader.feed(frame(TEXT, HELLO, rsv=RSV1) + close(1000))
    assert reader.inflater is None


def test_a_reader_that_discards_stops_inflating_and_finds_the_close_frame() -> None:
    bomb = frame(BINARY, deflated(bytes(MIB)), rsv=RSV1)
    reader = FrameReader(inflater=ours())
    assert reader.feed(bomb + frame(TEXT, b"\xff", rsv=RSV1) + close(1000)) == []
    assert reader.has_more
    reader.discard()
    assert read(b"", reader=reader) == [b"", "", Close(1000, "")]
