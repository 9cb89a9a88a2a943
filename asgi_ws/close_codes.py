"""Close codes (RFC 6455 section 7.4), and the checks of a close frame's code and reason."""

from typing import Final

from .errors import InvalidCloseCode, InvalidCloseReason


class CloseCode:
    """The close codes this package sends or reports (RFC 6455 section 7.4 and the IANA registry)."""

    NORMAL: Final = 1000
    GOING_AWAY: Final = 1001
    PROTOCOL_ERROR: Final = 1002
    UNSUPPORTED_DATA: Final = 1003
    NO_STATUS: Final = 1005
    ABNORMAL: Final = 1006
    INVALID_PAYLOAD: Final = 1007
    POLICY_VIOLATION: Final = 1008
    MESSAGE_TOO_BIG: Final = 1009
    INTERNAL_ERROR: Final = 1011
    SERVICE_RESTART: Final = 1012
    TRY_AGAIN_LATER: Final = 1013
    IDLE: Final = 4408


# RFC 6455 section 7.4.1: these stand for something that was never on the wire and "MUST NOT be set as a status code";
# 1004 has no meaning yet, and 1015 is the report of a failed TLS handshake.
_RESERVED: Final = frozenset({1004, 1005, 1006, 1015})

# RFC 6455 section 5.5: a control frame carries 125 bytes, of which a close frame needs two for the code.
MAX_REASON_BYTES: Final = 123

# Autobahn, and so daphne, sends 1000 and 3000-4999 only. The registered codes 1001-1014 move to 4901-4914: high
# enough to leave 4000 and its neighbours to the application.
_PRIVATE_OFFSET: Final = 3900


def check_close(code: int, reason: str) -> None:
    """Check that a close frame may carry `code` and `reason` (RFC 6455 sections 5.5.1 and 7.4).

    Raises:
        InvalidCloseCode: unless the code is 1000-1014, less the reserved ones, or 3000-4999.
        InvalidCloseReason: when the reason takes more than 123 bytes of UTF-8, or cannot be encoded in it.
    """
    if not isinstance(code, int) or code in _RESERVED or not (1000 <= code <= 1014 or 3000 <= code <= 4999):
        raise InvalidCloseCode(code)
    if not isinstance(reason, str):
        raise InvalidCloseReason(reason)
    try:
        size = len(reason.encode())
    except UnicodeEncodeError:
        raise InvalidCloseReason(reason) from None
    if size > MAX_REASON_BYTES:
        raise InvalidCloseReason(reason)


def as_private_code(code: int) -> int:
    """Return the code for a server that cannot send 1001-1014: 1011 becomes 4911, other codes stay."""
    return code + _PRIVATE_OFFSET if 1001 <= code <= 1014 else code
