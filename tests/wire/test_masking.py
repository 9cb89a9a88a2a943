"""Unmasking by the C function and in plain Python: the same, of anything that can be read."""

import subprocess
import sys

import pytest

from asgi_ws.wire.masking import unmask, unmask_plainly

from .streams import MASK, xor

WHOLE = bytes(range(256)) * 2
MASKS = [MASK, bytes(4), b"\xff\xff\xff\xff", b"\0\0\0\x01", b"\x80\0\0\0"]


@pytest.mark.parametrize("mask", MASKS)
def test_both_ways_of_unmasking_are_the_one_of_the_rfc_for_any_size(mask: bytes) -> None:
    for size in range(301):
        data = WHOLE[-size:] if size else b""
        assert unmask(data, mask) == unmask_plainly(data, mask) == xor(data, mask)


def test_both_ways_of_unmasking_take_a_view_at_any_offset() -> None:
    for offset in range(17):
        for size in (*range(34), 63, 64, 65, 300):
            view = memoryview(WHOLE)[offset : offset + size]
            expected = xor(WHOLE[offset : offset + size], MASK)
            assert unmask(view, MASK) == unmask_plainly(view, MASK) == expected


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_result_is_bytes_whatever_the_data_is(kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    for way in (unmask, unmask_plainly):
        for data in (b"", b"Hello"):
            assert type(way(kind(data), MASK)) is bytes


def test_unmasking_twice_gives_what_was_there() -> None:
    for way in (unmask, unmask_plainly):
        assert way(way(WHOLE, MASK), MASK) == WHOLE


def test_a_large_payload_is_unmasked_plainly_too() -> None:
    data = WHOLE * 512 + b"odd"
    assert unmask_plainly(data, MASK) == unmask(data, MASK)


def test_the_c_function_is_used_where_it_is() -> None:
    speedups = pytest.importorskip("websockets.speedups")
    assert unmask is speedups.apply_mask


@pytest.mark.parametrize("missing", ["websockets", "websockets.speedups"])
def test_without_the_c_function_frames_are_read_all_the_same(missing: str) -> None:
    probe = f"""
import sys
sys.modules[{missing!r}] = None
from asgi_ws.wire import masking, reader
assert masking.unmask is masking.unmask_plainly
assert reader.FrameReader().feed(bytes.fromhex("818537fa213d7f9f4d5158")) == ["Hello"]
large = b"x" * 70_000
masked = masking.unmask(large, b"abcd")
frame = b"\\x82\\xff" + len(large).to_bytes(8, "big") + b"abcd" + masked
assert reader.FrameReader().feed(frame) == [large]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", probe], check=True)
