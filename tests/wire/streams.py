"""Data of clients: a builder of frames, ways to read them, and strategies for valid and invalid streams."""

import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from asgi_ws.sizes import MIB
from asgi_ws.wire.events import Close, Event, NotDeflate, Ping, Pong, TooLong, Utf8, Violation
from asgi_ws.wire.masking import BytesLike
from asgi_ws.wire.reader import FrameReader

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10

MASK: Final = b"\x37\xfa\x21\x3d"
# This mask leaves the payload as it is, at no cost for any length.
NO_MASK: Final = bytes(4)
SYNC_FLUSH: Final = b"\x00\x00\xff\xff"


def xor(payload: bytes, mask: bytes) -> bytes:
    """Mask byte by byte, as RFC 6455 section 5.3 has it."""
    return bytes(byte ^ key for byte, key in zip(payload, itertools.cycle(mask), strict=False))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    length: int | None = None,
    size: int | None = None,
) -> bytes:
    """Return a frame of a client, valid by default.

    `length` is the payload length that it claims; `size` is the number of bytes of the extended length.
    """
    length = len(payload) if length is None else length
    if size is None:
        size = 0 if length < 126 else 2 if length < 65_536 else 8
    second = {0: length, 2: 126, 8: 127}[size] | (0 if mask is None else 0x80)
    head = bytes(((FIN if fin else 0) | rsv | opcode, second)) + (length.to_bytes(size, "big") if size else b"")
    return head + (payload if mask is None else mask + (xor(payload, mask) if any(mask) else payload))


def close(code: int = 1000, reason: str | bytes = "") -> bytes:
    """Return a close frame of a client, whose code and reason may be invalid."""
    return frame(CLOSE, code.to_bytes(2, "big") + (reason.encode() if isinstance(reason, str) else reason))


def fragments(opcode: int, parts: Sequence[bytes], *, rsv: int = 0) -> list[bytes]:
    """Return the frames of one message."""
    last = len(parts) - 1
    return [
        frame(CONT if index else opcode, part, fin=index == last, rsv=0 if index else rsv)
        for index, part in enumerate(parts)
    ]


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut `data` at these places, of which some may be equal or past its end."""
    places = [0, *sorted(cuts), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


def drain(reader: FrameReader, data: bytes, most: int | None = None) -> list[Event]:
    """Feed `data` and return all events, with at most `most` messages a call and text as `str`."""
    events: list[Event] = []
    # Each call reads a frame or inflates 128 KiB, so a reader that never finishes is found.
    for _ in range(len(data) + 600):
        found = reader.feed(data) if most is None else reader.feed(data, most)
        assert most is None or sum(isinstance(event, str | bytes | Utf8) for event in found) <= most
        events += [event.decode() if isinstance(event, Utf8) else event for event in found]
        if not reader.has_more:
            return events
        data = b""
    raise AssertionError("the reader has more without end")


def read(
    data: bytes, *, cuts: Iterable[int] = (), most: int | None = None, reader: FrameReader | None = None
) -> list[Event]:
    """Return the events of a reader that gets `data` in these pieces."""
    reader = FrameReader() if reader is None else reader
    return [event for piece in pieces(data, cuts) for event in drain(reader, piece, most)]


class PlainInflater:
    """An `Inflater` of zlib alone that records its calls."""

    def __init__(self) -> None:
        self.rest: Iterator[bytes] | None = None
        self.calls: list[tuple[bytes, bool, int]] = []
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)

    def inflate(self, payload: BytesLike, *, final: bool, room: int) -> bytes:
        data = bytes(payload)
        self.calls.append((data, final, room))
        try:
            opened = self._zlib.decompress(data + (SYNC_FLUSH if final else b""), room + 1)
        except zlib.error:
            raise NotDeflate from None
        if len(opened) > room:
            raise TooLong
        return opened


def deflated(
    payload: bytes, compressor: "zlib._Compress | None" = None, *, wbits: int = -15, mode: int = zlib.Z_SYNC_FLUSH
) -> bytes:
    """Return the payload of a compressed message (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(wbits=wbits) if compressor is None else compressor
    return (compressor.compress(payload) + compressor.flush(mode)).removesuffix(SYNC_FLUSH)


def bomb(mebibytes: int, *, mode: int = zlib.Z_SYNC_FLUSH) -> bytes:
    """Return zeros in a thousandth of their size; no MiB refers to the one before it."""
    compressor = zlib.compressobj(9, wbits=-12, memLevel=9)
    mebibyte = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return (mebibyte * mebibytes + compressor.flush(mode)).removesuffix(SYNC_FLUSH)


# -- strategies


@dataclass(frozen=True, slots=True)
class Stream:
    """Frames, and the events that a reader has to return."""

    data: bytes
    events: tuple[Event, ...]

    def __add__(self, other: "Stream") -> "Stream":
        return Stream(self.data + other.data, self.events + other.events)


MASKS = st.binary(min_size=4, max_size=4)
# Lengths around which a header changes its form are rare among what Hypothesis draws by itself.
PAYLOADS = st.binary(max_size=140) | st.sampled_from((125, 126, 127, 65_535, 65_536)).map(bytes)
TEXTS = st.text(max_size=60) | st.sampled_from((124, 125, 126, 65_536)).map("x".__mul__)
CODES = st.sampled_from((1000, 1001, 1003, 1007, 1010, 1011, 1014, 3000, 4999))


@st.composite
def cut(draw: st.DrawFn, whole: bytes, *, at_most: int = 4) -> list[bytes]:
    """Draw a few pieces, some of them empty."""
    return pieces(whole, draw(st.lists(st.integers(0, len(whole)), max_size=at_most)))


@st.composite
def controls(draw: st.DrawFn) -> Stream:
    """Draw a ping, a pong or nothing."""
    payload, mask = draw(st.binary(max_size=125)), draw(MASKS)
    ping = Stream(frame(PING, payload, mask=mask), (Ping(payload),))
    pong = Stream(frame(PONG, payload, mask=mask), (Pong(payload),))
    return draw(st.sampled_from((Stream(b"", ()), ping, pong)))


@st.composite
def messages(draw: st.DrawFn, compressor: "zlib._Compress | None" = None) -> Stream:
    """Draw a message in a few fragments with control frames in between, compressed or not."""
    message: str | bytes = draw(TEXTS | PAYLOADS)
    opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
    rsv = 0
    if compressor is not None and draw(st.booleans()):
        rsv = RSV1
        payload = deflated(payload, compressor)
    parts = draw(st.just([payload]) | cut(payload))
    stream = Stream(b"", ())
    for fragment in fragments(opcode, parts, rsv=rsv):
        stream = stream + draw(controls()) + Stream(fragment, ())
    return stream + Stream(b"", (message,))


@st.composite
def streams(draw: st.DrawFn, *, compressed: bool = False, at_most: int = 4) -> Stream:
    """Draw messages and control frames, with a close frame at the end or not."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS) if compressed else None
    stream = Stream(b"", ())
    for _ in range(draw(st.integers(0, at_most))):
        stream += draw(messages(compressor) | controls())
    if draw(st.booleans()):
        code, reason = draw(CODES), draw(st.text(max_size=30))
        stream += Stream(close(code, reason.encode()), (Close(code, reason),))
    return stream


def without_reasons(events: Iterable[Event]) -> list[Event]:
    """Strip the reasons of violations, which are prose."""
    return [Violation(event.code, "") if isinstance(event, Violation) else event for event in events]
