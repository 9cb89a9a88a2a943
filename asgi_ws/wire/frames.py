"""Frames of RFC 6455, as a server sees them, sans-IO: bytes in, events out; payloads in, frames out.

A text message is a `str`, a binary one `bytes`; for control frames, and for what the peer did wrong, there are types.
"""

import codecs
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from ..errors import UsageError
from ..lifecycle import CloseCode, check_close
from .masking import BytesLike, unmask

KIB: Final = 1024
MIB: Final = 1024 * KIB

# RFC 6455 section 5.2, the first byte and the second.
_FIN: Final = 0x80
_RSV1: Final = 0x40
_RSV2_RSV3: Final = 0x30
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F

_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA
_WHOLE_TEXT: Final = _FIN | _TEXT
_WHOLE_BINARY: Final = _FIN | _BINARY
_WHOLE: Final = frozenset({_WHOLE_TEXT, _WHOLE_BINARY})

# These lengths say that the real one follows in two or eight bytes; below the minimum it has to be in fewer.
_IN_2_BYTES: Final = 126
_IN_8_BYTES: Final = 127
_MIN_IN_8_BYTES: Final = 65_536
_MAX_LENGTH: Final = 2**63 - 1
_MAX_CONTROL: Final = 125
# From this size on a view is cheaper than a copy.
_LARGE: Final = 4096
_UNBOUNDED: Final = 2**63


class Inflater(Protocol):
    """What opens compressed messages: `deflate.Deflate`."""

    def inflate(self, payload: BytesLike, *, final: bool, room: int) -> bytes:
        """Open a part of a message, its last one where `final`.

        Raises:
            TooLong: for more than `room` bytes.
            NotDeflate: for what is no such data.
        """
        ...


class TooLong(Exception):
    """A compressed message is longer than it may be."""


class NotDeflate(Exception):
    """The data of a compressed message cannot be inflated."""


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping, to be answered with a pong of the same payload (RFC 6455 section 5.5.2)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """A pong (RFC 6455 section 5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """A close frame; the code is 1005 where it had none (RFC 6455 sections 5.5.1 and 7.1.5)."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """What the peer sent ends the connection (RFC 6455 section 7.1.7).

    Attributes:
        code: the close code to answer with: 1002, 1007 or 1009.
        reason: a few words, none of them the peer's.
    """

    code: int
    reason: str


Event: TypeAlias = str | bytes | Ping | Pong | Close | Failed


class _Violation(Exception):
    """What becomes a `Failed`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.failed = Failed(code, reason)


