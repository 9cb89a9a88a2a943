"""Inflating messages (RFC 7692, 7.2.2): the RFC's own examples, what clients may do, and what none should."""

import itertools
import os
import zlib
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given, strategies as st

from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.events import NotDeflate, TooLong
from asgi_ws.wire.negotiation import Parameters

from .messages import MIB, NO_TAKEOVER, TAIL, TAKEOVER, compressed, inflate, json_text

# RFC 7692 sections 7.2.3.1 to 7.2.3.6, and what a client may send beside.
EXAMPLES: Final = {
    "fixed Huffman codes": ("f248cdc9c90700", b"Hello"),
    "no compression": ("000500faff48656c6c6f00", b"Hello"),
    "BFINAL": ("f348cdc9c9070000", b"Hello"),
    "two blocks": ("f24805000000ffffcac9c90700", b"Hello"),
    "an empty message": ("00", b""),
    "BFINAL and nothing after it": ("f348cdc9c90700", b"Hello"),
    "BFINAL and empty": ("0300", b""),
    "BFINAL in the tail, after one byte of it": ("03", b""),
    "BFINAL in the tail, with all of it": ("01", b""),
    "BFINAL twice": ("f348cdc9c90700f348cdc9c9070000", b"HelloHello"),
    "BFINAL and a block without": ("f348cdc9c90700f248cdc9c90700", b"HelloHello"),
    "BFINAL without compression": ("010500faff48656c6c6f00", b"Hello"),
}


@pytest.mark.parametrize("parameters", [TAKEOVER, NO_TAKEOVER])
def test_the_examples_of_the_rfc_inflate_also_one_after_another_and_cut_anywhere(parameters: Parameters) -> None:
    for name, (payload, message) in EXAMPLES.items():
        data = bytes.fromhex(payload)
        own = Deflate(parameters)
        assert [inflate(own, data) for _ in range(3)] == [message] * 3, name
        for cut in range(len(data) + 1):
            start = inflate(own, data[:cut], final=False, room=10)
            assert start + inflate(own, data[cut:], final=True, room=10 - len(start)) == message, name
        assert inflate(own, compressed(b"and the next")) == b"and the next"


def test_a_stream_may_end_in_the_tail_of_a_message_of_any_size() -> None:
    for size in (100, 300_000):
        own, message = Deflate(TAKEOVER), os.urandom(size)
        for end in (b"\x03", b"\x01", b"\x03\x00", b"\x03\x00\x00") * 2:
            assert inflate(own, compressed(message, mode=zlib.Z_FULL_FLUSH) + TAIL + end) == message


def test_a_message_may_refer_to_the_one_before_it() -> None:
    """RFC 7692, 7.2.3.2."""
    own = Deflate(TAKEOVER)
    assert inflate(own, bytes.fromhex("f248cdc9c90700")) == b"Hello"
    assert inflate(own, bytes.fromhex("f200110000")) == b"Hello"


def test_without_the_clients_takeover_it_may_not() -> None:
    own = Deflate(NO_TAKEOVER)
    assert inflate(own, bytes.fromhex("f248cdc9c90700")) == b"Hello"
    with pytest.raises(NotDeflate):
        inflate(own, bytes.fromhex("f200110000"))


def test_a_reference_beyond_the_clients_window_is_not_deflate() -> None:
    blob = os.urandom(3000)
    client = zlib.compressobj(wbits=-12)
    payloads = [client.compress(blob) + client.flush(zlib.Z_SYNC_FLUSH) for _ in range(2)]
    agreed, less = Deflate(TAKEOVER), Deflate(Parameters(False, False, 12, 11))
    for payload in payloads:
        assert inflate(agreed, payload.removesuffix(TAIL)) == blob
    assert inflate(less, payloads[0].removesuffix(TAIL)) == blob
    with pytest.raises(NotDeflate):
        inflate(less, payloads[1].removesuffix(TAIL))


