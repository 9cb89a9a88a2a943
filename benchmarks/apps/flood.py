"""What `/stall` sends: more than the buffers of a kernel and of a server hold, so that who does not read is full."""

import random
from collections.abc import Iterator
from typing import Final

# 8 MiB in all. The Node peer has the same two numbers.
FLOOD_MESSAGES: Final = 128
FLOOD_MESSAGE_BYTES: Final = 64 * 1024


def flood() -> Iterator[bytes]:
    """The messages, in order; all are the same bytes, which permessage-deflate cannot make smaller."""
    message = random.Random(0).randbytes(FLOOD_MESSAGE_BYTES)  # noqa: S311 -- no secret
    for _ in range(FLOOD_MESSAGES):
        yield message
