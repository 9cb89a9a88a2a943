"""Unmasking by the C function and in plain Python gives the same result for every input."""

import sys
from importlib.util import module_from_spec, spec_from_file_location

import pytest

from asgi_ws.wire import masking, reader
from asgi_ws.wire.masking import unmask, unmask_plainly

from .streams import BINARY, MASK, frame, read, xor

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


def test_without_the_c_function_frames_are_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    # The same module as it is when the import of the C function fails.
    spec = spec_from_file_location("plain", masking.__file__)
    assert spec is not None
    assert spec.loader is not None
    plain = module_from_spec(spec)
    spec.loader.exec_module(plain)
    assert plain.unmask is plain.unmask_plainly
    monkeypatch.setattr(reader, "unmask", plain.unmask)
    for payload in (b"Hello", b"x" * 70_000):
        assert read(frame(BINARY, payload)) == [payload]
