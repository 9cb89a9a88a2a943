"""The time that a handler has to accept."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from .futures import resolve

logger = logging.getLogger("asgi_ws")


class Deadline:
    """Awaits `work`, and cancels the task once that takes too long or is in vain, unless it is lifted before.

    Does what `asyncio.timeout` does, but starts the timer only once `work` waits for something: most handlers accept
    before they do, and a timer costs more than everything else that we do for a handshake. `is_in_vain` runs in a task
    of its own from then on, and returns True when there is nothing left to accept.

    Attributes:
        expired: whether it has cancelled the task; `end` tells its cancellation from others.
        is_in_vain: None once nobody shall ask any more.
    """

    __slots__ = (
        "_cancellations",
        "_current_task",
        "_is_lifted",
        "_loop",
        "_seconds",
        "_task",
        "_timer",
        "_watcher",
        "_work",
        "expired",
        "is_in_vain",
    )

    def __init__(
        self,
        work: Awaitable[None],
        seconds: float | None,
        loop: asyncio.AbstractEventLoop,
        current_task: "Callable[[], asyncio.Task[Any]]",
        is_in_vain: Callable[[], Coroutine[Any, Any, bool]],
    ) -> None:
        self._work = work
        self._seconds = seconds
        self._loop = loop
        self._current_task = current_task
        # Whether there is nothing left to start.
        self._is_lifted = False
        # None before the first wait, and without `seconds`.
        self._timer: asyncio.TimerHandle | None = None
        # Runs `is_in_vain`; None before the first wait.
        self._watcher: asyncio.Task[None] | None = None
        self.expired = False
        self.is_in_vain: Callable[[], Coroutine[Any, Any, bool]] | None = is_in_vain

    def __await__(self) -> Generator[Any, Any, None]:
        # The first step by hand; then what `yield from` does for all others, until a step was no exception's.
        steps = self._work.__await__()
        try:
            waits_for = next(steps)
            if not self._is_lifted:
                self._start()
            while True:
                try:
                    yield waits_for
                except BaseException as error:  # noqa: BLE001 -- whatever is thrown in is for `work`
                    waits_for = steps.throw(error)
                else:
                    return (yield from steps)
        except StopIteration:
            return None

    def _start(self) -> None:
        self._task = self._current_task()
        self._cancellations = self._task.cancelling()
        if self._seconds is not None:
            self._timer = self._loop.call_later(self._seconds, self._expire)
        if self.is_in_vain is not None:
            self._watcher = asyncio.create_task(self._watch(self.is_in_vain), name="asgi_ws handshake")

    async def _watch(self, is_in_vain: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        try:
            if await is_in_vain():
                self._expire()
        except Exception:
            # The server raises this again where the handler asks, or it does not matter to the handler.
            logger.debug("the server could not tell whether the client has left", exc_info=True)

    def _expire(self) -> None:
        if not self.expired:
            self.expired = True
            self._task.cancel()

    def stop_watching(self, *, cancel: bool) -> "asyncio.Task[None] | None":
        """Ask `is_in_vain` no more. Return its task, if that has to end yet: cancelled, or by itself."""
        self.is_in_vain = None
        if self._watcher is None or self._watcher.done():
            return None
        if cancel:
            self._watcher.cancel()
        return self._watcher

    def lift(self) -> None:
        """Never cancel; what has happened stays."""
        self._is_lifted = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # A connection lasts, and need not keep either.
        self._watcher = self.stop_watching(cancel=True)

    async def end(self) -> bool:
        """Lift it, and take its cancellation back; whether one that the task met just now was nobody else's."""
        self.lift()
        if self._watcher is not None:
            await ended(self._watcher)
        return self.expired and self._task.uncancel() <= self._cancellations


async def ended(task: "asyncio.Task[None]") -> None:
    """Wait until a task has ended, however it does.

    `asyncio.wait` does the same, and adds 16 of 73 µs to a handshake whose handler waits before it accepts.
    """
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task.add_done_callback(lambda _: resolve(waiter))
    await waiter


async def ended_within(task: "asyncio.Task[None]", seconds: float | None, grace: float) -> None:
    """Wait until a task has ended, for so many seconds at most; None for no end.

    A cancellation leaves it `grace` seconds, and is raised after that. More of them change nothing: anyio, for one,
    cancels a task again in each iteration of the event loop.
    """
    loop = asyncio.get_running_loop()
    until = math.inf if seconds is None else loop.time() + seconds
    cancelled: asyncio.CancelledError | None = None
    while not task.done() and (left := until - loop.time()) > 0:
        try:
            await asyncio.wait([task], timeout=None if left == math.inf else left)
        except asyncio.CancelledError as error:
            if cancelled is None:
                until = min(until, loop.time() + grace)
            cancelled = error
    if cancelled is not None:
        try:
            raise cancelled
        finally:
            # An exception that this frame keeps would keep this frame.
            del cancelled