class FrameReader:
    """Reads the frames of a client, in any pieces, and makes messages of them.

    Args:
        max_message_bytes: of one message, after inflation. Past it: 1009, as soon as the length is known.
        max_fragments: of one message. Past it: 1009.
        max_inflated_bytes: after so much of compressed messages `feed` leaves the rest to the next call.

    Attributes:
        inflater: opens compressed messages; without one a frame that says to be compressed is 1002.
        has_more: whether the last `feed` stopped at its bound, and there may be an event in what it left.
    """

    __slots__ = (
        "_data",
        "_fragments",
        "_inflatable",
        "_is_ended",
        "_is_final",
        "_is_text",
        "_is_under_way",
        "_mask",
        "_max_fragments",
        "_max_inflated_bytes",
        "_max_message_bytes",
        "_message",
        "_missing",
        "_opens",
        "_position",
        "_received",
        "_short",
        "_utf8",
        "has_more",
        "inflater",
    )

    def __init__(
        self,
        *,
        max_message_bytes: int = 16 * MIB,
        max_fragments: int = 131_072,
        max_inflated_bytes: int = MIB,
        inflater: Inflater | None = None,
    ) -> None:
        self._max_message_bytes = max_message_bytes
        self._max_fragments = max_fragments
        self._max_inflated_bytes = max_inflated_bytes
        self.inflater = inflater
        # The highest second byte of a frame that has its length there and is not too long.
        self._short = _MASKED + min(_IN_2_BYTES - 1, max_message_bytes)
        # What is to be read, from `_position` on.
        self._data = b""
        self._position = 0
        self.has_more = False
        self._is_ended = False
        # How much this call may still inflate.
        self._inflatable = 0
        # The message under way, if there is one: its frames so far, their bytes on the wire, and what they held.
        self._is_under_way = False
        self._is_text = False
        self._opens: Inflater | None = None
        self._fragments = 0
        self._received = 0
        self._message: bytearray | None = None
        self._utf8: codecs.IncrementalDecoder | None = None
        # The data frame under way: the bytes that are missing, the mask from the next of them on, and whether the
        # message ends with it.
        self._missing = 0
        self._mask = b""
        self._is_final = False

    def feed(self, data: bytes = b"", most: int = _UNBOUNDED) -> list[Event]:
        """All events that are complete now, at most so many; what is left comes with the next call.

        After a `Close` or a `Failed` there is nothing more, and input is ignored.
        """
        events: list[Event] = []
        if self._is_ended:
            return events
        position = 0
        if self._data:
            if data:
                data = self._data[self._position :] + data
            else:
                data, position = self._data, self._position
        try:
            position = self._read(data, position, events, most)
        except _Violation as violation:
            events.append(violation.failed)
            self._is_ended = True
        if self._is_ended:
            self._data = b""
            self._message = self._utf8 = self.inflater = None
            self.has_more = False
        elif position < len(data):
            self._data = data
            self._position = position
        elif self._data:
            self._data = b""
        return events

    def whole(self, data: bytes) -> str | bytes | None:
        """The message that `data` is, where that is one frame of less than 64 KiB and nothing is under way; else None.

        The same as `feed` in a third of its time, for what most reads are. After None `feed` is to read it.
        """
        if len(data) < 6 or self._data or self._is_under_way or self._is_ended:
            return None
        first = data[0]
        second = data[1]
        start = 6
        length = second - _MASKED
        if length == _IN_2_BYTES:
            start = 8
            length = int.from_bytes(data[2:4], "big")
            if not _IN_2_BYTES <= length <= self._max_message_bytes:
                return None
        elif second > self._short:
            return None
        if len(data) - start != length or first not in _WHOLE:
            return None
        payload = unmask(data[start:], data[start - 4 : start])
        if first == _WHOLE_BINARY:
            return payload
        try:
            return payload.decode()
        except UnicodeDecodeError:
            return None

    def _read(self, data: bytes, position: int, events: list[Event], most: int) -> int:
        """Read frames from `position` on; where the first begins that is not complete, or left to the next call."""
        end = len(data)
        short = self._short
        self._inflatable = self._max_inflated_bytes
        if self._missing:
            position = self._read_payload(data, position, events)
            if self._inflatable <= 0:
                self.has_more = end - position >= 2
                return position
        while end - position >= 2 and len(events) < most:
            first = data[position]
            second = data[position + 1]
            start = position + 6
            stop = start + second - _MASKED
            is_text = first == _WHOLE_TEXT
            # Most frames are a short message by themselves, and all there is to check of them is the text.
            if (
                (is_text or first == _WHOLE_BINARY)
                and _MASKED <= second <= short
                and stop <= end
                and not self._is_under_way
            ):
                payload = unmask(data[start:stop], data[position + 2 : start])
                events.append(_decoded(payload) if is_text else payload)
                position = stop
                continue
            following = self._read_frame(data, position, first, second, events)
            if following == position:
                self.has_more = False
                return position
            position = following
            if self._is_ended:
                return position
            if self._inflatable <= 0:
                break
        # One byte is no header, and nothing more can be in it.
        self.has_more = end - position >= 2
        return position

    def _read_frame(self, data: bytes, position: int, first: int, second: int, events: list[Event]) -> int:
        """Read a frame of any kind; where the next begins, or `position` itself while its header is not complete."""
        opcode = first & _OPCODE
        self._check_header(first, second, opcode)
        length = second & _LENGTH
        start = position + 2
        if length >= _IN_2_BYTES:
            size, least = (2, _IN_2_BYTES) if length == _IN_2_BYTES else (8, _MIN_IN_8_BYTES)
            if len(data) < start + size:
                return position
            length = int.from_bytes(data[start : start + size], "big")
            start += size
            if not least <= length <= _MAX_LENGTH:
                raise _Violation(CloseCode.PROTOCOL_ERROR, "length not in the fewest bytes")
        is_control = opcode >= _CLOSE
        opens = self._opens
        if not is_control:
            if opcode:
                opens = self.inflater if first & _RSV1 else None
            self._check_size(length, is_compressed=opens is not None)
        if len(data) < start + 4:
            return position
        mask = data[start : start + 4]
        start += 4
        if is_control:
            if len(data) < start + length:
                return position
            self._read_control(opcode, unmask(data[start : start + length], mask), events)
            return start + length
        if opcode:
            self._is_under_way = True
            self._is_text = opcode == _TEXT
            self._opens = opens
        self._fragments += 1
        self._received += length
        self._missing, self._mask, self._is_final = length, mask, bool(first & _FIN)
        return self._read_payload(data, start, events)

    def _check_header(self, first: int, second: int, opcode: int) -> None:
        """Check what can be told from the first two bytes of a frame (RFC 6455 sections 5.1, 5.2, 5.4 and 5.5)."""
        if first & _RSV2_RSV3 or (first & _RSV1 and (self.inflater is None or opcode not in (_TEXT, _BINARY))):
            raise _Violation(CloseCode.PROTOCOL_ERROR, "reserved bit set")
        if not second & _MASKED:
            raise _Violation(CloseCode.PROTOCOL_ERROR, "frame not masked")
        if opcode >= _CLOSE:
            if opcode > _PONG:
                raise _Violation(CloseCode.PROTOCOL_ERROR, "reserved opcode")
            if not first & _FIN:
                raise _Violation(CloseCode.PROTOCOL_ERROR, "fragmented control frame")
            if second & _LENGTH > _MAX_CONTROL:
                raise _Violation(CloseCode.PROTOCOL_ERROR, "control frame too long")
        elif opcode > _BINARY:
            raise _Violation(CloseCode.PROTOCOL_ERROR, "reserved opcode")
        elif opcode and self._is_under_way:
            raise _Violation(CloseCode.PROTOCOL_ERROR, "message not finished")
        elif not opcode and not self._is_under_way:
            raise _Violation(CloseCode.PROTOCOL_ERROR, "nothing to continue")

    def _check_size(self, length: int, *, is_compressed: bool) -> None:
        largest = self._max_message_bytes
        if is_compressed:
            # What cannot be compressed gets a little longer (RFC 1951 section 3.2.4).
            largest += largest // 1024 + 64
        if self._received + length > largest:
            raise _Violation(CloseCode.MESSAGE_TOO_BIG, "message too big")
        if self._fragments >= self._max_fragments:
            raise _Violation(CloseCode.MESSAGE_TOO_BIG, "too many fragments")

    def _read_control(self, opcode: int, payload: bytes, events: list[Event]) -> None:
        if opcode == _CLOSE:
            events.append(_close(payload))
            self._is_ended = True
        else:
            events.append(Ping(payload) if opcode == _PING else Pong(payload))

    def _read_payload(self, data: bytes, start: int, events: list[Event]) -> int:
        """Read what there is of the data frame under way; where it ends."""
        stop = min(start + self._missing, len(data))
        size = stop - start
        part = unmask(data[start:stop] if size < _LARGE else memoryview(data)[start:stop], self._mask)
        self._missing -= size
        if self._missing:
            turn = size % 4
            self._mask = self._mask[turn:] + self._mask[:turn]
        is_last = self._is_final and not self._missing
        if self._opens is not None:
            part = self._inflated(self._opens, part, final=is_last)
        if is_last:
            self._finish(part, events)
        else:
            self._keep(part)
        return stop

    def _inflated(self, opens: Inflater, part: bytes, *, final: bool) -> bytes:
        room = self._max_message_bytes - (0 if self._message is None else len(self._message))
        try:
            part = opens.inflate(part, final=final, room=room)
        except TooLong:
            raise _Violation(CloseCode.MESSAGE_TOO_BIG, "message too big") from None
        except NotDeflate:
            raise _Violation(CloseCode.INVALID_PAYLOAD, "invalid compressed data") from None
        self._inflatable -= len(part)
        return part

    def _keep(self, part: bytes) -> None:
        """Keep a part of a message that is to be continued, and check what can be checked of its text by now."""
        if self._message is None:
            self._message = bytearray()
            self._utf8 = codecs.getincrementaldecoder("utf-8")() if self._is_text else None
        self._message += part
        if self._utf8 is not None:
            try:
                self._utf8.decode(part)
            except UnicodeDecodeError:
                raise _not_utf8() from None
            # The decoder waits for the third byte of a surrogate, which no third byte can make right.
            if b"\xed\xa0" <= self._utf8.getstate()[0] < b"\xee":
                raise _not_utf8()

    def _finish(self, part: bytes, events: list[Event]) -> None:
        message: bytes | bytearray = part
        if self._message is not None:
            self._message += part
            message = self._message
        events.append(_decoded(message) if self._is_text else bytes(message))
        self._is_under_way = False
        self._fragments = self._received = 0
        self._message = self._utf8 = None


