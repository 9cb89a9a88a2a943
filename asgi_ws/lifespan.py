"""Start and stop: context managers and mounted applications, entered in order and left in reverse."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

from ._asgi import ASGIApp, Event, Receive, Scope, Send
from .errors import LifespanFailed

logger = logging.getLogger("asgi_ws")

LifespanContext: TypeAlias = AbstractAsyncContextManager[Any] | Callable[[], AbstractAsyncContextManager[Any]]


class Lifespan:
    """What an application starts before its first connection, and stops after its last.

    All of it is entered and left in one task, since a context manager may depend on that (a task group does).
    """

    def __init__(self, contexts: Sequence[LifespanContext], apps: Sequence[ASGIApp]) -> None:
        self._contexts = contexts
        self._apps = apps
        # The task that holds everything open; None before the start and after the end.
        self._task: asyncio.Task[None] | None = None
        # The loop it runs in: another one, as in the next test, starts anew.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started: asyncio.Future[dict[str, Any]] | None = None
        self._stop: asyncio.Event | None = None

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to start."""
        return bool(self._contexts or self._apps)

    async def start(self) -> dict[str, Any]:
        """Start everything, once; the state that it made, which everyone who asks shares.

        Raises:
            Exception: what the first failure was; what had been started is stopped, and the next call tries again.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop or self._started is None:
            self._loop, self._started, self._stop = loop, loop.create_future(), asyncio.Event()
            self._task = asyncio.create_task(self._hold(self._started, self._stop), name="asgi_ws lifespan")
        # A connection that goes away while it waits must not take the start from the others.
        return await asyncio.shield(self._started)

    async def stop(self) -> None:
        """Stop what was started, in reverse. Raises what failed on the way."""
        if self._task is not None and self._stop is not None and self._loop is asyncio.get_running_loop():
            self._stop.set()
            await self._task

    async def _hold(self, started: "asyncio.Future[dict[str, Any]]", stop: asyncio.Event) -> None:
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
                started.set_result(state)
                await stop.wait()
        except Exception as error:
            if not started.done():
                started.set_exception(error)
            elif stop.is_set():
                raise
            else:
                # A task group that was started can fail at any time, and then nobody waits for it.
                logger.exception("what was started ended by itself")
        finally:
            started.cancel()
            self._forget(started)

    def _forget(self, started: "asyncio.Future[dict[str, Any]]") -> None:
        # Another loop may have started meanwhile, and what it started is not this one's.
        if self._started is started:
            self._started = self._task = None

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The server's side of it (ASGI, "Lifespan")."""
        await receive()
        try:
            state = await self.start()
        except Exception as error:
            logger.exception("start-up failed")
            await send({"type": "lifespan.startup.failed", "message": _reason(error)})
            return
        if "state" in scope:
            scope["state"].update(state)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            await self.stop()
        except Exception as error:
            logger.exception("shutdown failed")
            await send({"type": "lifespan.shutdown.failed", "message": _reason(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@asynccontextmanager
async def _lifespan_of(app: ASGIApp, state: dict[str, Any]) -> AsyncIterator[None]:
    """Run the lifespan of a mounted application; one that has none, and returns or raises instead, is left alone.

    What an application raises after it has started is logged.

    Raises:
        LifespanFailed: when it says that it could not start or stop.
    """
    inbox: asyncio.Queue[Event] = asyncio.Queue()
    outbox: asyncio.Queue[Event] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}

    async def run() -> None:
        await app(scope, inbox.get, outbox.put)

    task = asyncio.create_task(run(), name="asgi_ws mounted lifespan")

    async def ask(phase: str) -> bool:
        """Whether the application answered this event, and did not end instead."""
        inbox.put_nowait({"type": f"lifespan.{phase}"})
        answer = asyncio.create_task(outbox.get(), name="asgi_ws lifespan answer")
        try:
            await asyncio.wait([task, answer], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() and outbox.empty():
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
            logger.debug("a mounted application has no lifespan", exc_info=task.exception())
        try:
            yield
        finally:
            if has_lifespan and (task.done() or not await ask("shutdown")) and (error := _error_of(task)) is not None:
                logger.error("the lifespan of a mounted application raised", exc_info=error)
    finally:
        task.cancel()
        await asyncio.wait([task])
        _error_of(task)


def _error_of(task: "asyncio.Task[None]") -> BaseException | None:
    """What a task that is done raised; a cancellation is no error. Asking is what keeps asyncio from logging it."""
    return None if task.cancelled() else task.exception()
