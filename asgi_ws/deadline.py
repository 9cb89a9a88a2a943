"""The time that a handler has to accept."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any


class Deadline:
    """Awaits `work`, and cancels the task once that takes too long, unless it is lifted before.

    What `asyncio.timeout` does, but that there is a timer only once `work` waits for something: most handlers accept
    before they do, and a timer costs more than everything else that we do for a handshake.

    Attributes:
        expired: whether it has cancelled the task; `end` tells its cancellation from others.
    """

    __slots__ = (
        "_cancellations",
        "_current_task",
        "_is_lifted",
        "_loop",
        "_seconds",
        "_task",
        "_timer",
        "_work",
        "expired",
    )

    def __init__(
        self,
        work: Awaitable[None],
        seconds: float,
        loop: asyncio.AbstractEventLoop,
        current_task: "Callable[[], asyncio.Task[Any]]",
    ) -> None:
        self._work = work
        self._seconds = seconds
        self._loop = loop
        self._current_task = current_task
        self._is_lifted = False
        self._timer: asyncio.TimerHandle | None = None
        self.expired = False

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
        self._timer = self._loop.call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        self.expired = True
        self._task.cancel()

    def lift(self) -> None:
        """Never cancel; what has happened stays."""
        self._is_lifted = True
        if self._timer is not None:
            self._timer.cancel()
            # A connection lasts, and need not keep it.
            self._timer = None

    def end(self) -> bool:
        """Lift it, and take its cancellation back; whether one that the task met just now was nobody else's."""
        self.lift()
        return self.expired and self._task.uncancel() <= self._cancellations
