"""The time that a handler has to accept."""

import asyncio


class Deadline:
    """Cancels the task that made it, once, unless it is lifted before; `end` tells it from other cancellations.

    What `asyncio.timeout` does, but that a timer of the loop is made only once the task waits for something: most
    handlers accept before they do, and a timer costs more than everything else that we do for a handshake.
    """

    __slots__ = ("_cancellations", "_due", "_handle", "_loop", "_task", "expired")

    def __init__(self, seconds: float, loop: asyncio.AbstractEventLoop, task: "asyncio.Task[object]") -> None:
        self._loop = loop
        self._task = task
        self._cancellations = task.cancelling()
        # Whether it has cancelled the task.
        self.expired = False
        self._due = loop.time() + seconds
        # What is to come: the setting of the timer, then the timer; None once it is lifted.
        self._handle: asyncio.Handle | None = loop.call_soon(self._start)

    def _start(self) -> None:
        self._handle = self._loop.call_at(self._due, self._expire)

    def _expire(self) -> None:
        self.expired = True
        self._task.cancel()

    def lift(self) -> None:
        """Never cancel; what has happened stays."""
        if self._handle is not None:
            self._handle.cancel()
            # A connection lasts, and need not keep it.
            self._handle = None

    def end(self) -> bool:
        """Lift it, and take its cancellation back; whether one that the task met just now was nobody else's."""
        self.lift()
        return self.expired and self._task.uncancel() <= self._cancellations
