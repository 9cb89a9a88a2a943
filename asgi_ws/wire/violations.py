"""The violations that end the reading of frames, each with the close code that answers it (RFC 6455 section 7.4.1)."""

from typing import Final

from ..close_codes import CloseCode
from .events import Violation

# RFC 6455 section 5.2, and RFC 7692 section 6 for the first bit.
RESERVED_BIT: Final = Violation(CloseCode.PROTOCOL_ERROR, "reserved bit set")
# Section 5.1.
NOT_MASKED: Final = Violation(CloseCode.PROTOCOL_ERROR, "frame not masked")
# Section 5.2.
RESERVED_OPCODE: Final = Violation(CloseCode.PROTOCOL_ERROR, "reserved opcode")
LENGTH: Final = Violation(CloseCode.PROTOCOL_ERROR, "length in too many bytes, or too large for any frame")
# Section 5.5.
FRAGMENTED_CONTROL: Final = Violation(CloseCode.PROTOCOL_ERROR, "fragmented control frame")
LONG_CONTROL: Final = Violation(CloseCode.PROTOCOL_ERROR, "control frame too long")
# Section 5.4.
NOT_FINISHED: Final = Violation(CloseCode.PROTOCOL_ERROR, "message not finished")
NOTHING_TO_CONTINUE: Final = Violation(CloseCode.PROTOCOL_ERROR, "nothing to continue")
# Section 5.5.1.
CLOSE_FRAME: Final = Violation(CloseCode.PROTOCOL_ERROR, "invalid close frame")
# Section 8.1.
UTF_8: Final = Violation(CloseCode.INVALID_PAYLOAD, "invalid UTF-8")
# RFC 7692 section 7.2.2 has no code. Section 7.4.1 of RFC 6455: "data ... not consistent with the type of the message".
COMPRESSED_DATA: Final = Violation(CloseCode.INVALID_PAYLOAD, "invalid compressed data")
# Our own limits.
MESSAGE_SIZE: Final = Violation(CloseCode.MESSAGE_TOO_BIG, "message too big")
FRAGMENT_COUNT: Final = Violation(CloseCode.MESSAGE_TOO_BIG, "too many fragments")


class Violated(Exception):
    """The client broke a rule: becomes the event."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation)
        self.violation = violation
