"""Frames as a server receives them (RFC 6455), sans-IO: bytes in, events out."""

import codecs
import io
import sys
from collections.abc import Iterator
from typing import Final

from ..close_codes import CloseCode, check_close
from ..errors import UsageError
from ..sizes import KIB, MIB
from . import violations
from .events import Close, Event, Inflater, NotDeflate, Ping, Pong, TooLong, Utf8
from .frames import (
    BINARY,
    CLOSE_OPCODE,
    IN_2_BYTES,
    LENGTH,
    MASKED,
    MIN_IN_8_BYTES,
    OPCODE,
    PING_OPCODE,
    RSV1,
    TEXT,
    TEXT_OPCODE,
)
from .masking import BytesLike, unmask
from .reading import END, END_OF_PAYLOAD, TRANSITIONS, Reading, after_header
from .violations import Violated

_MESSAGE = Reading.MESSAGE
_LAST_PAYLOAD = Reading.LAST_PAYLOAD
_NOTHING = Reading.NOTHING

# The second byte of a masked frame whose length follows in two bytes.
_MASKED_IN_2_BYTES: Final = MASKED | IN_2_BYTES
_WHOLE: Final = frozenset({TEXT, BINARY})
_MAX_LENGTH: Final = 2**63 - 1
# From this size on a view is cheaper than a copy, and a `str` is looked at for its width.
_LARGE: Final = 4 * KIB
_UNBOUNDED: Final = 2**63
# Bytes that a header takes at least, and bytes after which the reader goes on within a payload.
_HEADER: Final = 2
_ANY: Final = 1
# A payload is inflated in parts of this size: it may give a thousand times as much.
_INFLATED_PART: Final = 16 * KIB
# The work of a frame that is not a short message, in bytes: 256 of them are half a millisecond's. More at a time would
# outlive the garbage collector's young generation, and each of its full collections takes 10 ms and more.
_FRAME_WORK: Final = 512


class _Discarded:
    """An `Inflater` that gives nothing, whatever it gets."""

    rest: Iterator[bytes] | None = None

    def inflate(self, payload: BytesLike, *, final: bool, room: int) -> bytes:
        return b""


