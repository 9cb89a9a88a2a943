"""Portals: an event loop in a thread of its own, and calls into it that come back whatever the loop does."""

import asyncio
import inspect
import selectors
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager, suppress
from textwrap import indent
from typing import Any, Final, TypeVar, cast

from .errors import ApplicationCancelled, WaitTimeout
from .task_report import ASYNCIO, INDENT, KIT, innermost_own

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True

# How long the loop may take to answer when it is asked whether it runs.
_SLACK: Final = 0.5
# How often it is asked while a call is under way. Work in the loop has time limits of its own, which come first.
_ROUNDS: Final = 5

# Exceptions that leave a loop at once.
_LEAVE_A_LOOP: Final = (SystemExit, KeyboardInterrupt)
# Files whose calls begin every stack of the thread.
_OF_LOOP: Final = (ASYNCIO, KIT, selectors.__file__, threading.__file__)

_T = TypeVar("_T")


class StillBlocked(WaitTimeout):
    """The event loop was found blocked by an earlier call, and is so still: this one has not been begun."""

    def __str__(self) -> str:
        return f"an earlier call blocked the event loop: {super().__str__()}"


class PortalProvider:
    """Starts a portal at its first use, and after each end; ended when nobody holds this any more."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._portal: BlockingPortal | None = None
        # Stops the portal; None while there is none.
        self._finalizer: weakref.finalize[Any, Any] | None = None

    def running(self) -> "BlockingPortal":
        """Return a portal whose loop runs. One that is blocked is left behind, unless a block needs that very one."""
        with self._lock:
            portal = self._portal
            if portal is None or not (portal.is_alive and (portal.kept or portal.is_usable())):
                if self._finalizer is not None:
                    self._finalizer()
                self._portal = portal = BlockingPortal(self._timeout)
                self._finalizer = weakref.finalize(self, portal.stop_nowait)
            return portal

    def stop(self) -> None:
        """Stop the portal, if there is one. Raises as `BlockingPortal.stop`."""
        with self._lock:
            portal = self._portal
            if self._finalizer is not None:
                self._finalizer.detach()
            self._portal = self._finalizer = None
        if portal is not None:
            portal.stop()


class BlockingPortal:
    """One event loop, from its start to its end, in a daemon thread: a loop that is blocked can be left behind.

    Args:
        timeout: after so many seconds of waiting the loop is asked whether it still runs.

    Attributes:
        kept: what the test has a block of and needs this very loop. A loop itself keeps no task.

    Raises:
        Exception: what the event loop policy raises.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.kept: set[object] = set()
        # Whether a call has found the loop blocked, and none since has found it running.
        self._is_stuck = False
        self._is_stopping = False
        # Exceptions that left the loop though no task raised them: nothing else keeps them.
        self._escaped: list[BaseException] = []
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name="asgi_ws.testing event loop", daemon=True
        )
        self._thread.start()
        self._loop = started.result()

    def _run(self, started: "Future[asyncio.AbstractEventLoop]") -> None:
        runner = asyncio.Runner()
        try:
            loop = runner.get_loop()
        except BaseException as error:  # noqa: BLE001 -- it is the test's, which waits for it
            started.set_exception(error)
            return
        with suppress(*_LEAVE_A_LOOP), runner:
            started.set_result(loop)
            while not self._is_stopping:
                self._run_until_left(loop)
            loop.set_exception_handler(_tell)
        self.kept.clear()

    def _run_until_left(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_forever()
        except _LEAVE_A_LOOP as error:
            # The task keeps its own exception for the test.
            if not _is_of_task(error):
                self._escaped.append(error)
        else:
            if not self._is_stopping:
                self._escaped.append(RuntimeError("the application stopped the event loop: it called loop.stop()"))

    @property
    def is_alive(self) -> bool:
        """Whether calls can be made, though they may find it blocked."""
        return self._thread.is_alive() and not self._is_stopping

    def is_usable(self) -> bool:
        """Return True if calls can be expected to return. A loop that was blocked is asked again."""
        if self._is_stuck and self.is_alive:
            self._is_stuck = not self._answers()
        return self.is_alive and not self._is_stuck

    def call(self, work: Callable[[], Coroutine[Any, Any, _T]], awaited: str) -> _T:
        """Run a coroutine in the loop; what it returns or raises.

        Raises:
            WaitTimeout: the loop is blocked, with its thread's stack.
            RuntimeError: the call is made from within the loop, or the loop has ended, or the application stopped it.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError(f"{awaited} cannot wait in the loop that it needs: use the asynchronous kit there")
        if not self.is_alive:
            raise _ended(awaited)
        if not self.is_usable():
            raise StillBlocked(awaited, _SLACK, *self._stand())
        error, result = self._result(asyncio.run_coroutine_threadsafe(_outcome(work), self._loop), awaited)
        if error is not None:
            raise error
        self._raise_escaped()
        return cast(_T, result)

    def _result(self, future: "Future[_T]", awaited: str) -> _T:
        try:
            for _ in range(_ROUNDS):
                if wait([future], self.timeout + _SLACK).done:
                    return future.result()
                if not self._answers():
                    self._is_stuck = True
                    break
            raise WaitTimeout(awaited, self.timeout, *self._stand())
        except CancelledError:
            # The loop ends, and cancels what runs in it.
            raise _ended(awaited) from None
        except BaseException:
            future.cancel()
            raise

    def _raise_escaped(self) -> None:
        if self._escaped:
            raise self._escaped.pop(0)

    def _answers(self) -> bool:
        turned = threading.Event()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(turned.set)
        return turned.wait(_SLACK)

    def _stand(self) -> tuple[str, str]:
        """Return the position of the thread as a report, and as the innermost line of the application."""
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 -- the documented way to another thread's stack
        calls = [] if frame is None else [call for call, _ in traceback.walk_stack(frame)][::-1]
        shown = [call for call in calls if not call.f_code.co_filename.startswith(_OF_LOOP)]
        if not shown:
            return "  the event loop goes on, and nothing in it ends this wait", ""
        stack = traceback.StackSummary.extract((call, call.f_lineno) for call in shown)
        where = "".join(traceback.format_list(stack)).rstrip()
        report = f"  the event loop is blocked: its thread stands at\n{indent(where, INDENT * 2)}"
        return report, innermost_own(shown)

    def stop(self) -> None:
        """End the loop: what still runs in it is cancelled. A loop that is blocked ends when it can.

        Raises:
            WaitTimeout: what was cancelled does not end.
            BaseException: what left the loop, and no call has raised.
        """
        if not self.is_alive:
            return
        is_within = threading.current_thread() is self._thread
        can_end = not is_within and self.is_usable()
        self.stop_nowait()
        if can_end:
            self._thread.join(self.timeout + _SLACK)
            if self._thread.is_alive():
                raise WaitTimeout("the test client's loop to end", self.timeout, *self._stand())
        self._raise_escaped()

    def stop_nowait(self) -> None:
        """Have the loop end when it can, and wait for nothing."""
        self._is_stopping = True
        # It may have ended.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)


async def _outcome(work: Callable[[], Coroutine[Any, Any, _T]]) -> tuple[BaseException | None, _T | None]:
    """Return the exception of the work, which must not leave the loop by itself, and its result."""
    try:
        return None, await work()
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 -- it is raised in the caller's thread
        return error, None


@contextmanager
def beside(error: BaseException | None) -> Iterator[None]:
    """Add an error of the block as a note to the error that exists already."""
    try:
        yield
    except Exception as late:
        if error is None:
            raise
        with suppress(Exception):
            error.add_note(f"Besides, {type(late).__name__}: {str(late).partition(chr(10))[0]}")


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio logs at a loop's end, but for the applications that this end has cancelled."""
    if not isinstance(context.get("exception"), ApplicationCancelled):
        loop.default_exception_handler(context)


def _is_of_task(error: BaseException) -> bool:
    """Return True if a coroutine raised it, and not a plain callback of the loop."""
    return any(frame.f_code.co_flags & inspect.CO_COROUTINE for frame, _ in traceback.walk_tb(error.__traceback__))


def _ended(awaited: str) -> RuntimeError:
    return RuntimeError(f"{awaited}: the test client's loop has ended, with the block of the client or by close()")