def test_a_clients_window_of_8_bits_is_one() -> None:
    own = Deflate(Parameters(False, False, 12, 8))
    # An older zlib, asked for 8 bits, refers as far back as it can with 9 less what it looks ahead: 250 bytes.
    text = json_text(4000)
    assert inflate(own, compressed(text, wbits=-9)) == text


@pytest.mark.parametrize("size", [0, 5, 16 * 1024, 16 * 1024 + 1, 300_000])
def test_payloads_of_every_kind_and_size_inflate(size: int) -> None:
    for message in (os.urandom(size), json_text(size), bytes(size)):
        own, payload = Deflate(TAKEOVER), compressed(message)
        for data in (payload, bytearray(payload), memoryview(payload)):
            assert inflate(own, data, final=True, room=size) == message


@pytest.mark.parametrize("fill", [bytes, json_text, os.urandom])
@pytest.mark.parametrize("size", [1, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 300_000])
def test_a_message_fills_its_room_and_one_byte_more_is_too_long(fill: Callable[[int], bytes], size: int) -> None:
    message = fill(size)
    for mode in (zlib.Z_SYNC_FLUSH, zlib.Z_FINISH):
        payload = compressed(message, mode=mode)
        for final in (True, False):
            assert inflate(Deflate(TAKEOVER), payload, final=final, room=size) == message
            with pytest.raises(TooLong):
                inflate(Deflate(TAKEOVER), payload, final=final, room=size - 1)


def test_without_room_an_empty_message_is_all_that_fits() -> None:
    assert inflate(Deflate(TAKEOVER), b"\x00", room=0) == b""
    with pytest.raises(TooLong):
        inflate(Deflate(TAKEOVER), compressed(b"x"), room=0)


def test_what_is_not_deflated_data_is_named_so() -> None:
    for payload in (
        # A block of the reserved type, and a length that its complement denies.
        b"\x07",
        b"\x00\x05\x00\x00\x00Hello",
        b"plain text that nobody compressed",
        # What comes after BFINAL.
        bytes.fromhex("f348cdc9c90700") + b"\xff\xff",
        # With the header and checksum of zlib.
        zlib.compress(b"Hello"),
        b"\xff" * 100_000,
        compressed(json_text(70_000)) + b"\xff" * 20_000,
    ):
        for final in (True, False):
            with pytest.raises(NotDeflate):
                inflate(Deflate(TAKEOVER), payload, final=final, room=MIB)


@given(data=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=3), room=st.integers(0, 5000))
def test_anything_at_all_inflates_or_is_too_long_or_no_deflated_data(data: bytes, cuts: list[int], room: int) -> None:
    own = Deflate(TAKEOVER)
    given_out = 0
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    try:
        for start, stop in itertools.pairwise(edges):
            given_out += len(inflate(own, data[start:stop], final=stop == len(data), room=room - given_out))
            assert given_out <= room
    except (NotDeflate, TooLong):
        pass


@given(size=st.integers(1, 3000), at=st.integers(0, 3000), byte=st.integers(0, 255))
def test_a_corrupt_or_truncated_message_does_nothing_else(size: int, at: int, byte: int) -> None:
    message = json_text(size)
    payload = compressed(message)
    at %= len(payload)
    for broken in (payload[:at], payload[:at] + bytes([byte]) + payload[at + 1 :]):
        try:
            assert len(inflate(Deflate(TAKEOVER), broken, room=2 * size)) <= 2 * size
        except (NotDeflate, TooLong):
            continue


def test_streams_that_end_within_a_message_follow_each_other() -> None:
    for count in (16, 1000):
        parts = [json_text(200, seed) for seed in range(count)]
        payload = b"".join(compressed(part, mode=zlib.Z_FINISH) for part in parts)
        assert inflate(Deflate(TAKEOVER), payload) == b"".join(parts)


def test_streams_of_nothing_end_a_message_that_has_too_many_of_them() -> None:
    nothing = compressed(b"", mode=zlib.Z_FINISH)
    assert inflate(Deflate(TAKEOVER), nothing * 16) == b""
    for count in (100, 100_000):
        with pytest.raises(NotDeflate):
            inflate(Deflate(TAKEOVER), nothing * count)
