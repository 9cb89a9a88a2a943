"""uvicorn's default headers (`--header`, `--server-header`, `--date-header`), as answers to handshakes have them."""

from functools import lru_cache
from typing import Final

from ..errors import InvalidHeader
from ..wire.handshake import field_line
from .connection import logger

# Names that were logged.
_logged: Final[set[bytes]] = set()


@lru_cache(maxsize=8)
def usable(headers: tuple[tuple[bytes, bytes], ...]) -> list[tuple[bytes, bytes]]:
    """Return the headers that may be in any answer: valid ones that the class does not set itself.

    Each name that is left out is logged once. The cache spares the checks: the headers change once a second, with the
    date.
    """
    return [header for header in headers if _is_usable(*header)]


def _is_usable(name: bytes, value: bytes) -> bool:
    try:
        field_line(name, value)
    except InvalidHeader as error:
        if name not in _logged:
            _logged.add(name)
            logger.warning("ignored a default header in responses to WebSocket handshakes; remove it: %s", error)
        return False
    return True
