"""Coroutines that are started eagerly: most end without a wait, and then cost no task and no iteration of the loop.

asyncio's `Task(eager_start=True)` of Python 3.12 makes a task for each coroutine. Here there is one spare task.
Coroutines are started in its name, one after the other, and it continues the first one that has to wait.
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine, Iterator
from contextvars import Context, copy_context
from itertools import chain
from typing import Any, Final, TypeAlias

Work: TypeAlias = Coroutine[Any, Any, None]

# Returned by `next()` for a coroutine that has ended. `send()` would raise StopIteration, which adds 1,000 to the 7,500
# instructions for each member with a plain `send` (`python -m benchmarks instructions`).
_ENDED: Final = object()


class _Job(Coroutine[Any, Any, None]):
    """The coroutine of a spare task: one that was started before the task was, or nothing.

    It is not an `async def`: cancelled before its first step, that would never throw into the coroutine in it.
    """

    def __init__(self) -> None:
        self._work: Work | None = None
        self._context: Context | None = None
        # The future that the coroutine waits for, until the task has taken it.
        self._waited: Any = None

    def take(self, work: Work, waited: Any, context: Context) -> None:
        """Go on with a coroutine that waits for `waited`, in the context that it was begun in."""
        self._work = work
        self._context = context
        self._waited = waited

    def send(self, value: Any) -> Any:
        """Run a step of the task."""
        if self._work is None or self._context is None:
            raise StopIteration
        if self._waited is not None:
            waited, self._waited = self._waited, None
            return waited
        return self._context.run(self._work.send, value)

    def throw(self, *error: Any) -> Any:
        """Run a step of the task that is cancelled, or whose wait has failed."""
        if self._work is None or self._context is None:
            raise error[0]
        waited, self._waited = self._waited, None
        if waited is not None and waited.cancel():
            # As a task cancels what it waits for, which then ends the wait.
            return waited
        return self._context.run(self._work.throw, *error)

    # A task never closes what it runs.
    def close(self) -> None: ...

    def __await__(self) -> Iterator[Any]:  # type: ignore[override] # a task asks for none
        raise TypeError("a job is run by its task")


class _Spare(asyncio.Task[None]):
    """A task in the name of which coroutines are begun.

    Attributes:
        is_spoiled: whether it was cancelled. One of those coroutines may have done that, and it must not meet the next.
    """

    # Not in the class: a class attribute of a task is looked up in ten times the time, for each coroutine.
    __slots__ = ("is_spoiled",)

    def __init__(self, job: _Job, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self.is_spoiled = False
        super().__init__(job, loop=loop, name=name)

    def cancel(self, msg: Any | None = None) -> bool:
        self.is_spoiled = True
        return super().cancel(msg)


class Starter:
    """Starts coroutines in the current iteration, each in the name of the task that continues it if it waits.

    So a timeout in a coroutine does not affect the caller, and the caller does not see changes of its context. It
    uses what asyncio documents for other implementations of tasks ("Extending", `_enter_task` and `_leave_task`).

    Args:
        name: of the tasks.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._name = name
        # A task without a coroutine; it ends by itself in the next iteration of the loop.
        self._spare: tuple[_Job, _Spare] | None = None
        # That task, while something is begun in its name.
        self.current: asyncio.Task[None] | None = None
        # Those that have to wait.
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, works: Iterator[Work]) -> None:
        """Begin each, in order, until there are no more; the iterator itself runs in the current iteration too.

        An exception of a coroutine's first step propagates.
        """
        loop = self._loop
        caller = asyncio.current_task(loop)
        if caller is not None:
            _leave_task(loop, caller)
        left: Iterator[Work] | None = works
        try:
            while left is not None:
                left = self._start_with_one_task(left)
        finally:
            if caller is not None:
                _enter_task(loop, caller)

    def _start_with_one_task(self, works: Iterator[Work]) -> Iterator[Work] | None:
        """Begin coroutines until the task is one of theirs, or spoiled; return the others, None when there are none."""
        job, task = self._spare_task()
        before, self.current = self.current, task
        _enter_task(self._loop, task)
        try:
            found = _first_that_waits(works, task)
        finally:
            _leave_task(self._loop, task)
            self.current = before
        if found is None:
            self._spare = job, task
            return None
        work, begun = found
        if begun is None:
            return chain([work], works)
        job.take(work, *begun)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return works

    def _spare_task(self) -> tuple[_Job, _Spare]:
        """Return the spare task or a new one, and own it: a coroutine in its name may start others itself."""
        spare, self._spare = self._spare, None
        if spare is None or spare[1].done() or spare[1].is_spoiled:
            job = _Job()
            spare = job, _Spare(job, self._loop, self._name)
        return spare


def _first_that_waits(works: Iterator[Work], task: _Spare) -> tuple[Work, tuple[Any, Context] | None] | None:
    """Begin coroutines in the name of the task; return the first that waits, with what it waits for and its context.

    Without these it is the first that has to be begun in the name of another task, since this one is spoiled.
    """
    for work in works:
        if task.is_spoiled:
            return work, None
        # One for each: what the one sets is not for the next to see.
        context = copy_context()
        waited = context.run(next, work.__await__(), _ENDED)
        if waited is not _ENDED:
            return work, (waited, context)
    return None
