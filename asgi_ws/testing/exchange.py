"""One HTTP request to an application under watch, and the response as it comes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, Final

from .._asgi import ASGIApp, Event, RawHeaders, Scope
from .conformance.http import BODY, START, TRAILERS, ResponseState
from .errors import Unanswered, WaitTimeout, show
from .run import Run
from .servers.http import MOST_COLLECTED, ImitatedRequest
from .servers.profiles import ServerProfile

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True

_UNANSWERED: Final = {
    ResponseState.START: (START, "http.response.start"),
    ResponseState.BODY: (BODY, "an http.response.body without more_body"),
    ResponseState.BODY_BEFORE_TRAILERS: (BODY, "an http.response.body without more_body"),
    ResponseState.TRAILERS: (TRAILERS, "http.response.trailers"),
}
# The share of the time-out that an application has to end by itself when the client leaves in the middle.
_SHARE_FOR_LEAVING: Final = 0.1


class Exchange(Run):
    """One request to the application, and its response."""

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
        self._server = ImitatedRequest(
            profile,
            scope,
            body,
            is_body_whole=is_body_whole,
            is_streamed=is_streamed,
            on_event=lambda event: self._taken.append(show(event)),
            on_change=self._changed,
            refuse=self._refuse,
        )
        self._receive = self._read
        self._send = self._server.send
        self._has_ended = False

    async def _read(self) -> Event:
        event = await self._server.receive()
        self._given.append(show(event))
        return event

    # -- what the test reads

    @property
    def status(self) -> int:
        """The status of the response; 500 if the application has not begun one, as servers do."""
        start = self._server.start
        return 500 if start is None else start["status"]

    @property
    def headers(self) -> RawHeaders:
        """The headers of the response, as the application has sent them."""
        return self._server.headers

    def add_notes_to(self, notes: dict[str, Any]) -> None:
        """Add the application's events of extensions, by the name of the extension, and later ones as they come."""
        notes.update(self._server.notes)
        self._server.notes = notes

    def collected(self) -> bytes:
        """Return what has come of the body and was not read."""
        return b"".join(self._server.parts)

    async def until_started(self) -> None:
        """Wait for the start of the response, or for the end of an application that sends none. Raises as `finish`."""
        server = self._server
        await self._until(
            lambda: server.start is not None or self.future.done() or self._violation is not None,
            "the application to answer",
        )
        if server.start is None:
            await self.finish()

    async def next_part(self) -> bytes | None:
        """Wait for the next piece of the body; None at its end, when the application has ended. Raises as `finish`."""
        server = self._server
        try:
            while not self._has_ended:
                await self._until(
                    lambda: bool(server.parts) or self._is_body_over or self._violation is not None,
                    "more of the response",
                )
                if not server.parts:
                    await self.finish()
                    break
                part = server.read()
                if part:
                    return part
        except BaseException as error:
            await self.close(error)
            raise
        await self.close()
        return None

    @property
    def _is_body_over(self) -> bool:
        return self.future.done() or self._server.state in {ResponseState.TRAILERS, ResponseState.NOTHING}

    async def finish(self) -> None:
        """Wait for the application to end, which has to have answered.

        Raises:
            WaitTimeout: it does not end in time.
            ProtocolViolation: it sent an event that the ASGI text forbids.
            Unanswered: it returned before its response was complete.
            Exception: what it raised.
        """
        task = self.future
        await self._until(lambda: task.done() or self._violation is not None, "the application to answer and end")
        self._raise_unmet()
        if self.error is None and self._server.state is not ResponseState.NOTHING:
            clause, missing = _UNANSWERED[self._server.state]
            raise Unanswered(clause, f"the application returned without {missing}")

    # -- the end

    async def close(self, error: BaseException | None = None) -> None:
        """Leave the block, once: without an error it raises what has gone wrong, and else adds that to the error."""
        if not self._has_ended:
            self._has_ended = True
            await self.__aexit__(None if error is None else type(error), error, None)

    async def _close(self) -> None:
        if not self._server.is_over:
            self._server.abort()
            with suppress(WaitTimeout):
                await self._until_ended("the application to end", self.timeout * _SHARE_FOR_LEAVING)
            if not self.future.done():
                self.stop(exceptions=False)
        await self._until_ended("the application to end after its response")

    def _failures(self, *, is_over: bool = False) -> list[BaseException]:
        # An application that lets out what send() raises for a client that has left has not failed.
        return [error for error in super()._failures(is_over=is_over) if not _comes_of(error, self._server.raised)]

    def _report(self) -> str:
        report = super()._report()
        if not self._server.is_full:
            return report
        return f"  send waits: a response is collected whole, and no more than {MOST_COLLECTED} bytes of it\n{report}"


def _comes_of(error: BaseException | None, known: Sequence[BaseException]) -> bool:
    """Return True if an error is one of these, or was raised while one of them was handled."""
    while error is not None and not any(error is one for one in known):
        error = error.__cause__ or error.__context__
    return error is not None
