"""The grammar of tokens and header values, as patterns (RFC 9110 sections 5.5 and 5.6)."""

import re
from typing import Final

# Section 5.6.2, "tchar" and "token".
TCHAR: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_TOKEN: Final = re.compile(rf"{TCHAR}+")
_RAW_TOKEN: Final = re.compile(rf"{TCHAR}+".encode())
# Section 5.6.3, and nothing else: bytes.strip() by itself would take VT and FF too, and str.strip() 0x85.
WHITE_SPACE: Final = b" \t"
# Section 5.5: a value is visible characters, space and tab. All below is a control character, CR and LF among them, and
# has to be refused, since each can end a header line for some reader of it (VT, FF and 0x85 for Python's).
_FORBIDDEN_IN_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f\x85]")


def is_token(name: str | bytes) -> bool:
    """Return True for a token: a header name, a method or a subprotocol."""
    found = _TOKEN.fullmatch(name) if isinstance(name, str) else _RAW_TOKEN.fullmatch(name)
    return found is not None


def is_value(value: bytes) -> bool:
    """Return True for a header value without a control character, which may be sent."""
    return _FORBIDDEN_IN_VALUE.search(value) is None
