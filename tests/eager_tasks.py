"""Event loops whose tasks are begun in `create_task`: asyncio.eager_task_factory, and its like for Python 3.11."""

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine
from contextvars import Context, copy_context
from typing import Any


class _Begun(Coroutine[Any, Any, Any]):
    """A coroutine whose first step is made before its task's."""

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self._work = work
        # The future that the first step waits for, or the exception that it ended with, until the task takes either.
        self._waited: Any = None
        self._end: BaseException | None = None

    def begin(self, context: Context) -> None:
        try:
            self._waited = context.run(self._work.send, None)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 -- the task raises it
            self._end = error

    def send(self, value: Any) -> Any:
        waited, self._waited = self._waited, None
        if waited is not None:
            return waited
        self._raise_end()
        return self._work.send(value)

    def throw(self, *error: Any) -> Any:
        waited, self._waited = self._waited, None
        if waited is not None and waited.cancel():
            return waited
        self._raise_end()
        return self._work.throw(*error)

    def _raise_end(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            raise end

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Any:
        raise NotImplementedError


def _imitated_factory(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], *, context: Context | None = None, **more: Any
) -> "asyncio.Task[Any]":
    """Start a task at once. Unlike a real eager task, one that ends at once is done only in the next iteration."""
    if not loop.is_running():
        return asyncio.Task(work, loop=loop, context=context, **more)
    context = copy_context() if context is None else context
    begun = _Begun(work)
    task = asyncio.Task(begun, loop=loop, context=context, **more)
    caller = asyncio.current_task(loop)
    if caller is not None:
        _leave_task(loop, caller)
    _enter_task(loop, task)
    try:
        begun.begin(context)
    finally:
        _leave_task(loop, task)
        if caller is not None:
            _enter_task(loop, caller)
    return task


eager_task_factory: Any = getattr(asyncio, "eager_task_factory", _imitated_factory)


def new_event_loop(*, use_subprocess: bool = False) -> asyncio.AbstractEventLoop:
    """Return asyncio's own loop with eager tasks, for `asyncio.Runner` and for uvicorn's --loop."""
    loop = asyncio.new_event_loop()
    loop.set_task_factory(eager_task_factory)
    return loop
