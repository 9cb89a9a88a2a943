"""A call of `receive` that outlives its task."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextvars import Context
from typing import Any, Self

from .._asgi import Event, Receive


class PendingReceive:
    """An ASGI `receive` of which a cancelled call loses nothing: the next call continues it.

    For servers whose `receive` returns an awaitable that is not a coroutine (granian, h2corn). A task that awaits such
    a future cancels it when the task is cancelled, and the message is lost. So the task waits for this object instead,
    which has what asyncio asks of a future and ends with the server's, but is cancelled alone. A task and a shield for
    each message make an echo on h2corn cost 1.5 to 2.7 times what it costs now (`python -m benchmarks echo`).

    Args:
        receive: of the server.
        first: a call of it that is under way.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_context",
        "_is_cancelled",
        "_loop",
        "_receive",
        "_steps",
        "_waits_for",
    )

    def __init__(self, receive: Receive, first: Awaitable[Event]) -> None:
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        # The call that is under way; None while there is none.
        self._steps: Iterator[Any] | None = first.__await__()
        # The server's future that the call waits for; None while it does not.
        self._waits_for: Any = None
        # Wakes the task that waits, in its context; None while no task does.
        self._callback: Callable[[object], object] | None = None
        self._context: Context | None = None
        # Whether the task was cancelled instead of woken.
        self._is_cancelled = False
        self._asyncio_future_blocking = False

    def receive(self) -> Self:
        """Return what the next event is awaited by."""
        return self

    def __await__(self) -> Generator[Any, Any, Event]:
        steps = self._steps
        if steps is None:
            steps = self._receive().__await__()
        elif self._waits_for is not None:
            yield self._begun()
        while True:
            self._steps = None
            try:
                waits_for = next(steps)
            except StopIteration as stop:
                event: Event = stop.value
                return event
            self._steps = steps
            if waits_for is None:
                yield
            else:
                self._waits_for = waits_for
                waits_for.add_done_callback(self._on_done)
                yield self._begun()

    def _begun(self) -> Self:
        self._is_cancelled = False
        # How asyncio knows a future that is awaited.
        self._asyncio_future_blocking = True
        return self

    def abort(self) -> None:
        """Cancel the call that is under way."""
        self._steps = None
        if self._waits_for is not None:
            self._waits_for.cancel()

    def _on_done(self, _: object) -> None:
        self._waits_for = None
        callback, self._callback = self._callback, None
        if callback is not None and self._context is not None:
            self._context.run(callback, self)

    # -- the future that a task waits for

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that the server runs in."""
        return self._loop

    def add_done_callback(self, callback: Callable[[object], object], *, context: Context) -> None:
        """Call `callback` when the server's future is done, or this is cancelled."""
        self._callback = callback
        self._context = context

    def cancel(self, msg: object = None) -> bool:
        """Wake the task with a cancellation, and leave the server's future alone."""
        callback, self._callback = self._callback, None
        if callback is None:
            return False
        self._is_cancelled = True
        self._loop.call_soon(callback, self, context=self._context)
        return True

    def result(self) -> None:
        """Return, or raise CancelledError, when the task is woken."""
        if self._is_cancelled:
            raise asyncio.CancelledError
