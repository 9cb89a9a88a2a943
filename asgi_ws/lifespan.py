"""Start and stop: context managers and mounted applications, entered in order and left in reverse."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from contextvars import Context
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from ._aio.futures import outlived
from ._asgi import ASGIApp, Event, Receive, Scope, Send
from .errors import LifespanFailed

logger = logging.getLogger("asgi_ws")

LifespanContext: TypeAlias = AbstractAsyncContextManager[Any] | Callable[[], AbstractAsyncContextManager[Any]]


class _Run:
    """One start of everything in one loop, and the stop that goes with it."""

    def __init__(self) -> None:
        self.started: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.stop = asyncio.Event()
        # Enters and leaves everything; set right after this was made.
        self.task: asyncio.Task[None]


class Lifespan:
    """The contexts of an application, entered before its first connection and left after its last, once in each loop.

    One task enters and leaves them all, because a context manager may depend on that, as a task group does.
    """

    def __init__(self, contexts: Sequence[LifespanContext], apps: Sequence[ASGIApp]) -> None:
        self._contexts = contexts
        self._apps = apps
        # The run of each loop that has not ended by itself. None where a server has stopped it, which no late
        # connection starts again.
        self._runs: WeakKeyDictionary[asyncio.AbstractEventLoop, _Run | None] = WeakKeyDictionary()

    @property
    def is_needed(self) -> bool:
        """True if there is anything to start."""
        return bool(self._contexts or self._apps)

    async def state(self) -> dict[str, Any]:
        """Return the values of the start, which all connections share; the first one that asks starts it.

        Raises:
            Exception: the first failure. All that had been started is stopped, and the next call tries again.
        """
        loop = asyncio.get_running_loop()
        if loop in self._runs and self._runs[loop] is None:
            return {}
        run = self._runs.get(loop) or self._begin()
        # A connection that goes away while it waits must not take the start from the others.
        return await outlived(run.started)

    def _begin(self) -> _Run:
        # Store the run before its task is made: under an eager task factory the task may end, and discard it, here.
        run = self._runs[asyncio.get_running_loop()] = _Run()
        # In a context of its own: what a first connection has in its own must not be seen by the later ones.
        run.task = asyncio.create_task(self._hold(run), name="asgi_ws lifespan", context=Context())
        return run

    async def _hold(self, run: _Run) -> None:
        state: dict[str, Any] = {}
        try:
            async with AsyncExitStack() as stack:
                for context in self._contexts:
                    manager = context if isinstance(context, AbstractAsyncContextManager) else context()
                    value = await stack.enter_async_context(manager)
                    if isinstance(value, Mapping):
                        state.update(value)
                for app in self._apps:
                    await stack.enter_async_context(_lifespan_of(app, state))
                run.started.set_result(state)
                await run.stop.wait()
            if not run.stop.is_set():
                raise RuntimeError("a lifespan context suppressed the failure of another one")
        except BaseException as error:
            failure = error
            if isinstance(error, asyncio.CancelledError) and not _is_cancelled():
                failure = RuntimeError("the start was cancelled from within")
            if isinstance(failure, Exception) and not run.started.done():
                run.started.set_exception(failure)
                # asyncio logs what nobody has seen, and all who waited may have been cancelled.
                run.started.exception()
            elif isinstance(error, Exception) and not run.stop.is_set():
                # A task group that was started can fail at any time, and then nobody waits for it.
                logger.exception("a lifespan context ended before the shutdown")
            else:
                run.started.cancel()
                raise
        finally:
            self._discard(run)

    def _discard(self, run: _Run) -> None:
        loop = asyncio.get_running_loop()
        if self._runs.get(loop) is not run:
            return
        # Not the run itself, which would keep the loop that is its key.
        if run.stop.is_set():
            self._runs[loop] = None
        else:
            del self._runs[loop]

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a lifespan scope (ASGI, "Lifespan"). A start by a connection is the server's from here on."""
        await receive()
        run = self._runs.get(asyncio.get_running_loop())
        if run is None or run.stop.is_set():
            run = self._begin()
        try:
            await self._serve(run, scope, receive, send)
        finally:
            # A server that cancels this call instead of saying that it stops is one that stops.
            if not run.task.done():
                run.stop.set()
                run.task.cancel()
                await asyncio.wait([run.task])
                _error_of(run.task)

    async def _serve(self, run: _Run, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            state = await outlived(run.started)
        except Exception as error:
            logger.exception("startup failed")
            await send({"type": "lifespan.startup.failed", "message": _reason(error)})
            return
        if "state" in scope:
            scope["state"].update(state)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        run.stop.set()
        try:
            await run.task
        except Exception as error:
            logger.exception("shutdown failed")
            await send({"type": "lifespan.shutdown.failed", "message": _reason(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


def _is_cancelled() -> bool:
    """Return True if this task was cancelled: a CancelledError may come from something that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@asynccontextmanager
async def _lifespan_of(app: ASGIApp, state: dict[str, Any]) -> AsyncIterator[None]:
    """Run the lifespan of a mounted application; one that has none, and returns or raises instead, is left alone.

    An exception after the start is logged.

    Raises:
        LifespanFailed: when it says that it could not start or stop.
    """
    questions: asyncio.Queue[Event] = asyncio.Queue()
    answers: asyncio.Queue[Event] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}

    async def run() -> None:
        await app(scope, questions.get, answers.put)

    task = asyncio.create_task(run(), name="asgi_ws mounted lifespan")

    async def ask(phase: str) -> bool:
        """Return True if the application answered this event, and did not end instead."""
        questions.put_nowait({"type": f"lifespan.{phase}"})
        answer = asyncio.create_task(answers.get(), name="asgi_ws lifespan answer")
        try:
            await asyncio.wait([task, answer], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() and answers.empty():
                return False
            event = await answer
        finally:
            answer.cancel()
        if event["type"] == f"lifespan.{phase}.failed":
            raise LifespanFailed(phase, event.get("message", ""))
        return True

    try:
        has_lifespan = await ask("startup")
        if not has_lifespan:
            logger.debug("a mounted application has no lifespan", exc_info=_error_of(task))
        try:
            yield
        finally:
            if has_lifespan and (task.done() or not await ask("shutdown")) and (error := _error_of(task)) is not None:
                logger.error("lifespan of a mounted application raised", exc_info=error)
    finally:
        task.cancel()
        await asyncio.wait([task])
        _error_of(task)


def _error_of(task: "asyncio.Task[None]") -> BaseException | None:
    """Return what a task that is done raised, unless it was cancelled. To ask keeps asyncio from logging it."""
    return None if task.cancelled() else task.exception()