class FrameReader:
    """Reads the frames of a client, in any pieces, and makes messages of them.

    Args:
        max_message_bytes: of one message, after inflation. Past it: 1009, as soon as the length is known.
        max_fragments: of one message. Past it: 1009.
        max_work: after so much work `feed` leaves the rest to the next call: bytes inflated, and 512 for each frame.

    Attributes:
        inflater: inflates compressed messages; None where a frame that says to be compressed is 1002.
        has_more: whether the last `feed` stopped at one of its bounds, and held bytes may finish an event.
    """

    __slots__ = (
        "_data",
        "_fragments",
        "_inflater_of_message",
        "_later",
        "_mask",
        "_max_fragments",
        "_max_message_bytes",
        "_max_work",
        "_message",
        "_missing",
        "_needed",
        "_opcode",
        "_plain",
        "_position",
        "_received",
        "_short",
        "_state",
        "_utf8",
        "_whole",
        "_work",
        "has_more",
        "inflater",
    )

    def __init__(
        self,
        *,
        max_message_bytes: int = 16 * MIB,
        max_fragments: int = 131_072,
        max_work: int = 128 * KIB,
        inflater: Inflater | None = None,
    ) -> None:
        self._max_message_bytes = max_message_bytes
        self._max_fragments = max_fragments
        self._max_work = max_work
        self.inflater = inflater
        # For messages that are not compressed: None, or a `_Discarded`.
        self._plain: Inflater | None = None
        # The longest message that is read in one go, and the highest second byte of a frame that is one and has its
        # length there.
        self._whole = max_message_bytes
        self._short = MASKED + min(IN_2_BYTES - 1, max_message_bytes)
        # The bytes to read, from `_position` on, and those that came after them.
        self._data = b""
        self._position = 0
        self._later = bytearray()
        self._state = _MESSAGE
        # With so many bytes held the reader comes further: 0 while the inflater has more to give.
        self._needed = _HEADER
        self.has_more = False
        # How much this call may still do.
        self._work = 0
        # The message under way: its opcode, its frames so far, their bytes on the wire, and what inflates it.
        self._opcode = 0
        self._fragments = 0
        self._received = 0
        self._inflater_of_message: Inflater | None = None
        # Its payload so far, and the decoder that has checked that as text. None before the end of its first part.
        self._message: io.BytesIO | None = None
        self._utf8: codecs.IncrementalDecoder | None = None
        # The data frame under way: the bytes that are missing, and the mask from the next of them on.
        self._missing = 0
        self._mask = b""

    @property
    def held(self) -> int:
        """Bytes that are held and not read."""
        return len(self._data) - self._position + len(self._later)

    def feed(self, data: bytes = b"", most: int = _UNBOUNDED) -> list[Event]:
        """Return all events that are complete now, at most so many messages among them; keep the rest for later.

        With `most` 0 the data is held and not looked at. After a `Close` or a `Violation` input is ignored.
        """
        events: list[Event] = []
        if self._state is _NOTHING:
            return events
        position = 0
        if self.has_more:
            # Not joined before all in front of it is read: small pieces behind a large one would be its square.
            self._later += data
            data, position = self._data, self._position
        elif self._data:
            # The beginning of a header or of a control frame.
            data = self._data[self._position :] + data
        self._work = self._max_work
        try:
            position = self._read(data, position, events, most)
            if self._later and len(data) - position < self._needed:
                data, position = b"".join((data[position:], self._later)), 0
                self._later.clear()
                position = self._read(data, position, events, most)
        except Violated as violated:
            events.append(violated.violation)
            self._close()
        except UnicodeDecodeError:
            events.append(violations.UTF_8)
            self._close()
        if self._state is _NOTHING:
            self.has_more = False
            return events
        left = len(data) - position
        self.has_more = left >= self._needed
        self._data, self._position = (data, position) if left else (b"", 0)
        return events

    def discard(self) -> None:
        """Keep and inflate no more of the messages, which come out empty; what ends the reading is still found."""
        self._plain = self._inflater_of_message = _Discarded()
        if self.inflater is not None:
            self.inflater = self._plain
        if self._needed == 0:
            self._needed = _ANY
        self._whole = self._short = -1
        self._message = None

    def restrict(self, max_message_bytes: int) -> None:
        """Lower the bound on messages, for the one under way from its next part on; a higher one changes nothing."""
        largest = self._max_message_bytes = min(self._max_message_bytes, max_message_bytes)
        self._whole = min(self._whole, largest)
        self._short = min(self._short, MASKED + largest)

    def whole(self, data: bytes) -> str | bytes | Utf8 | None:
        """Return the message that `data` is, if that is one frame of less than 64 KiB and nothing is under way.

        The same as `feed` in a third of its time, for what most reads are. After None `feed` is to read it.
        """
        if len(data) < 6 or self._data or self._state is not _MESSAGE:
            return None
        first = data[0]
        second = data[1]
        start = 6
        length = second - MASKED
        if length == IN_2_BYTES:
            start = 8
            length = int.from_bytes(data[2:4], "big")
            if not IN_2_BYTES <= length <= self._whole:
                return None
        elif second > self._short:
            return None
        if len(data) - start != length or first not in _WHOLE:
            return None
        payload = unmask(data[start:], data[start - 4 : start])
        if first == BINARY:
            return payload
        try:
            return payload.decode() if length < _LARGE else _text(payload)
        except UnicodeDecodeError:
            return None

    def _read(self, data: bytes, position: int, events: list[Event], most: int) -> int:
        """Read from `position` on; return where that begins which is not complete, or left to the next call."""
        end = len(data)
        short = self._short
        if most <= 0:
            return position
        if self._needed < _HEADER:
            position = self._read_payload(data, position, events)
        else:
            self._needed = _HEADER
        while end - position >= _HEADER and len(events) < most and self._work > 0:
            first = data[position]
            second = data[position + 1]
            # Most frames are a message by themselves, and all there is to check of them is the text.
            if (first == TEXT or first == BINARY) and self._state is _MESSAGE:  # noqa: PLR1714, SIM109 -- half the time of a set
                start = position + 6
                stop = start + second - MASKED
                is_short = MASKED <= second <= short
                if second == _MASKED_IN_2_BYTES and end - position >= 4:
                    start += 2
                    stop = start + (data[position + 2] << 8) + data[position + 3]
                    is_short = IN_2_BYTES <= stop - start <= self._whole
                if is_short and stop <= end:
                    payload = unmask(data[start:stop], data[start - 4 : start])
                    if first == BINARY:
                        events.append(payload)
                    else:
                        events.append(payload.decode() if stop - start < _LARGE else _text(payload))
                    position = stop
                    continue
            following = self._read_frame(data, position, events)
            if following == position or self._state is _NOTHING:
                return following
            if first & CLOSE_OPCODE:
                # A control frame is not a message.
                most += 1
            position = following
        return position

    def _read_frame(self, data: bytes, position: int, events: list[Event]) -> int:
        """Read a frame of any kind; return where the next begins, or `position` while its header is not complete."""
        first = data[position]
        second = data[position + 1]
        opcode = first & OPCODE
        following = after_header(self._state, first, second, opcode, may_be_compressed=self.inflater is not None)
        length = second & LENGTH
        start = position + _HEADER
        if length >= IN_2_BYTES:
            size, least = (2, IN_2_BYTES) if length == IN_2_BYTES else (8, MIN_IN_8_BYTES)
            if len(data) < start + size:
                return self._wait_for(start + size, position)
            length = int.from_bytes(data[start : start + size], "big")
            start += size
            if not least <= length <= _MAX_LENGTH:
                raise Violated(violations.LENGTH)
        start += 4
        if opcode >= CLOSE_OPCODE:
            stop = start + length
            if len(data) < stop:
                return self._wait_for(stop, position)
            self._work -= _FRAME_WORK
            self._read_control(opcode, unmask(data[start:stop], data[start - 4 : start]), events)
            return stop
        inflater = self._inflater_of_message
        if opcode:
            inflater = self.inflater if first & RSV1 else self._plain
        self._check_size(length, is_compressed=inflater is not None)
        if len(data) < start:
            return self._wait_for(start, position)
        if opcode:
            self._opcode = opcode
            self._inflater_of_message = inflater
        self._work -= _FRAME_WORK
        self._fragments += 1
        self._received += length
        self._state = following
        self._missing, self._mask = length, data[start - 4 : start]
        return self._read_payload(data, start, events)

    def _wait_for(self, end: int, position: int) -> int:
        """Note that a frame from `position` on has to be held up to `end` at least, and return where it begins."""
        self._needed = end - position
        return position

    def _check_size(self, length: int, *, is_compressed: bool) -> None:
        largest = self._max_message_bytes
        if is_compressed:
            # Data that cannot be compressed gets longer: by an eighth and a 64th with the smallest window and memory
            # level (zlib's `deflateBound`), and by the end of a block for each fragment. It is not held, and what it
            # inflates to has the bound itself.
            largest += largest // 8 + largest // 64 + 64 + 8 * self._fragments
        if self._received + length > largest:
            raise Violated(violations.MESSAGE_SIZE)
        if self._fragments >= self._max_fragments:
            raise Violated(violations.FRAGMENT_COUNT)

    def _read_control(self, opcode: int, payload: bytes, events: list[Event]) -> None:
        if opcode == CLOSE_OPCODE:
            events.append(_close_event(payload))
            self._close()
        else:
            events.append(Ping(payload) if opcode == PING_OPCODE else Pong(payload))

    def _read_payload(self, data: bytes, position: int, events: list[Event]) -> int:
        """Read on in the data frame under way; return where that ends which was read."""
        inflater = self._inflater_of_message
        end = len(data)
        part = b""
        while True:
            if inflater is None or inflater.rest is None:
                size = min(self._missing, end - position)
                if inflater is not None and size > _INFLATED_PART:
                    size = _INFLATED_PART
                stop = position + size
                part = unmask(data[position:stop] if size < _LARGE else memoryview(data)[position:stop], self._mask)
                position = stop
                self._missing -= size
                if self._missing:
                    turn = size % 4
                    self._mask = self._mask[turn:] + self._mask[:turn]
            is_last = not self._missing and self._state is _LAST_PAYLOAD
            if inflater is not None:
                part = self._inflated(inflater, part, final=is_last)
            if not self._missing and (inflater is None or inflater.rest is None):
                break
            self._keep(part)
            self._needed = _ANY if inflater is None or inflater.rest is None else 0
            if end - position < self._needed or self._work <= 0:
                return position
        if is_last:
            self._finish(part, events)
        else:
            self._keep(part)
        self._needed = _HEADER
        self._state = TRANSITIONS[self._state][END_OF_PAYLOAD]
        return position

    def _inflated(self, inflater: Inflater, part: bytes, *, final: bool) -> bytes:
        """Return the next of what a part inflates to."""
        room = self._max_message_bytes - (0 if self._message is None else self._message.tell())
        try:
            if inflater.rest is not None:
                part = next(inflater.rest, b"")
            elif room >= 0:
                part = inflater.inflate(part, final=final, room=room)
            else:
                # The bound was lowered meanwhile.
                raise TooLong
        except TooLong:
            raise Violated(violations.MESSAGE_SIZE) from None
        except NotDeflate:
            raise Violated(violations.COMPRESSED_DATA) from None
        self._work -= len(part) + _FRAME_WORK
        return part

    def _keep(self, part: bytes) -> None:
        """Keep a part of a message that is to be continued, and check what can be checked of its text by now."""
        if self._message is None:
            self._message = io.BytesIO()
            self._utf8 = codecs.getincrementaldecoder("utf-8")() if self._opcode == TEXT_OPCODE else None
        self._message.write(part)
        if self._message.tell() > self._max_message_bytes:
            # The bound was lowered meanwhile.
            raise Violated(violations.MESSAGE_SIZE)
        # Most text is ASCII, and to see that is cheaper than to decode it.
        if self._utf8 is not None and not (part.isascii() and not self._utf8.getstate()[0]):
            self._utf8.decode(part)
            # The decoder waits for the third byte of a surrogate, which no third byte can make right.
            if b"\xed\xa0" <= self._utf8.getstate()[0] < b"\xee":
                raise Violated(violations.UTF_8)

    def _finish(self, part: bytes, events: list[Event]) -> None:
        if self._message is None:
            events.append(_text(part) if self._opcode == TEXT_OPCODE else part)
        else:
            self._keep(part)
            # Not a copy: it is the object's own buffer.
            message = self._message.getvalue()
            events.append(_text(message, self._utf8) if self._utf8 is not None else message)
        self._fragments = self._received = 0
        self._message = self._utf8 = None

    def _close(self) -> None:
        """Read nothing more, and hold nothing."""
        self._state = TRANSITIONS[self._state][END]
        self._data, self._position = b"", 0
        self._later.clear()
        self._message = self._utf8 = self._inflater_of_message = self.inflater = None


def _text(payload: bytes, checked: codecs.IncrementalDecoder | None = None) -> str | Utf8:
    """Return a text message as what takes little memory; `checked` has seen all of it.

    Raises:
        UnicodeDecodeError: for a payload that is not UTF-8.
    """
    if len(payload) < _LARGE:
        return payload.decode()
    if checked is not None:
        checked.decode(b"", final=True)
        return Utf8(payload)
    text = payload.decode()
    return Utf8(payload) if sys.getsizeof(text) > 2 * len(payload) else text


def _close_event(payload: bytes) -> Close:
    """Return the close frame with this payload (RFC 6455 section 5.5.1).

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
        raise Violated(violations.CLOSE_FRAME) from None
    return Close(code, reason)
