"""Inflating messages (RFC 7692, 7.2.2): the RFC's own examples, what clients may do, and what none should."""

import itertools
import os
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from asgi_ws.wire.deflate import Deflate
from asgi_ws.wire.events import NotDeflate, TooLong
from asgi_ws.wire.negotiation import Parameters

from .messages import MIB, NO_TAKEOVER, TAIL, TAKEOVER, compressed, inflate, json_text


@pytest.mark.parametrize("parameters", [TAKEOVER, NO_TAKEOVER])
@pytest.mark.parametrize(
    ("payload", "message"),
    [
        pytest.param("f248cdc9c90700", b"Hello", id="7.2.3.1, fixed Huffman codes"),
        pytest.param("000500faff48656c6c6f00", b"Hello", id="7.2.3.3, no compression"),
        pytest.param("f348cdc9c9070000", b"Hello", id="7.2.3.4, BFINAL"),
        pytest.param("f248050000 00ffff cac9c90700", b"Hello", id="7.2.3.5, two blocks"),
        pytest.param("00", b"", id="7.2.3.6, an empty message"),
        pytest.param("f348cdc9c90700", b"Hello", id="BFINAL and nothing after it"),
        pytest.param("0300", b"", id="BFINAL and empty"),
        pytest.param("03", b"", id="BFINAL in the tail, after one byte of it"),
        pytest.param("01", b"", id="BFINAL in the tail, with all of it"),
        pytest.param("f348cdc9c90700 f348cdc9c9070000", b"HelloHello", id="BFINAL twice"),
        pytest.param("f348cdc9c90700 f248cdc9c90700", b"HelloHello", id="BFINAL and a block without"),
        pytest.param("010500faff48656c6c6f 00", b"Hello", id="BFINAL without compression"),
    ],
)
def test_the_examples_of_the_rfc_inflate_also_one_after_another_and_cut_anywhere(
    payload: str, message: bytes, parameters: Parameters
) -> None:
    data = bytes.fromhex(payload)
    own = Deflate(parameters)
    for _ in range(3):
        assert inflate(own, data) == message
    for cut in range(len(data) + 1):
        start = inflate(own, data[:cut], final=False, room=10)
        assert start + inflate(own, data[cut:], final=True, room=10 - len(start)) == message
    assert inflate(own, compressed(b"and the next")) == b"and the next"


@pytest.mark.parametrize("size", [100, 20_000, 300_000])
@pytest.mark.parametrize("end", [b"\x03", b"\x01", b"\x03\x00", b"\x03\x00\x00"])
def test_a_stream_may_end_in_the_tail_of_a_message_of_any_size(end: bytes, size: int) -> None:
    own, message = Deflate(TAKEOVER), os.urandom(size)
    for _ in range(2):
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


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [0, 5, 200, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 300_000])
def test_payloads_of_every_kind_and_size_inflate(kind: Callable[[bytes], bytes], size: int) -> None:
    for message in (os.urandom(size), json_text(size), bytes(size)):
        own = Deflate(TAKEOVER)
        for _ in range(2):
            assert inflate(own, kind(compressed(message)), final=True, room=size) == message


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("size", [1, 2, 1000, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 256 * 1024, 1_000_000])
@pytest.mark.parametrize("mode", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH])
@pytest.mark.parametrize("fill", [bytes, json_text, os.urandom])
def test_a_message_fills_its_room_and_one_byte_more_is_too_long(
    fill: Callable[[int], bytes], mode: int, size: int, *, final: bool
) -> None:
    message = fill(size)
    payload = compressed(message, mode=mode)
    assert inflate(Deflate(TAKEOVER), payload, final=final, room=size) == message
    with pytest.raises(TooLong):
        inflate(Deflate(TAKEOVER), payload, final=final, room=size - 1)


def test_without_room_an_empty_message_is_all_that_fits() -> None:
    assert inflate(Deflate(TAKEOVER), b"\x00", room=0) == b""
    with pytest.raises(TooLong):
        inflate(Deflate(TAKEOVER), compressed(b"x"), room=0)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\x07", id="a block of the reserved type"),
        pytest.param(b"\xff" * 10, id="likewise"),
        pytest.param(b"\x00\x05\x00\x00\x00Hello", id="a length that its complement denies"),
        pytest.param(b"plain text that nobody compressed", id="text"),
        pytest.param(bytes.fromhex("f348cdc9c90700") + b"\xff\xff", id="rubbish after BFINAL"),
        pytest.param(zlib.compress(b"Hello"), id="a header and checksum of zlib"),
        pytest.param(b"\xff" * 100_000, id="a lot of it"),
        pytest.param(compressed(json_text(70_000)) + b"\xff" * 20_000, id="in the second half"),
    ],
)
def test_what_is_no_deflated_data_is_named_so(payload: bytes) -> None:
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


@pytest.mark.parametrize("count", [16, 1000])
def test_streams_that_end_within_a_message_follow_each_other(count: int) -> None:
    parts = [json_text(200, seed) for seed in range(count)]
    payload = b"".join(compressed(part, mode=zlib.Z_FINISH) for part in parts)
    assert inflate(Deflate(TAKEOVER), payload) == b"".join(parts)


def test_streams_of_nothing_end_a_message_that_has_too_many_of_them() -> None:
    nothing = compressed(b"", mode=zlib.Z_FINISH)
    assert inflate(Deflate(TAKEOVER), nothing * 16) == b""
    for count in (100, 100_000):
        with pytest.raises(NotDeflate):
            inflate(Deflate(TAKEOVER), nothing * count)
