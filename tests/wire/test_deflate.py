"""Inflating messages (RFC 7692 section 7.2.2): the RFC's examples, valid streams of every kind, and invalid ones."""

import itertools
import os
import zlib
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given, strategies as st

from asgi_ws.sizes import MIB
from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.events import NotDeflate, TooLong
from asgi_ws.wire.negotiation import Parameters

from .messages import NO_TAKEOVER, TAKEOVER, inflate, json_text
from .streams import SYNC_FLUSH, deflated

EXAMPLES: Final = {
    # RFC 7692 sections 7.2.3.1 to 7.2.3.6.
    "fixed Huffman codes": ("f248cdc9c90700", b"Hello"),
    "no compression": ("000500faff48656c6c6f00", b"Hello"),
    "BFINAL": ("f348cdc9c9070000", b"Hello"),
    "two blocks": ("f24805000000ffffcac9c90700", b"Hello"),
    "an empty message": ("00", b""),
    # Other valid streams.
    "BFINAL and nothing after it": ("f348cdc9c90700", b"Hello"),
    "BFINAL and empty": ("0300", b""),
    "BFINAL in the tail, after one byte of it": ("03", b""),
    "BFINAL in the tail, with all of it": ("01", b""),
    "BFINAL twice": ("f348cdc9c90700f348cdc9c9070000", b"HelloHello"),
    "BFINAL and a block without": ("f348cdc9c90700f248cdc9c90700", b"HelloHello"),
    "BFINAL without compression": ("010500faff48656c6c6f00", b"Hello"),
}
# RFC 7692 section 7.2.3.2: the second message refers to the first.
HELLO, HELLO_AGAIN = bytes.fromhex("f248cdc9c90700"), bytes.fromhex("f200110000")


@pytest.mark.parametrize("parameters", [TAKEOVER, NO_TAKEOVER])
def test_the_examples_of_the_rfc_inflate_also_one_after_another_and_cut_anywhere(parameters: Parameters) -> None:
    for name, (payload, message) in EXAMPLES.items():
        data = bytes.fromhex(payload)
        own = Deflate(parameters)
        assert [inflate(own, data) for _ in range(3)] == [message] * 3, name
        for cut in range(len(data) + 1):
            start = inflate(own, data[:cut], final=False, room=10)
            assert start + inflate(own, data[cut:], final=True, room=10 - len(start)) == message, name
        assert inflate(own, deflated(b"and the next")) == b"and the next"


@pytest.mark.parametrize("size", [100, 300_000])
def test_a_stream_may_end_in_the_tail_of_a_message_of_any_size(size: int) -> None:
    own, message = Deflate(TAKEOVER), os.urandom(size)
    for end in (b"\x03", b"\x01", b"\x03\x00", b"\x03\x00\x00") * 2:
        assert inflate(own, deflated(message, wbits=-12, mode=zlib.Z_FULL_FLUSH) + SYNC_FLUSH + end) == message


def test_a_message_may_refer_to_the_one_before_it_only_with_the_clients_takeover() -> None:
    own, alone = Deflate(TAKEOVER), Deflate(NO_TAKEOVER)
    assert inflate(own, HELLO) == inflate(own, HELLO_AGAIN) == inflate(alone, HELLO) == b"Hello"
    with pytest.raises(NotDeflate):
        inflate(alone, HELLO_AGAIN)


def test_a_reference_beyond_the_clients_window_is_not_deflate() -> None:
    blob, client = os.urandom(3000), zlib.compressobj(wbits=-12)
    first, second = deflated(blob, client), deflated(blob, client)
    agreed, less = Deflate(TAKEOVER), Deflate(Parameters(False, False, 12, 11))
    assert inflate(agreed, first) == inflate(agreed, second) == inflate(less, first) == blob
    with pytest.raises(NotDeflate):
        inflate(less, second)


