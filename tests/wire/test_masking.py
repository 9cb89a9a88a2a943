"""Unmasking by the C function and in plain Python: the same, of anything that can be read."""

import subprocess
import sys

import pytest

from asgi_ws.wire.masking import unmask, unmask_plainly

from .streams import MASK, xor

WHOLE = bytes(range(256)) * 2


def test_both_ways_of_unmasking_are_the_one_of_the_rfc_for_any_size_and_offset() -> None:
    for mask in (MASK, bytes(4), b"\xff\xff\xff\xff", b"\x80\0\0\x01"):
        for size in (*range(34), 63, 64, 65, 300):
            for offset in (0, 1, 3, 8):
                view = memoryview(WHOLE)[offset : offset + size]
                expected = xor(WHOLE[offset : offset + size], mask)
                for way in (unmask, unmask_plainly):
                    for data in (view, bytes(view), bytearray(view)):
                        result = way(data, mask)
                        assert type(result) is bytes
                        assert result == expected
    large = WHOLE * 512 + b"odd"
    assert unmask_plainly(large, MASK) == unmask(large, MASK)


def test_the_c_function_is_used_where_it_is() -> None:
    speedups = pytest.importorskip("websockets.speedups")
    assert unmask is speedups.apply_mask


def test_without_the_c_function_frames_are_read_all_the_same() -> None:
    probe = """
import sys
sys.modules["websockets.speedups"] = None
from asgi_ws.wire import masking, reader
assert masking.unmask is masking.unmask_plainly
assert reader.FrameReader().feed(bytes.fromhex("818537fa213d7f9f4d5158")) == ["Hello"]
large = b"x" * 70_000
frame = b"\\x82\\xff" + len(large).to_bytes(8, "big") + b"abcd" + masking.unmask(large, b"abcd")
assert reader.FrameReader().feed(frame) == [large]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", probe], check=True)
