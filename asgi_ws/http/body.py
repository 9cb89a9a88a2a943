"""The body of a request as it comes, read by its handler while a response may be waiting for the client to leave."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final

from .._asgi import Event, Receive
from ..errors import BodyTooLarge, ClientDisconnected

# What is read ahead of a handler at the most where the body itself has no limit.
READ_AHEAD_BYTES: Final = 1024 * 1024


class RequestBody:
    """The one who receives the events of a request, on behalf of the two who want to know of them.

    Both learn of the same events through ASGI's one `receive`: `pieces` wants the body, `receive` the disconnect. What
    the one takes is kept for the other.
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
        # What was received and not streamed yet; None when nobody will.
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
        """The body piece by piece.

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
        """The next event, for who waits for the disconnect: an ASGI `receive`."""
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
        # What is past the limit is of no use to anyone.
        if piece and self._pieces is not None and (self._limit is None or self._received <= self._limit):
            self._pieces.append(piece)
            self._buffered += len(piece)
