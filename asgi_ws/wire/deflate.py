"""Messages compressed and inflated (RFC 7692, 7.2), with contexts that are there only while they are needed.

It is all zlib of the standard library. `python -m benchmarks.deflate_settings` compares: isal makes JSON text a third
larger than zlib does by default; zlib-ng compresses to the same size with a tenth less CPU and inflates with up to half
of it, but takes five times the memory for each connection, which is not worth a dependency.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from .events import NotDeflate, TooLong
from .masking import BytesLike
from .negotiation import Parameters

if TYPE_CHECKING:
    from zlib import _Compress, _Decompress

# The tail that a sender removes from each message and a receiver puts back (RFC 7692, 7.2.1 and 7.2.2).
_TAIL: Final = b"\x00\x00\xff\xff"
# The empty message (RFC 7692, 7.2.3.6).
_EMPTY: Final = b"\x00"
# Bytes that a call gives at most, so that its caller can do something else between two of them.
_OUTPUT: Final = 128 * 1024
# So many streams may end in a payload, and one more for each so many of its bytes: streams of two bytes, which say
# nothing, would cost a hundred times what data does.
_ENDS: Final = 16
_BYTES_FOR_AN_END: Final = 32

# From this size on the search for repetitions is what costs, and level 4 takes two thirds of the CPU of level 6 for
# about a tenth more bytes. Below it level 6 costs no more.
_LONG: Final = 512
_LEVEL: Final = 6
_LEVEL_OF_LONG: Final = 4

# In a sample of compressed, encrypted or random data there are more different bytes than this and half of the sample's
# size; in one of text, and of numbers in an array, there are fewer.
_KINDS: Final = 17
_SAMPLE: Final = 256
_TOO_SHORT_TO_TELL: Final = 64

# Messages compressed without context are kept for the next connection that sends the same.
_SHARED: Final = 8
_SHARED_BYTES: Final = 1024 * 1024


class _Settings(NamedTuple):
    """Compressors with the same ones make the same of the same message."""

    level: int
    window_bits: int
    memory_level: int

    def compressor(self) -> "_Compress":
        return zlib.compressobj(self.level, zlib.DEFLATED, -self.window_bits, self.memory_level)


class _Shared(NamedTuple):
    settings: _Settings
    payload: bytes
    compressed: bytes | None


# Newest first. Replaced as a whole and never changed, since loops in other threads may look into it meanwhile.
_shared: tuple[_Shared, ...] = ()


class Deflate:
    """The compression of one connection. Until the first compressed message it holds no context.

    Args:
        parameters: as they were negotiated.
        level: of zlib, 1 to 9; None for one that goes by the size of the messages.
        memory_level: of zlib, 1 to 9. A compressor takes about `2**(window_bits + 2) + 2**(memory_level + 9)` bytes.

    Attributes:
        minimum: bytes of a payload below which compressing costs more than it saves: send it as it is.
        rest: gives what the last part inflates to beyond what `inflate` has returned. None where that was all.
    """

    __slots__ = ("_compressor", "_inflater", "_level", "_memory_level", "_parameters", "_settings", "minimum", "rest")

    def __init__(self, parameters: Parameters, *, level: int | None = None, memory_level: int = 5) -> None:
        self._parameters = parameters
        self._level = level
        self._memory_level = memory_level
        # The window of the client. None before its first message, and between messages without context.
        self._inflater: _Decompress | None = None
        self.rest: Iterator[bytes] | None = None
        # The window of the server, and how it was made. None before its first message, after `release`, and
        # without context takeover.
        self._compressor: _Compress | None = None
        self._settings: _Settings | None = None
        self.minimum = 128 if parameters.server_no_context_takeover else 16

    def inflate(self, payload: BytesLike, *, final: bool, room: int) -> bytes:
        """Inflate a part of a compressed message, and return the first of what that gives, 128 KiB at most.

        Where `rest` is an iterator after that, there is more to come, in steps of 128 KiB. Each takes time in
        proportion to what it gives and to the payload, so give it large ones in parts of 16 KiB.

        A client may end its stream and begin another, also within a message (RFC 7692, 7.2.3.4). A message that is cut
        short within a block gives what there is of it: that there was more cannot be seen.

        Args:
            payload: unmasked, of a frame or a part of one.
            final: whether it is the message's last part.
            room: the most bytes that it may give, `rest` included.

        Raises:
            TooLong: as soon as there would be more. The connection cannot go on after it.
            NotDeflate: for data that is not deflated. Likewise.
        """
        tail = _TAIL if final else b""
        inflater = self._inflater
        if inflater is None:
            # Where a stream ended with the part before this one, its tail begins no other.
            if not payload:
                return b""
            inflater = self._begin()
        limit = min(room + 1, _OUTPUT)
        try:
            data = inflater.decompress(b"".join((payload, tail)), limit)
        except zlib.error:
            raise NotDeflate from None
        if len(data) > room:
            raise TooLong
        if inflater.eof or len(data) == limit:
            self.rest = self._inflate_rest(_rest(inflater, tail), room - len(data), len(payload), final=final)
        elif final and self._parameters.client_no_context_takeover:
            self._inflater = None
        return data

    def compress(self, payload: bytes) -> bytes | None:
        """Return a whole message compressed, or None if it should be sent as it is.

        That is where it looks compressed or encrypted already, which is told from a sample of its bytes, and without
        context takeover also where it would not become smaller. Without context takeover a message that another
        connection with the same parameters has just sent is not compressed again.
        """
        if not payload:
            return _EMPTY
        parameters = self._parameters
        level = self._level or (_LEVEL if len(payload) < _LONG else _LEVEL_OF_LONG)
        settings = self._settings
        if parameters.server_no_context_takeover:
            return _compress_alone(payload, _Settings(level, parameters.server_max_window_bits, self._memory_level))
        if _looks_compressed(payload):
            return None
        compressor = self._compressor
        # A context may be left for a new one at any time. For a longer message that pays, and once is enough.
        if compressor is None or settings is None or level < settings.level:
            self._settings = settings = _Settings(level, parameters.server_max_window_bits, self._memory_level)
            self._compressor = compressor = settings.compressor()
        return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]

    def release(self) -> None:
        """Give back what memory can be given back, at any time: the next message that is sent begins a new context.

        The window of the client stays. Without context takeover there is none between messages.
        """
        self._compressor = self._settings = None

    def _begin(self) -> "_Decompress":
        self._inflater = zlib.decompressobj(-self._parameters.client_max_window_bits)
        return self._inflater

    def _inflate_rest(self, parts: Iterable[BytesLike], room: int, size: int, *, final: bool) -> Iterator[bytes]:
        """Yield what the rest of a payload of `size` bytes inflates to, which stands in these parts."""
        ends = _ENDS + size // _BYTES_FOR_AN_END
        for part in parts:
            left: BytesLike | None = part
            while left is not None:
                inflater = self._inflater
                if inflater is None or inflater.eof:
                    self._inflater = None
                    if not left or left is _TAIL:
                        break
                    if not ends:
                        raise NotDeflate
                    ends -= 1
                    inflater = self._begin()
                limit = min(room + 1, _OUTPUT)
                data = _decompressed(inflater, left, limit)
                room -= len(data)
                if room < 0:
                    raise TooLong
                if inflater.eof:
                    left = b"" if part is _TAIL else inflater.unused_data
                elif len(data) < limit:
                    left = None
                else:
                    # It may be empty while there still is something to come.
                    left = inflater.unconsumed_tail
                yield data
        if final and self._parameters.client_no_context_takeover:
            self._inflater = None
        self.rest = None


def _decompressed(inflater: "_Decompress", data: BytesLike, limit: int) -> bytes:
    try:
        return inflater.decompress(data, limit)
    except zlib.error:
        raise NotDeflate from None


def _rest(inflater: "_Decompress", tail: bytes) -> tuple[BytesLike, ...]:
    """Return the input left after a step that took the tail together with bytes before it."""
    left = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    if not tail:
        return (left,)
    if len(left) >= len(tail):
        return (left[: -len(tail)], tail)
    return (b"" if inflater.eof else left,)


def _looks_compressed(payload: bytes) -> bool:
    if payload.isascii() or len(payload) < _TOO_SHORT_TO_TELL:
        return False
    # An odd step meets every byte of the numbers in an array.
    sample = payload[:: max(1, (len(payload) // _SAMPLE - 1) | 1)][:_SAMPLE]
    return len(set(sample)) > _KINDS + len(sample) // 2


def _compress_alone(payload: bytes, settings: _Settings) -> bytes | None:
    global _shared  # noqa: PLW0603  replacing it is how threads can share it without a lock
    for shared in _shared:
        # Their hashes would cost more than comparing the few that have the same length.
        if shared.payload == payload and shared.settings == settings:
            return shared.compressed
    compressed = None
    if not _looks_compressed(payload):
        compressor = settings.compressor()
        data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        if len(data) - len(_TAIL) < len(payload):
            compressed = data[: -len(_TAIL)]
    room = _SHARED_BYTES
    kept = []
    for shared in (_Shared(settings, payload, compressed), *_shared[: _SHARED - 1]):
        room -= len(shared.payload)
        if room < 0:
            break
        kept.append(shared)
    _shared = tuple(kept)
    return compressed
