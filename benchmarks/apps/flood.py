"""The messages of `/stall`: more than kernel and server buffer, so that a client that does not read is full."""

import random
from collections.abc import Iterator
from typing import Final

# 8 MiB in all. The Node peer has the same two numbers.
FLOOD_MESSAGES: Final = 128
FLOOD_MESSAGE_BYTES: Final = 64 * 1024


def flood() -> Iterator[bytes]:
    """Yield the messages: the same bytes each time, which permessage-deflate cannot make smaller."""
    message = random.Random(0).randbytes(FLOOD_MESSAGE_BYTES)  # noqa: S311 -- no secret
    for _ in range(FLOOD_MESSAGES):
        yield message
