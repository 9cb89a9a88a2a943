"""Exceptions of an application's tasks that nobody awaited: asyncio only logs them, when the task is forgotten."""

import asyncio
from typing import Any

from .errors import TaskFailed
from .task_report import OWNER, context_of


class UnretrievedErrors:
    """Keeps those of the tasks that run in a context whose `OWNER` is `owner`, from `start` to `stop`."""

    def __init__(self, owner: object) -> None:
        self.failures: list[TaskFailed] = []
        self._owner = owner
        # Where they were told, and who was told before; None before the start.
        self._loop: asyncio.AbstractEventLoop | None = None
        self.before: Any = None
        self.is_over = False

    def start(self) -> None:
        """Listen to the running loop. The earlier handler gets the exceptions of others."""
        self._loop = asyncio.get_running_loop()
        self.before = self._loop.get_exception_handler()
        self._loop.set_exception_handler(self._handle)

    def stop(self) -> None:
        """Listen no more. One that started later goes on, and takes this one away when it stops."""
        self.is_over = True
        if self._loop is None:
            return
        handler: Any = self._loop.get_exception_handler()
        while isinstance(listener := getattr(handler, "__self__", None), UnretrievedErrors) and listener.is_over:
            handler = listener.before
        self._loop.set_exception_handler(handler)

    def _handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task, error = context.get("future"), context.get("exception")
        if self.is_over or error is None or not isinstance(task, asyncio.Task) or not self._owns(task):
            self._pass_on(loop, context)
        else:
            self.failures.append(TaskFailed(task.get_name(), error))

    def _owns(self, task: asyncio.Task[Any]) -> bool:
        return context_of(task).get(OWNER) is self._owner

    def _pass_on(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if self.before is not None:
            self.before(loop, context)
        else:
            loop.default_exception_handler(context)
