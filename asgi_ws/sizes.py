"""Sizes: units, the check of a configured bound, and the bytes of a message."""

import math
from typing import Final

from .errors import InvalidLimit

KIB: Final = 1024
MIB: Final = 1024 * KIB


def check_bound(of: str, name: str, value: object, *, whole: bool = True, optional: bool = False) -> None:
    """Accept a positive number, a whole one unless told otherwise, as the `name` of the class `of`; None if `optional`.

    Raises:
        InvalidLimit: for anything else.
    """
    if value is None and optional:
        return
    if isinstance(value, int if whole else int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return
    expected = "a positive whole number" if whole else "a positive number"
    raise InvalidLimit(name, value, f"{expected} or None" if optional else expected, of)


def size_of(data: str | bytes) -> int:
    """Return the size of a message in bytes, as it is on the wire."""
    return len(data) if not isinstance(data, str) or data.isascii() else len(data.encode())
