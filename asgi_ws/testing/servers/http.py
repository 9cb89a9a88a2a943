"""The server's half of one HTTP request: the `receive` and `send` of an application, and the client behind it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NoReturn

from ..._asgi import Event, RawHeaders, Scope
from ..conformance.http import (
    DEBUG_EXTENSION,
    EARLY_HINT_EXTENSION,
    TRAILERS_EXTENSION,
    ResponseState,
    following,
    settled,
    violation,
)
from ..errors import ProtocolViolation
from .profiles import SPEC, ServerProfile

# A response that is collected whole is bounded: an endless one must not take all memory.
MOST_COLLECTED: Final = 64 * 1024 * 1024
# An application that never has to wait yields to the event loop after so many calls, since every bound needs the loop.
_CALLS_IN_A_ROW: Final = 100


class ImitatedRequest:
    """One request as the server of a profile has it.

    Attributes:
        state: the events that the application owes.
        start: the event that began the response; None before it.
        notes: by the name of an extension, the application's events of it.
        parts: the pieces of the body that the test has not read.
        has_left: whether the client has left before the response was complete.
        raised: the errors that `send` has raised because the client had left.
        is_full: whether `send` waits since no more is collected.
    """

    def __init__(
        self,
        profile: ServerProfile,
        scope: Scope,
        body: AsyncIterator[bytes],
        *,
        is_body_whole: bool,
        is_streamed: bool,
        on_event: Callable[[Event], None],
        on_change: Callable[[], None],
        refuse: Callable[[ProtocolViolation], NoReturn],
    ) -> None:
        self.state = ResponseState.START
        self.start: Event | None = None
        self.notes: dict[str, Any] = {}
        self.parts: deque[bytes] = deque()
        self.has_left = False
        self.raised: list[OSError] = []
        self.is_full = False
        self._profile = profile
        self._scope = scope
        # The request's body; None once the application has received all of it.
        self._body: AsyncIterator[bytes] | None = body
        # Whether the body is one piece, which a server gives together with its end.
        self._is_body_whole = is_body_whole
        # Whether the test reads the response piece by piece: then each send waits until the piece is read.
        self._is_streamed = is_streamed
        # Called with each event that is right, and after each change.
        self._on_event = on_event
        self._on_change = on_change
        # Called with an event that breaks the ASGI text.
        self._refuse = refuse
        self._calls = 0
        self._has_been_read = asyncio.Event()
        # The bytes of the body so far.
        self._collected = 0
        # Set when the response is complete, or the client has left before: receive() gives http.disconnect.
        self._is_over = asyncio.Event()
        self._disconnects = 0

    @property
    def is_over(self) -> bool:
        """Whether the response is complete and read, or the client has left."""
        return self._is_over.is_set()

    @property
    def headers(self) -> RawHeaders:
        """The headers of the response, as the application has sent them."""
        return [] if self.start is None else list(self.start.get("headers", ()))

    # -- the application's calls

    async def receive(self) -> Event:
        """Return the next event."""
        await self._yield_at_times()
        if self._body is not None and not self.has_left:
            try:
                part = await anext(self._body)
            except StopAsyncIteration:
                self._body = None
                return {"type": "http.request", "body": b"", "more_body": False}
            if self._is_body_whole:
                self._body = None
            return {"type": "http.request", "body": part, "more_body": not self._is_body_whole}
        # An application that asks whether the client has left gives this up before it first suspends.
        if not self.is_over:
            await self._is_over.wait()
        if self._profile.http_disconnect == "later":
            await asyncio.sleep(0)
        elif self._profile.http_disconnect == "once" and self._disconnects:
            await asyncio.get_running_loop().create_future()
        self._disconnects += 1
        return {"type": "http.disconnect"}

    async def _yield_at_times(self) -> None:
        self._calls += 1
        if self._calls % _CALLS_IN_A_ROW == 0:
            await asyncio.sleep(0)

    async def send(self, event: Event) -> None:
        """Take an event.

        Raises:
            ProtocolViolation: the event breaks the ASGI text.
            OSError: the client has left, and this server raises then.
        """
        await self._yield_at_times()
        event = settled(event, takes_bytes_like=self._profile.takes_bytes_like)
        broken = violation(event, self.state, self._scope)
        if broken is not None:
            self._refuse(broken)
        self._on_event(event)
        if self.has_left:
            self._take_late()
            return
        is_body = event["type"] == "http.response.body"
        if is_body:
            await self._until_collectable(len(event.get("body", b"")))
        self.state = following(event, self.state)
        self._keep(event)
        self._on_change()
        if is_body:
            await self._hand_over(event.get("body", b""))
        self._look_whether_over()

    def _keep(self, event: Event) -> None:
        kind = event["type"]
        if kind == "http.response.start":
            self.start = event
            if event.get("trailers", False):
                self.notes[TRAILERS_EXTENSION] = []
        elif kind == TRAILERS_EXTENSION:
            self.notes[kind].extend(event.get("headers", ()))
        elif kind == DEBUG_EXTENSION:
            self.notes[kind] = event["info"]
        elif kind == EARLY_HINT_EXTENSION:
            self.notes.setdefault(kind, []).extend(event["links"])

    async def _hand_over(self, part: bytes) -> None:
        if self._scope["method"] == "HEAD":
            part = b""
        if self._is_streamed:
            self.parts.append(part)
            self._has_been_read.clear()
            await self._has_been_read.wait()
        elif part:
            self.parts.append(part)

    async def _until_collectable(self, size: int) -> None:
        self.is_full = not self._is_streamed and self._collected >= MOST_COLLECTED
        if self.is_full:
            await asyncio.get_running_loop().create_future()
        if self._scope["method"] != "HEAD":
            self._collected += size

    def _take_late(self) -> None:
        # ASGI, HTTP, "Disconnected Client - send exception": from version 2.4 on; the servers there are older.
        if self._profile is SPEC:
            self.raised.append(OSError("the client has left"))
            raise self.raised[-1]

    def _look_whether_over(self) -> None:
        if self.state is ResponseState.NOTHING and not (self._is_streamed and self.parts):
            self._is_over.set()

    # -- the client

    def read(self) -> bytes:
        """Take the first of the pieces that were not read."""
        part = self.parts.popleft()
        self._has_been_read.set()
        self._look_whether_over()
        return part

    def abort(self) -> None:
        """Leave before the response is complete: the application receives http.disconnect, and its sends go nowhere."""
        self.has_left = True
        self._is_over.set()
        self._has_been_read.set()
