"""Frames as a server receives them (RFC 6455), sans-IO: bytes in, events out."""

import codecs
from typing import Final

from ..bounds import MIB
from ..errors import UsageError
from ..lifecycle import CloseCode, check_close
from .events import Close, Event, Failed, Inflater, NotDeflate, Ping, Pong, TooLong
from .frames import (
    BINARY,
    BINARY_OPCODE,
    CLOSE_OPCODE,
    FIN,
    IN_2_BYTES,
    MIN_IN_8_BYTES,
    PING_OPCODE,
    PONG_OPCODE,
    RSV1,
    TEXT,
    TEXT_OPCODE,
)
from .masking import unmask

# RFC 6455 section 5.2, the first byte and the second.
_RSV2_RSV3: Final = 0x30
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
# The second byte of a masked frame whose length follows in two bytes.
_MASKED_IN_2_BYTES: Final = _MASKED | IN_2_BYTES

_WHOLE: Final = frozenset({TEXT, BINARY})
_MAX_LENGTH: Final = 2**63 - 1
_MAX_CONTROL: Final = 125
# From this size on a view is cheaper than a copy.
_LARGE: Final = 4096
_UNBOUNDED: Final = 2**63


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
        "_is_discarding",
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
        self._short = _MASKED + min(IN_2_BYTES - 1, max_message_bytes)
        # What is to be read, from `_position` on.
        self._data = b""
        self._position = 0
        self.has_more = False
        self._is_ended = False
        self._is_discarding = False
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
        except UnicodeDecodeError:
            events.append(Failed(CloseCode.INVALID_PAYLOAD, "invalid UTF-8"))
            self._is_ended = True
        if self._is_ended:
            self._data = b""
            self._message = self._utf8 = self._opens = self.inflater = None
            self.has_more = False
        elif position < len(data):
            self._data = data
            self._position = position
        elif self._data:
            self._data = b""
        return events

    def discard(self) -> None:
        """Keep and inflate no more of the messages, which come out empty; what ends the reading is still found."""
        self._is_discarding = True
        self._message = None

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
        if length == IN_2_BYTES:
            start = 8
            length = int.from_bytes(data[2:4], "big")
            if not IN_2_BYTES <= length <= self._max_message_bytes:
                return None
        elif second > self._short:
            return None
        if len(data) - start != length or first not in _WHOLE:
            return None
        payload = unmask(data[start:], data[start - 4 : start])
        if first == BINARY:
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
        if self._missing and most:
            position = self._read_payload(data, position, events)
        while end - position >= 2 and len(events) < most and self._inflatable > 0:
            first = data[position]
            second = data[position + 1]
            # Most frames are a message by themselves, and all there is to check of them is the text.
            if (first == TEXT or first == BINARY) and not self._is_under_way:  # noqa: PLR1714, SIM109 -- half the time of a set
                start = position + 6
                stop = start + second - _MASKED
                is_short = _MASKED <= second <= short
                if second == _MASKED_IN_2_BYTES and end - position >= 4:
                    start += 2
                    stop = start + (data[position + 2] << 8) + data[position + 3]
                    is_short = IN_2_BYTES <= stop - start <= self._max_message_bytes
                if is_short and stop <= end:
                    payload = unmask(data[start:stop], data[start - 4 : start])
                    events.append(payload.decode() if first == TEXT else payload)
                    position = stop
                    continue
            following = self._read_frame(data, position, first, second, events)
            if following == position or self._is_ended:
                self.has_more = False
                return following
            position = following
        # One byte is no header, and nothing more can be in it.
        self.has_more = end - position >= 2
        return position

    def _read_frame(self, data: bytes, position: int, first: int, second: int, events: list[Event]) -> int:
        """Read a frame of any kind; where the next begins, or `position` itself while its header is not complete."""
        opcode = first & _OPCODE
        self._check_header(first, second, opcode)
        length = second & _LENGTH
        start = position + 2
        if length >= IN_2_BYTES:
            size, least = (2, IN_2_BYTES) if length == IN_2_BYTES else (8, MIN_IN_8_BYTES)
            if len(data) < start + size:
                return position
            length = int.from_bytes(data[start : start + size], "big")
            start += size
            if not least <= length <= _MAX_LENGTH:
                raise _Violation(CloseCode.PROTOCOL_ERROR, "length in too many bytes, or too large for any frame")
        is_control = opcode >= CLOSE_OPCODE
        opens = self._opens
        if not is_control:
            if opcode:
                opens = self.inflater if first & RSV1 else None
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
            self._is_text = opcode == TEXT_OPCODE
            self._opens = opens
        self._fragments += 1
        self._received += length
        self._missing, self._mask, self._is_final = length, mask, bool(first & FIN)
        return self._read_payload(data, start, events)

    def _check_header(self, first: int, second: int, opcode: int) -> None:
        """Check what can be told from the first two bytes of a frame (RFC 6455 sections 5.1, 5.2, 5.4 and 5.5)."""
        if first & _RSV2_RSV3 or (
            first & RSV1 and (self.inflater is None or opcode not in (TEXT_OPCODE, BINARY_OPCODE))
        ):
            raise _Violation(CloseCode.PROTOCOL_ERROR, "reserved bit set")
        if not second & _MASKED:
            raise _Violation(CloseCode.PROTOCOL_ERROR, "frame not masked")
        if opcode >= CLOSE_OPCODE:
            if opcode > PONG_OPCODE:
                raise _Violation(CloseCode.PROTOCOL_ERROR, "reserved opcode")
            if not first & FIN:
                raise _Violation(CloseCode.PROTOCOL_ERROR, "fragmented control frame")
            if second & _LENGTH > _MAX_CONTROL:
                raise _Violation(CloseCode.PROTOCOL_ERROR, "control frame too long")
        elif opcode > BINARY_OPCODE:
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
        if opcode == CLOSE_OPCODE:
            events.append(_close(payload))
            self._is_ended = True
        else:
            events.append(Ping(payload) if opcode == PING_OPCODE else Pong(payload))

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
        if self._is_discarding:
            part = b""
        elif self._opens is not None:
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
        # Most text is ASCII, and to see that is cheaper than to decode it.
        if self._utf8 is not None and not (part.isascii() and not self._utf8.getstate()[0]):
            self._utf8.decode(part)
            # The decoder waits for the third byte of a surrogate, which no third byte can make right.
            if b"\xed\xa0" <= self._utf8.getstate()[0] < b"\xee":
                raise _Violation(CloseCode.INVALID_PAYLOAD, "invalid UTF-8")

    def _finish(self, part: bytes, events: list[Event]) -> None:
        message: bytes | bytearray = part
        if self._message is not None:
            self._message += part
            message = self._message
        events.append(message.decode() if self._is_text else bytes(message))
        self._is_under_way = False
        self._fragments = self._received = 0
        self._message = None


def _close(payload: bytes) -> Close:
    """A close frame from its payload (RFC 6455 section 5.5.1).

    Raises:
        UnicodeDecodeError: for a reason that is not UTF-8.
    """
    if not payload:
        return Close(CloseCode.NO_STATUS, "")
    code = int.from_bytes(payload[:2], "big")
    reason = payload[2:].decode()
    try:
        check_close(code if len(payload) > 1 else 0, reason)
    except UsageError:
        raise _Violation(CloseCode.PROTOCOL_ERROR, "invalid close frame") from None
    return Close(code, reason)
