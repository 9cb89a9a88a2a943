"""Coroutines that are begun at once: most end without a wait, and then cost no task and no turn of the loop.

What asyncio has for that from Python 3.12 on, `Task(eager_start=True)`, makes a task for each. Here one task stands
ready, coroutines are begun in its name, one after the other, and the first that has to wait becomes its own.
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine, Iterator
from contextvars import Context, copy_context
from typing import Any, TypeAlias

Work: TypeAlias = Coroutine[Any, Any, None]


class _Job(Coroutine[Any, Any, None]):
    """What a task runs: a coroutine that was begun before the task was, or nothing.

    It is no `async def`: cancelled before its first step, that would never tell the coroutine in it.
    """

    def __init__(self) -> None:
        self._work: Work | None = None
        self._context: Context | None = None
        # What the coroutine waits for, until the task has taken it.
        self._waited: Any = None

    def take(self, work: Work, waited: Any, context: Context) -> None:
        """Go on with a coroutine that waits for `waited`, in the context that it was begun in."""
        self._work = work
        self._context = context
        self._waited = waited

    def send(self, value: Any) -> Any:
        """A step of the task."""
        if self._work is None or self._context is None:
            raise StopIteration
        if self._waited is not None:
            waited, self._waited = self._waited, None
            return waited
        return self._context.run(self._work.send, value)

    def throw(self, *error: Any) -> Any:
        """A step of the task that is cancelled, or whose wait has failed."""
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


class Starter:
    """Starts coroutines in the turn of the caller, each in the name of the task that goes on with it if it waits.

    So a timeout in it is its own and not the caller's, and what it sets in its context is not seen by the caller. It
    uses what asyncio documents for other implementations of tasks ("Extending", `_enter_task` and `_leave_task`).

    Args:
        name: of the tasks.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._name = name
        # A task that nothing was found for yet; it ends by itself in the loop's next turn.
        self._spare: tuple[_Job, asyncio.Task[None]] | None = None
        # That task, while something is begun in its name.
        self.current: asyncio.Task[None] | None = None
        # Those that have to wait.
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, works: Iterator[Work]) -> None:
        """Begin each, in order, until there are no more; the iterator itself runs in the caller's turn too.

        What a coroutine raises in its first step goes through.
        """
        loop = self._loop
        caller = asyncio.current_task(loop)
        if caller is not None:
            _leave_task(loop, caller)
        try:
            while self._start_until_one_waits(works):
                pass
        finally:
            if caller is not None:
                _enter_task(loop, caller)

    def _start_until_one_waits(self, works: Iterator[Work]) -> bool:
        job, task = self._spare_task()
        before, self.current = self.current, task
        _enter_task(self._loop, task)
        try:
            found = _first_that_waits(works)
        finally:
            _leave_task(self._loop, task)
            self.current = before
        if found is None:
            self._spare = job, task
            return False
        job.take(*found)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return True

    def _spare_task(self) -> tuple[_Job, "asyncio.Task[None]"]:
        """The spare task, or a new one. It is nobody else's: what is begun in its name may start something itself."""
        spare, self._spare = self._spare, None
        if spare is None or spare[1].done():
            job = _Job()
            spare = job, asyncio.Task(job, loop=self._loop, name=self._name)
        return spare


def _first_that_waits(works: Iterator[Work]) -> tuple[Work, Any, Context] | None:
    for work in works:
        # One for each: what the one sets is not for the next to see.
        context = copy_context()
        try:
            waited = context.run(work.send, None)
        except StopIteration:
            continue
        return work, waited, context
    return None
