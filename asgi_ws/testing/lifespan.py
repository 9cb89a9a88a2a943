"""The start and the stop of an application, around what a test does with it."""

from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

from .._asgi import ASGIApp, Event
from ..errors import LifespanFailed
from .conformance.lifespan import (
    SHUTDOWN,
    SHUTDOWN_COMPLETE,
    STARTUP_COMPLETE,
    TRANSITIONS,
    LifespanState,
    violation,
)
from .errors import Unanswered, WaitTimeout
from .run import Run

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True

# The request to the application.
Phase: TypeAlias = Literal["startup", "shutdown"]

_ANSWERED: Final = frozenset({LifespanState.STARTED, LifespanState.STOPPED})
# The share of the time-out in which an application that reported a failure may raise the reason.
_SHARE_FOR_REASON: Final = 0.5


class LifespanManager(Run):
    """Starts an application as a server does before its first connection, and stops it when the block is left.

        async with LifespanManager(app) as lifespan, http_client(app, state=lifespan.state) as client:
            response = await client.get("/")

    The application runs its whole lifespan in one task. A test that fails inside the block stops it all the same. One
    that has no lifespan, and raises when it is asked for one as Django does, is tested without this.

    Args:
        app: the application.
        timeout: the bound of every wait, in seconds of real time.
        check_leaks: False if tasks of the application's may outlive its lifespan.

    Attributes:
        state: what the start has left for the connections (ASGI, Lifespan, "Lifespan State").

    Raises:
        LifespanFailed: on entering and on leaving, when the application says that it could not start, or stop, and
            raises nothing itself.
        Unanswered: when it returns without having said that it has started, or stopped.
        ProtocolViolation: when it sends what the ASGI text forbids.
        WaitTimeout: when it does not answer.
        LeakedTasks: on leaving, when it has left tasks running.
        Exception: what the application raised; if that was between start and stop, on leaving.
    """

    def __init__(self, app: ASGIApp, *, timeout: float = 5.0, check_leaks: bool = True) -> None:
        self.state: dict[str, Any] = {}
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        super().__init__(app, scope, timeout=timeout, check_leaks=check_leaks)
        self._receive = self._read
        self._send = self._check
        self._state = LifespanState.STARTING
        # The failure that the application reported, or caused by not answering. None without one.
        self._failed: LifespanFailed | Unanswered | None = None

    async def _read(self) -> Event:
        event: Event = await self.input_queue.get()
        return event

    async def _check(self, event: Event) -> None:
        broken = violation(event, self._state)
        if broken is not None:
            self._refuse(broken)
        self._state = TRANSITIONS[self._state][event["type"]]
        self._take(event)

    def _failures(self, *, is_over: bool = False) -> list[BaseException]:
        # The exception of the application says more than its report of a failure.
        return super()._failures(is_over=is_over) or ([] if self._failed is None else [self._failed])

    async def _ask(self, phase: Phase) -> bool:
        """Ask the application for a phase, and return True if its answer is good. Otherwise the reason is kept.

        Raises:
            WaitTimeout: the application does not answer.
        """
        task = self.future
        self._give({"type": f"lifespan.{phase}"})
        await self._until(
            lambda: self._state in _ANSWERED or self._violation is not None or task.done(),
            f"lifespan.{phase}.complete",
        )
        if self._state in _ANSWERED:
            event = self.output_queue.get_nowait()
            if event["type"] == f"lifespan.{phase}.complete":
                return True
            # It may raise why, as Starlette does.
            with suppress(WaitTimeout):
                await self._until_ended("its end", self.timeout * _SHARE_FOR_REASON)
            self._failed = LifespanFailed(phase, event.get("message", ""))
        elif task.done():
            self._failed = _unanswered(phase, "returned")
        return False

    async def __aenter__(self) -> Self:
        """Start the application."""
        if self._future is not None:
            raise RuntimeError("a LifespanManager starts and stops once: make another one")
        await super().__aenter__()
        try:
            if not await self._ask("startup"):
                self._raise_unmet()
        except BaseException as error:
            await super().__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the application."""
        if error is not None:
            # The application closes its resources after a failed test too.
            try:
                await self._close()
            except WaitTimeout as late:
                error.add_note(f"The application: {late}")
        await super().__aexit__(kind, error, trace)

    async def _close(self) -> None:
        if self.future.done():
            self._failed = self._failed or _unanswered("shutdown", "returned before it was asked to stop")
            return
        self._state = TRANSITIONS[self._state][SHUTDOWN]
        if await self._ask("shutdown"):
            await self._until_ended("the application to end after its shutdown")


def _unanswered(phase: Phase, how: str) -> Unanswered:
    clause = STARTUP_COMPLETE if phase == "startup" else SHUTDOWN_COMPLETE
    return Unanswered(clause, f"the application {how}, without lifespan.{phase}.complete")
