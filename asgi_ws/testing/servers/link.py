"""The network between a server and its peer: what was written and not read, and who waits for that."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from ..._asgi import Event
from ...sizes import size_of

# RFC 6455 section 5.5.1: a close frame has a code of two bytes before its reason.
_CODE_BYTES: Final = 2
_MESSAGES: Final = frozenset({"websocket.receive", "websocket.send"})


def payload_bytes(event: Event) -> int:
    """Return the payload bytes of the frame for an event of either direction."""
    if event["type"] == "websocket.close":
        return _CODE_BYTES + size_of(event.get("reason") or "")
    if event["type"] not in _MESSAGES:
        return 0
    data = event.get("text")
    return size_of(event.get("bytes") or b"" if data is None else data)


class Link:
    """The data of a server on its way to `take`: at once, unless the peer does not read, or `has_room` is False."""

    def __init__(
        self,
        take: Callable[[Event], None],
        has_room: Callable[[], bool],
        changed: Callable[[], None],
        high_water: int,
    ) -> None:
        self._take = take
        self._has_room = has_room
        self.changed = changed
        self._high_water = high_water
        self._unread: deque[Event] = deque()
        # An empty message counts as one byte, so that no number of them goes on without a bound.
        self.unread_bytes = 0
        self.reads = True
        # Whether the network is there; a link that is down keeps what is written, as the system's buffers do.
        self.is_up = True
        # Sends that wait until the peer reads.
        self._blocked: list[asyncio.Future[None]] = []

    @property
    def blocked(self) -> int:
        """How many sends wait for the peer to read."""
        return len(self._blocked)

    def write(self, event: Event) -> None:
        """Send an event to the peer, or keep it until the peer reads."""
        self._unread.append(event)
        self.unread_bytes += payload_bytes(event) or 1
        self.flush()
        if self.close_waits:
            # It is the end for a test that waits for that, though the peer has more to read before.
            self.changed()

    @property
    def close_waits(self) -> bool:
        """Whether the application's close is among what the peer has not read; nothing comes after it."""
        return bool(self._unread) and self._unread[-1]["type"] == "websocket.close"

    def flush(self, *, to_end: bool = False) -> None:
        """Let the peer take what it reads, if it reads: all of it, or as much as fits."""
        while self._unread and self.reads and self.is_up and (to_end or self._has_room()):
            event = self._unread.popleft()
            self.unread_bytes -= payload_bytes(event) or 1
            self._take(event)
        if self.unread_bytes <= self._high_water:
            self._wake()

    async def drained(self) -> None:
        """Wait while more than the high-water mark is unread."""
        while self.unread_bytes > self._high_water:
            turn = asyncio.get_running_loop().create_future()
            self._blocked.append(turn)
            self.changed()
            try:
                await turn
            finally:
                self._blocked.remove(turn)

    def pause(self) -> None:
        """Stop reading as the peer."""
        self.reads = False

    def resume(self) -> None:
        """Read as the peer, the pending data and everything from now on."""
        self.reads = True
        self.flush()

    def abort(self) -> None:
        """Lose the connection together with the unread data."""
        self.is_up = False
        self._unread.clear()
        self.unread_bytes = 0
        self._wake()

    def _wake(self) -> None:
        for turn in self._blocked:
            if not turn.done():
                turn.set_result(None)
