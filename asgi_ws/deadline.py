"""The time that a handler has to accept."""

import asyncio


class Deadlines:
    """Those of one endpoint's connections in one loop.

    All are equally long, so they come in the order in which they began and one timer of the loop serves them all: a
    timer for each would cost more than everything else that we do for a handshake. It is set for the oldest, and not
    taken back when that one is lifted.
    """

    __slots__ = ("_due", "_seconds", "_timer", "loop")

    def __init__(self, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._seconds = seconds
        # When each is over, the oldest first.
        self._due: dict[Deadline, float] = {}
        # None while there is nothing to wait for.
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, task: "asyncio.Task[object]") -> "Deadline":
        """A deadline for this task."""
        deadline = Deadline(self._due, task)
        due = self._due[deadline] = self.loop.time() + self._seconds
        if self._timer is None:
            self._timer = self.loop.call_at(due, self._check)
        return deadline

    def _check(self) -> None:
        self._timer = None
        now = self.loop.time()
        while self._due:
            deadline, due = next(iter(self._due.items()))
            if due > now:
                self._timer = self.loop.call_at(due, self._check)
                return
            deadline.expire()


class Deadline:
    """Cancels a task, once, unless it is lifted before; `end` tells that from other cancellations.

    What `asyncio.timeout` does, for a timer that is not its own.
    """

    __slots__ = ("_cancellations", "_due", "_task", "expired")

    def __init__(self, due: "dict[Deadline, float]", task: "asyncio.Task[object]") -> None:
        self._due = due
        self._task = task
        self._cancellations = task.cancelling()
        # Whether it has cancelled the task.
        self.expired = False

    def expire(self) -> None:
        """It is over."""
        self.lift()
        self.expired = True
        self._task.cancel()

    def lift(self) -> None:
        """Never cancel; what has happened stays."""
        self._due.pop(self, None)

    def end(self) -> bool:
        """Lift it, and take its cancellation back; whether one that the task met just now was nobody else's."""
        self.lift()
        return self.expired and self._task.uncancel() <= self._cancellations