def _decoded(payload: bytes | bytearray) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise _not_utf8() from None


def _not_utf8() -> _Violation:
    return _Violation(CloseCode.INVALID_PAYLOAD, "invalid UTF-8")


def _close(payload: bytes) -> Close:
    """A close frame from its payload (RFC 6455 section 5.5.1)."""
    if not payload:
        return Close(CloseCode.NO_STATUS, "")
    code = int.from_bytes(payload[:2], "big")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        raise _not_utf8() from None
    try:
        check_close(code if len(payload) > 1 else 0, reason)
    except UsageError:
        raise _Violation(CloseCode.PROTOCOL_ERROR, "invalid close frame") from None
    return Close(code, reason)


# -- frames out: a server does not mask (RFC 6455 section 5.1)

TEXT: Final = _WHOLE_TEXT
BINARY: Final = _WHOLE_BINARY
# Beside one of the two: the payload is compressed (RFC 7692 section 6).
COMPRESSED: Final = _RSV1

SHORT_HEADERS: Final = {
    first: [bytes((first, length)) for length in range(_IN_2_BYTES)]
    for first in (TEXT, BINARY, TEXT | COMPRESSED, BINARY | COMPRESSED, _FIN | _CLOSE, _FIN | _PING, _FIN | _PONG)
}


def header(first: int, length: int) -> bytes:
    """The header of a frame: `first` is its first byte, such as TEXT, and `length` that of the payload."""
    if length < _IN_2_BYTES:
        return SHORT_HEADERS[first][length]
    if length < _MIN_IN_8_BYTES:
        return bytes((first, _IN_2_BYTES)) + length.to_bytes(2, "big")
    return bytes((first, _IN_8_BYTES)) + length.to_bytes(8, "big")


def ping_frame(payload: bytes) -> bytes:
    """A ping with at most 125 bytes."""
    return header(_FIN | _PING, len(payload)) + payload


def pong_frame(payload: bytes) -> bytes:
    """A pong with at most 125 bytes, those of the ping."""
    return header(_FIN | _PONG, len(payload)) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; 1005 stands for one without a code.

    Raises:
        InvalidCloseCode: for a code that may not be sent; see `lifecycle.check_close`.
        InvalidCloseReason: for a reason of more than 123 bytes.
    """
    if code == CloseCode.NO_STATUS:
        return header(_FIN | _CLOSE, 0)
    check_close(code, reason)
    payload = code.to_bytes(2, "big") + reason.encode()
    return header(_FIN | _CLOSE, len(payload)) + payload
