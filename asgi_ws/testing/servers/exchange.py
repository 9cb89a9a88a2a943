"""One HTTP request to an application under watch, and the response as it comes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, Final

from ..._asgi import ASGIApp, Event, RawHeaders, Scope
from ..conformance.http import (
    BODY,
    DEBUG_EXTENSION,
    EARLY_HINT_EXTENSION,
    START,
    TRAILERS,
    TRAILERS_EXTENSION,
    ResponseState,
    after,
    settled,
    violation,
)
from ..errors import Unanswered, WaitTimeout, show
from ..run import Run
from .profiles import SPEC, ServerProfile

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True

_UNANSWERED: Final = {
    ResponseState.START: (START, "http.response.start"),
    ResponseState.BODY: (BODY, "an http.response.body without more_body"),
    ResponseState.TRAILERS: (TRAILERS, "http.response.trailers"),
}
# A response that is collected whole is bounded: an endless one must not take all memory.
_MOST_COLLECTED: Final = 64 * 1024 * 1024
# An application that never has to wait yields to the event loop after so many calls, since every bound needs the loop.
_CALLS_IN_A_ROW: Final = 100
# The share of the time-out that an application has to end by itself when the client leaves in the middle.
_SHARE_FOR_LEAVING: Final = 0.1


class Exchange(Run):
    """One request to the application, and its response.

    Attributes:
        start: the event that began the response; None before it.
        notes: what came by way of an extension, by its name.
    """

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        body: AsyncIterator[bytes],
        *,
        profile: ServerProfile,
        is_body_whole: bool,
        is_streamed: bool,
        carries_context: bool,
        timeout: float,
        raise_server_exceptions: bool,
        check_leaks: bool,
    ) -> None:
        super().__init__(
            app, scope, timeout=timeout, raise_server_exceptions=raise_server_exceptions, check_leaks=check_leaks
        )
        self.carries_context = carries_context
        self.start: Event | None = None
        self.notes: dict[str, Any] = {}
        self._receive = self._read
        self._send = self._check
        self._profile = profile
        self._calls = 0
        # The request's body; None once the application has received all of it.
        self._body: AsyncIterator[bytes] | None = body
        # Whether the body is one piece, which a server gives together with its end.
        self._is_body_whole = is_body_whole
        # Whether the test reads the response piece by piece: then each send waits until the piece is read.
        self._is_streamed = is_streamed
        self._state = ResponseState.START
        self._has_trailers = False
        # The pieces that the test has not read.
        self._parts: deque[bytes] = deque()
        self._has_been_read = asyncio.Event()
        # How many bytes of a body there are, and whether more than fits has come.
        self._collected = 0
        self._is_full = False
        # Set when the response is complete, or the client has left before: receive() gives http.disconnect.
        self._is_over = asyncio.Event()
        self._has_left = False
        self._disconnects = 0
        # The error that send() raised because the client had left.
        self._raised: list[OSError] = []
        self._has_ended = False

    # -- what the application calls

    async def _read(self) -> Event:
        await self._yield_at_times()
        event = await self._next_input()
        self._given.append(show(event))
        return event

    async def _yield_at_times(self) -> None:
        self._calls += 1
        if self._calls % _CALLS_IN_A_ROW == 0:
            await asyncio.sleep(0)

    async def _next_input(self) -> Event:
        if self._body is not None and not self._has_left:
            try:
                part = await anext(self._body)
            except StopAsyncIteration:
                self._body = None
                return {"type": "http.request", "body": b"", "more_body": False}
            if self._is_body_whole:
                self._body = None
            return {"type": "http.request", "body": part, "more_body": not self._is_body_whole}
        # An application that asks whether the client has left gives this up before it first suspends.
        if not self._is_over.is_set():
            await self._is_over.wait()
        if self._profile.http_disconnect == "later":
            await asyncio.sleep(0)
        elif self._profile.http_disconnect == "once" and self._disconnects:
            await asyncio.get_running_loop().create_future()
        self._disconnects += 1
        return {"type": "http.disconnect"}

    async def _check(self, event: Event) -> None:
        await self._yield_at_times()
        event = settled(event, takes_bytes_like=self._profile.takes_bytes_like)
        broken = violation(event, self._state, self.scope)
        if broken is not None:
            self._refuse(broken)
        self._taken.append(show(event))
        if self._has_left:
            self._refuse_late()
            return
        kind = event["type"]
        if kind == "http.response.body":
            await self._until_collectable(len(event.get("body", b"")))
        self._state = after(event, self._state, has_trailers=self._has_trailers or bool(event.get("trailers")))
        if kind == "http.response.start":
            self.start = event
            self._has_trailers = bool(event.get("trailers", False))
            if self._has_trailers:
                self.notes[TRAILERS_EXTENSION] = []
        elif kind == TRAILERS_EXTENSION:
            self.notes[kind].extend(event.get("headers", ()))
        elif kind == DEBUG_EXTENSION:
            self.notes[kind] = event["info"]
        elif kind == EARLY_HINT_EXTENSION:
            self.notes.setdefault(kind, []).extend(event["links"])
        self._changed()
        if kind == "http.response.body":
            await self._hand_over(event.get("body", b""))
        self._look_whether_over()

    async def _hand_over(self, part: bytes) -> None:
        if self.scope["method"] == "HEAD":
            part = b""
        if self._is_streamed:
            self._parts.append(part)
            self._has_been_read.clear()
            await self._has_been_read.wait()
        elif part:
            self._parts.append(part)

    async def _until_collectable(self, size: int) -> None:
        self._is_full = not self._is_streamed and self._collected >= _MOST_COLLECTED
        if self._is_full:
            await asyncio.get_running_loop().create_future()
        if self.scope["method"] != "HEAD":
            self._collected += size

    def _refuse_late(self) -> None:
        # ASGI, HTTP, "Disconnected Client - send exception": from version 2.4 on; the servers there are older.
        if self._profile is SPEC:
            self._raised.append(OSError("the client has left"))
            raise self._raised[-1]

    def _look_whether_over(self) -> None:
        if self._state is ResponseState.NOTHING and not (self._is_streamed and self._parts):
            self._is_over.set()

    # -- what the test reads

    @property
    def status(self) -> int:
        """The status of the response; 500 if the application has not begun one, as servers do."""
        return 500 if self.start is None else self.start["status"]

    @property
    def headers(self) -> RawHeaders:
        """The headers of the response, as the application has sent them."""
        return [] if self.start is None else list(self.start.get("headers", ()))

    def collected(self) -> bytes:
        """Return what has come of the body and was not read."""
        return b"".join(self._parts)

    async def until_started(self) -> None:
        """Wait for the start of the response, or for the end of an application that sends none. Raises as `finish`."""
        await self._until(
            lambda: self.start is not None or self.future.done() or self._violation is not None,
            "the application to answer",
        )
        if self.start is None:
            await self.finish()

    async def next_part(self) -> bytes | None:
        """Wait for the next piece of the body; None at its end, when the application has ended. Raises as `finish`."""
        try:
            while not self._has_ended:
                await self._until(
                    lambda: bool(self._parts) or self._is_body_over or self._violation is not None,
                    "more of the response",
                )
                if not self._parts:
                    await self.finish()
                    break
                part = self._parts.popleft()
                self._has_been_read.set()
                self._look_whether_over()
                if part:
                    return part
        except BaseException as error:
            await self.end(error)
            raise
        await self.end()
        return None

    @property
    def _is_body_over(self) -> bool:
        return self.future.done() or self._state in {ResponseState.TRAILERS, ResponseState.NOTHING}

    async def finish(self) -> None:
        """Wait for the application to end, which has to have answered.

        Raises:
            WaitTimeout: it does not end in time.
            ProtocolViolation: it sent what the ASGI text forbids.
            Unanswered: it returned before its response was complete.
            Exception: what it raised.
        """
        task = self.future
        await self._until(lambda: task.done() or self._violation is not None, "the application to answer and end")
        self._raise_unmet()
        if self.error is None and self._state is not ResponseState.NOTHING:
            clause, missing = _UNANSWERED[self._state]
            raise Unanswered(clause, f"the application returned without {missing}")

    # -- the end

    async def end(self, error: BaseException | None = None) -> None:
        """Leave the block, once: without an error it raises what has gone wrong, and else adds that to the error."""
        if not self._has_ended:
            self._has_ended = True
            await self.__aexit__(None if error is None else type(error), error, None)

    async def _leave(self) -> None:
        if not self._is_over.is_set():
            self.cut()
            with suppress(WaitTimeout):
                await self._until_ended("the application to end", self.timeout * _SHARE_FOR_LEAVING)
            if not self.future.done():
                self.stop(exceptions=False)
        await self._until_ended("the application to end after its response")

    def cut(self) -> None:
        """The client leaves: the application receives http.disconnect, and its sends go nowhere."""
        self._has_left = True
        self._is_over.set()
        self._has_been_read.set()

    def _failures(self, *, is_over: bool = False) -> list[BaseException]:
        # An application that lets out what send() raises for a client that has left has not failed.
        return [error for error in super()._failures(is_over=is_over) if not _comes_of(error, self._raised)]

    def _report(self) -> str:
        report = super()._report()
        if not self._is_full:
            return report
        return f"  send waits: a response is collected whole, and no more than {_MOST_COLLECTED} bytes of it\n{report}"


def _comes_of(error: BaseException | None, known: Sequence[BaseException]) -> bool:
    """Return True if an error is one of these, or was raised while one of them was handled."""
    while error is not None and not any(error is one for one in known):
        error = error.__cause__ or error.__context__
    return error is not None
