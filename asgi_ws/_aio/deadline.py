"""A deadline for the work of a task."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from .futures import ended

logger = logging.getLogger("asgi_ws")


class Deadline:
    """Cancels a task after some seconds, or once `is_in_vain` returns True, unless it is stopped before.

    Both begin in the next iteration of the event loop, since most handlers have accepted by then: a timer and a task
    would cost more than everything else that this package does for a handshake.

    Args:
        task: the current task.
        seconds: None for no time limit.
        is_in_vain: runs in a task of its own, and returns True when nothing is left to wait for.

    Attributes:
        expired: whether the task was cancelled; `end` tells this cancellation from others.
        is_in_vain: None once it is not called any more.
    """

    __slots__ = ("_cancellations", "_handle", "_loop", "_seconds", "_task", "_watcher", "expired", "is_in_vain")

    def __init__(
        self,
        task: "asyncio.Task[Any]",
        seconds: float | None,
        is_in_vain: Callable[[], Coroutine[Any, Any, bool]],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = task
        self._cancellations = task.cancelling()
        self._seconds = seconds
        self.is_in_vain: Callable[[], Coroutine[Any, Any, bool]] | None = is_in_vain
        self.expired = False
        # Runs `is_in_vain`; None before that and after the stop.
        self._watcher: asyncio.Task[None] | None = None
        # Starts, then is the timer; None where there is nothing to cancel.
        self._handle: asyncio.Handle | None = self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._handle = None if self._seconds is None else self._loop.call_later(self._seconds, self._expire)
        if self.is_in_vain is not None:
            self._watcher = self._loop.create_task(self._watch(self.is_in_vain), name="asgi_ws handshake")

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
        """Call `is_in_vain` no more. Return its task if that has to end yet: cancelled, or by itself."""
        self.is_in_vain = None
        if self._watcher is None or self._watcher.done():
            return None
        if cancel:
            self._watcher.cancel()
        return self._watcher

    def stop(self) -> None:
        """Stop: do not cancel the task any more. A cancellation that was requested stays."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        # A connection lasts, and need not keep either.
        self._watcher = self.stop_watching(cancel=True)

    async def end(self) -> bool:
        """Stop, and take back the cancellation; return True if the task has met no other one."""
        self.stop()
        if self._watcher is not None:
            await ended(self._watcher)
        return self.expired and self._task.uncancel() <= self._cancellations
