"""The body of a request as it comes, read by its handler while a response may be waiting for the client to leave."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final

from .._asgi import Event, Receive
from ..errors import BodyTooLarge, ClientDisconnected

# The most that is read ahead of a handler where the body has no limit.
READ_AHEAD_BYTES: Final = 1024 * 1024


class RequestBody:
    """The one receiver of a request's events, for the two readers that need them.

    Both readers share ASGI's one `receive`: `pieces` reads the body, and `receive` waits for the disconnect. Events
    that one reader takes are kept for the other.
    """

    __slots__ = (
        "_buffered",
        "_changed",
        "_complete",
        "_gone",
        "_limit",
        "_pieces",
        "_receive_event",
        "_received",
        "_taking",
    )

    def __init__(self, receive: Receive, limit: int | None) -> None:
        self._receive_event = receive
        self._limit = limit
        # Pieces that were received and not streamed yet. None when nothing will stream them.
        self._pieces: deque[bytes] | None = deque()
        self._buffered = 0
        # The bytes received in all.
        self._received = 0
        # Whether all of the body was received, and whether the client was seen to leave. To receive after that has no
        # end on some servers.
        self._complete = False
        self._gone = False
        # Whether one of the two is receiving.
        self._taking = False
        # Set when anything above has changed: who waits for that looks at all of it again before it receives.
        self._changed = asyncio.Event()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body piece by piece.

        Raises:
            BodyTooLarge: past the limit, after what is below it.
            ClientDisconnected: when the client leaves before the end.
        """
        try:
            while True:
                if self._pieces:
                    piece = self._pieces.popleft()
                    self._buffered -= len(piece)
                    self._changed.set()
                    yield piece
                elif self._limit is not None and self._received > self._limit:
                    raise BodyTooLarge(self._limit)
                elif self._complete:
                    return
                elif self._gone:
                    raise ClientDisconnected
                elif self._taking:
                    await self._change()
                else:
                    await self._take()
        finally:
            self._pieces = None
            self._changed.set()

    async def receive(self) -> Event:
        """Return the next event. This is the ASGI `receive` of code that waits for the disconnect."""
        while self._taking or self._is_full:
            await self._change()
        return await self._take()

    @property
    def _is_full(self) -> bool:
        return self._limit is None and self._pieces is not None and self._buffered >= READ_AHEAD_BYTES

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _take(self) -> Event:
        if self._gone:
            return {"type": "http.disconnect"}
        self._taking = True
        try:
            event = await self._receive_event()
            self._note(event)
            return event
        finally:
            self._taking = False
            self._changed.set()

    def _note(self, event: Event) -> None:
        if event["type"] == "http.disconnect":
            self._gone = True
            return
        piece: bytes = event.get("body", b"")
        self._complete = not event.get("more_body", False)
        self._received += len(piece)
        # Pieces above the limit are dropped.
        if piece and self._pieces is not None and (self._limit is None or self._received <= self._limit):
            self._pieces.append(piece)
            self._buffered += len(piece)
