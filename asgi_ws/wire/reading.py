"""The states of a reader: what the next bytes of a client may be (RFC 6455 section 5.4).

    MESSAGE ──first frame──► PAYLOAD ──end of the frame──► FRAGMENT ──continuation──► PAYLOAD, LAST_PAYLOAD
       │                                                                                   │
       ├──only frame──► LAST_PAYLOAD ──end of the message──► MESSAGE ◄──────────────────────┘
       └──close frame, or a violation (from any state)──► NOTHING

The steps are the headers of data frames, the end of a payload, and the end of the reading. A header that leads nowhere
is a violation. Control frames may stand between any two frames and lead nowhere else, except for the close frame.
"""

from enum import Enum
from types import MappingProxyType
from typing import Final

from . import violations
from .frames import (
    BINARY,
    BINARY_OPCODE,
    CLOSE_OPCODE,
    FIN,
    LENGTH,
    MASKED,
    PONG_OPCODE,
    RSV1,
    RSV2_RSV3,
    TEXT,
    TEXT_OPCODE,
)
from .violations import Violated


class Reading(Enum):
    """The next thing that a reader expects."""

    MESSAGE = 0
    """The first frame of a message."""
    FRAGMENT = 1
    """The next frame of a message."""
    PAYLOAD = 2
    """More of the payload of a frame that does not end its message."""
    LAST_PAYLOAD = 3
    """More of the payload of a frame that ends its message."""
    NOTHING = 4
    """Nothing: a close frame or a violation has ended the reading."""

    # The members are what the table is read by, and Enum's own hash is a Python function.
    __hash__ = object.__hash__


_MESSAGE = Reading.MESSAGE
_FRAGMENT = Reading.FRAGMENT
_PAYLOAD = Reading.PAYLOAD
_LAST_PAYLOAD = Reading.LAST_PAYLOAD
_NOTHING = Reading.NOTHING

# The header of a data frame as a step: its first byte without the reserved bits. The other steps are longer than that.
_CONTINUATION: Final = 0
_LAST_CONTINUATION: Final = FIN
END_OF_PAYLOAD: Final = 0x100
END: Final = 0x101

TRANSITIONS: Final = MappingProxyType(
    {
        _MESSAGE: {
            TEXT_OPCODE: _PAYLOAD,
            BINARY_OPCODE: _PAYLOAD,
            TEXT: _LAST_PAYLOAD,
            BINARY: _LAST_PAYLOAD,
            END: _NOTHING,
        },
        _FRAGMENT: {_CONTINUATION: _PAYLOAD, _LAST_CONTINUATION: _LAST_PAYLOAD, END: _NOTHING},
        _PAYLOAD: {END_OF_PAYLOAD: _FRAGMENT, END: _NOTHING},
        _LAST_PAYLOAD: {END_OF_PAYLOAD: _MESSAGE, END: _NOTHING},
        _NOTHING: {},
    }
)

_MAX_CONTROL: Final = 125


def after_header(state: Reading, first: int, second: int, opcode: int, *, may_be_compressed: bool) -> Reading:
    """Return the state after the first two bytes of a frame (RFC 6455 sections 5.1, 5.2, 5.4 and 5.5).

    Raises:
        Violated: for bytes that no frame may have, or that may not come in this state.
    """
    if first & RSV2_RSV3 or (first & RSV1 and not (may_be_compressed and opcode in (TEXT_OPCODE, BINARY_OPCODE))):
        raise Violated(violations.RESERVED_BIT)
    if not second & MASKED:
        raise Violated(violations.NOT_MASKED)
    if opcode >= CLOSE_OPCODE:
        if opcode > PONG_OPCODE:
            raise Violated(violations.RESERVED_OPCODE)
        if not first & FIN:
            raise Violated(violations.FRAGMENTED_CONTROL)
        if second & LENGTH > _MAX_CONTROL:
            raise Violated(violations.LONG_CONTROL)
        return state
    if opcode > BINARY_OPCODE:
        raise Violated(violations.RESERVED_OPCODE)
    following = TRANSITIONS[state].get(first & ~RSV1)
    if following is None:
        raise Violated(violations.NOT_FINISHED if opcode else violations.NOTHING_TO_CONTINUE)
    return following
