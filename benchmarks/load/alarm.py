"""Waiting with an eye on everything that may go wrong meanwhile: no run may hang, and the first failure ends it."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

from .jobs import Failure

_STEP: Final = 0.25


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        replies: how many came.
        missing: how many did not yet.
    """

    replies: Callable[[], int]
    missing: Callable[[], int]

    def problem(self, patience: float) -> str:
        """Return the message for a run in which replies have stopped."""
        missing, came = self.missing(), self.replies()
        return f"no reply came for {patience:g} s: {missing} of {came + missing} never came"


class Connection(Protocol):
    """Work that can be ended at once.

    Attributes:
        closed: done when it is ended.
    """

    closed: asyncio.Future[None]

    def drop(self) -> None:
        """End it."""


class Alarm:
    """Where whatever goes wrong is reported, and where the run waits meanwhile. The first report counts.

    Attributes:
        connections: that are open.
    """

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self._loop = asyncio.get_running_loop()
        self._raised: asyncio.Future[None] = self._loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()

    def fail(self, failure: Failure) -> None:
        """Report it."""
        if not self._raised.done():
            self._raised.set_exception(failure)

    def check(self) -> None:
        """Raise what was reported.

        Raises:
            Failure: if something was.
        """
        if self._raised.done():
            self._raised.result()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it beside; a failure in it is reported. It is cancelled at the end of the run."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error if isinstance(error, Failure) else Failure("unreachable", f"{error!r}"))

    async def close(self) -> None:
        """End what `start` started, and all connections: a loop with open ones may not close."""
        open_ones = list(self.connections)
        for connection in open_ones:
            connection.drop()
        if open_ones:
            await asyncio.wait([connection.closed for connection in open_ones], timeout=1)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._raised.done():
            self._raised.exception()  # a report that comes after the end is none

    async def wait(
        self, until: Callable[[], bool], progress: Callable[[], int], patience: float, problem: Callable[[], str]
    ) -> None:
        """Wait until `until()`, as long as `progress()` changes at least every `patience` seconds.

        Raises:
            Failure: what was reported meanwhile; "timeout" with the text of `problem` when nothing changes any more.
        """
        last, since = progress(), time.monotonic()
        step = min(0.005, patience)
        while not until():
            await self.sleep(step)
            step = min(step * 1.5, _STEP, patience)
            if (now := progress()) != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > patience:
                raise Failure("timeout", problem())
        self.check()

    async def spend(self, seconds: float, progress: Progress, patience: float) -> None:
        """Wait that long, as long as there is progress.

        Raises:
            Failure: as `wait`.
        """
        end = time.monotonic() + seconds
        last, since = progress.replies(), time.monotonic()
        while (left := end - time.monotonic()) > 0:
            await self.sleep(min(_STEP, left, patience))
            if (now := progress.replies()) != last or not progress.missing():
                last, since = now, time.monotonic()
            elif time.monotonic() - since > patience:
                raise Failure("timeout", progress.problem(patience))
        self.check()

    async def drain(self, progress: Progress, patience: float) -> None:
        """Wait for all that is missing.

        Raises:
            Failure: as `wait`.
        """
        await self.wait(lambda: not progress.missing(), progress.replies, patience, lambda: progress.problem(patience))

    async def sleep(self, seconds: float) -> None:
        """Wait that long.

        Raises:
            Failure: as soon as one is reported.
        """
        if not self._raised.done():
            await asyncio.wait([self._raised], timeout=seconds)
        self.check()
