"""A share of each iteration of the event loop."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

# The time slice in one iteration of the loop, in seconds.
_SLICE_SECONDS: Final = 0.01


class TimeSlice:
    """The time slice of a hub in each iteration of the loop, and the work that goes on in the next one.

    The time is the thread's own: a busy machine makes no slice shorter, and uvloop's clock would stand still within an
    iteration.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # When the slice of this iteration ends; None before it has begun.
        self._until: float | None = None
        # Work left over when a slice ended: each returns whether it is done.
        self._works: deque[Callable[[], bool]] = deque()
        self._is_scheduled = False

    def begin(self) -> None:
        """Begin the slice of this iteration, unless it has begun."""
        if self._until is None:
            self._until = time.thread_time() + _SLICE_SECONDS
            self._loop.call_soon(self._end)

    def _end(self) -> None:
        self._until = None

    @property
    def is_over(self) -> bool:
        return self._until is not None and time.thread_time() > self._until

    def is_spent(self) -> bool:
        """Return True if the slice is over; begin it if it has not begun."""
        if self._until is None:
            self.begin()
            return False
        return time.thread_time() > self._until

    def go_on(self, work: Callable[[], bool]) -> None:
        """Call `work` in the next iterations, after what waits already, until it returns True."""
        self._works.append(work)
        self._schedule()

    def _schedule(self) -> None:
        if self._works and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        """Call each pending work once, until the slice is over; the first one in any case, to make progress."""
        self._is_scheduled = False
        self.begin()
        try:
            for _ in range(len(self._works)):
                work = self._works.popleft()
                if not work():
                    self._works.append(work)
                if self.is_over:
                    break
        finally:
            self._schedule()