def test_a_clients_window_may_have_8_bits() -> None:
    # An older zlib, asked for 8 bits, refers as far back as it can with 9 less what it looks ahead: 250 bytes.
    text = json_text(4000)
    assert inflate(Deflate(Parameters(False, False, 12, 8)), deflated(text, wbits=-9)) == text


@pytest.mark.parametrize("fill", [bytes, json_text, os.urandom])
@pytest.mark.parametrize("size", [1, 16 * 1024, 16 * 1024 + 1, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 300_000])
def test_a_message_fills_its_room_and_one_byte_more_is_too_long(fill: Callable[[int], bytes], size: int) -> None:
    message = fill(size)
    for mode, final in itertools.product((zlib.Z_SYNC_FLUSH, zlib.Z_FINISH), (True, False)):
        payload = deflated(message, wbits=-12, mode=mode)
        for data in (payload, bytearray(payload), memoryview(payload)):
            assert inflate(Deflate(TAKEOVER), data, final=final, room=size) == message
        with pytest.raises(TooLong):
            inflate(Deflate(TAKEOVER), payload, final=final, room=size - 1)


def test_without_room_only_an_empty_message_fits() -> None:
    assert inflate(Deflate(TAKEOVER), b"\x00", room=0) == b""
    with pytest.raises(TooLong):
        inflate(Deflate(TAKEOVER), deflated(b"x"), room=0)


NOT_DEFLATE: Final = {
    "reserved block type": b"\x07",
    "length that its complement denies": b"\x00\x05\x00\x00\x00Hello",
    "plain text": b"plain text that nobody compressed",
    "garbage after BFINAL": bytes.fromhex("f348cdc9c90700") + b"\xff\xff",
    "header and checksum of zlib": zlib.compress(b"Hello"),
    "much garbage": b"\xff" * 100_000,
    "garbage after a message": deflated(json_text(70_000), wbits=-12) + b"\xff" * 20_000,
}


@pytest.mark.parametrize("payload", NOT_DEFLATE.values(), ids=NOT_DEFLATE)
def test_data_that_is_not_deflated_is_refused(payload: bytes) -> None:
    for final in (True, False):
        with pytest.raises(NotDeflate):
            inflate(Deflate(TAKEOVER), payload, final=final, room=MIB)


@given(data=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=3), room=st.integers(0, 5000))
def test_any_bytes_inflate_within_their_room_or_are_refused(data: bytes, cuts: list[int], room: int) -> None:
    own, length = Deflate(TAKEOVER), 0
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    try:
        for start, stop in itertools.pairwise(edges):
            length += len(inflate(own, data[start:stop], final=stop == len(data), room=room - length))
            assert length <= room
    except (NotDeflate, TooLong):
        pass


@given(size=st.integers(1, 3000), at=st.integers(0, 3000), byte=st.integers(0, 255))
def test_a_corrupt_or_truncated_message_inflates_within_its_room_or_is_refused(size: int, at: int, byte: int) -> None:
    payload = deflated(json_text(size))
    at %= len(payload)
    for broken in (payload[:at], payload[:at] + bytes([byte]) + payload[at + 1 :]):
        try:
            assert len(inflate(Deflate(TAKEOVER), broken, room=2 * size)) <= 2 * size
        except (NotDeflate, TooLong):
            continue


@pytest.mark.parametrize("count", [16, 1000])
def test_streams_that_end_within_a_message_follow_each_other(count: int) -> None:
    parts = [json_text(200, seed) for seed in range(count)]
    payload = b"".join(deflated(part, wbits=-12, mode=zlib.Z_FINISH) for part in parts)
    assert inflate(Deflate(TAKEOVER), payload) == b"".join(parts)


def test_a_message_of_too_many_empty_streams_is_refused() -> None:
    nothing = deflated(b"", mode=zlib.Z_FINISH)
    assert inflate(Deflate(TAKEOVER), nothing * 16) == b""
    for count in (100, 100_000):
        with pytest.raises(NotDeflate):
            inflate(Deflate(TAKEOVER), nothing * count)
