"""An event loop in a thread of its own, and calls into it that come back whatever the loop does."""

import asyncio
import selectors
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from textwrap import indent
from typing import Any, Final, TypeVar, cast

from .errors import WaitTimeout
from .whereabouts import ASYNCIO, INDENT, KIT

# How long the loop may take to answer when it is asked whether it runs.
_SLACK: Final = 0.5
# How often it is asked while a call is under way. What runs in the loop has bounds of its own, which come first.
_ROUNDS: Final = 5

# What leaves a loop at once, whichever task raises it.
_LEAVE_A_LOOP: Final = (SystemExit, KeyboardInterrupt)
# Whose calls every stack of the thread begins with.
_OF_LOOP: Final = (ASYNCIO, KIT, selectors.__file__, threading.__file__)

_T = TypeVar("_T")


class BackgroundLoop:
    """The loop of whoever holds this: started at its first use, and after each end; ended when nobody holds this."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._thread: LoopThread | None = None

    def running(self) -> "LoopThread":
        """The loop, which runs."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive:
                self._thread = LoopThread(self._timeout)
                weakref.finalize(self, self._thread.abandon)
            return self._thread

    def stop(self) -> None:
        """End the loop, if it runs. Raises WaitTimeout, as `LoopThread.stop`."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()


class LoopThread:
    """One event loop, from its start to its end, in a daemon thread: a loop that is blocked can be left behind.

    Args:
        timeout: after so many seconds of waiting the loop is asked whether it still runs.

    Attributes:
        is_stuck: whether a call has found the loop blocked: nobody waits for it any more.
        kept: what runs in the loop and is to be kept until it has ended, since a loop itself keeps no task.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.is_stuck = False
        self.kept: set[object] = set()
        self._is_stopping = False
        self._stop = asyncio.Event()
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name="asgi_ws.testing event loop", daemon=True
        )
        self._thread.start()
        self._loop = started.result()

    def _run(self, started: "Future[asyncio.AbstractEventLoop]") -> None:
        with suppress(*_LEAVE_A_LOOP), asyncio.Runner() as runner:
            loop = runner.get_loop()
            until_stopped = loop.create_task(self._until_stopped(), name="until the test client stops")
            started.set_result(loop)
            while not until_stopped.done():
                # The task that raised it has kept it, for the test; the others go on.
                with suppress(*_LEAVE_A_LOOP):
                    loop.run_until_complete(until_stopped)
        self.kept.clear()

    async def _until_stopped(self) -> None:
        await self._stop.wait()

    @property
    def is_alive(self) -> bool:
        """Whether calls can be made, though they may find it blocked."""
        return self._thread.is_alive() and not self._is_stopping

    @property
    def is_usable(self) -> bool:
        """Whether calls can be expected to come back with what they are for."""
        return self.is_alive and not self.is_stuck

    def call(self, work: Callable[[], Coroutine[Any, Any, _T]], awaited: str) -> _T:
        """Run a coroutine in the loop; what it returns or raises.

        Raises:
            WaitTimeout: the loop is blocked, with its thread's stack.
            RuntimeError: the call is made from within the loop, or the loop has ended.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError(f"{awaited} from within the loop that it needs: use the asynchronous kit there")
        if self._is_stopping:
            raise _ended(awaited)
        if self.is_stuck and not self._answers():
            raise self._late(awaited, _SLACK)
        self.is_stuck = False
        error, result = self._result(asyncio.run_coroutine_threadsafe(_kept_in(work), self._loop), awaited)
        if error is not None:
            raise error
        return cast(_T, result)

    def _result(self, future: "Future[_T]", awaited: str) -> _T:
        try:
            for _ in range(_ROUNDS):
                if wait([future], self.timeout + _SLACK).done:
                    return future.result()
                if not self._answers():
                    break
            raise self._late(awaited, self.timeout)
        except CancelledError:
            # The loop ends, and cancels what runs in it.
            raise _ended(awaited) from None
        except BaseException:
            future.cancel()
            raise

    def _answers(self) -> bool:
        turned = threading.Event()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(turned.set)
        return turned.wait(_SLACK)

    def _late(self, awaited: str, seconds: float) -> WaitTimeout:
        """What to raise when the loop does not give what is awaited."""
        self.is_stuck = True
        return WaitTimeout(awaited, seconds, self._report())

    def _report(self) -> str:
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 -- the documented way to another thread's stack
        stack = traceback.StackSummary.extract([] if frame is None else traceback.walk_stack(frame))
        stack.reverse()
        shown = [entry for entry in stack if not entry.filename.startswith(_OF_LOOP)]
        if not shown:
            return "  the event loop goes on, and nothing in it ends this wait"
        where = "".join(traceback.format_list(shown)).rstrip()
        return f"  the event loop is blocked: its thread stands at\n{indent(where, INDENT * 2)}"

    def stop(self) -> None:
        """End the loop: what still runs in it is cancelled. A loop that is blocked ends when it can.

        Raises:
            WaitTimeout: what was cancelled does not end.
        """
        if self._is_stopping:
            return
        self._is_stopping = True
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        if self.is_stuck or threading.current_thread() is self._thread:
            return
        self._thread.join(self.timeout + _SLACK)
        if self._thread.is_alive():
            raise self._late("the test client's loop to end", self.timeout)

    def abandon(self) -> None:
        """End the loop, when nobody is left who could be told of it."""
        with suppress(WaitTimeout):
            self.stop()


async def _kept_in(work: Callable[[], Coroutine[Any, Any, _T]]) -> tuple[BaseException | None, _T | None]:
    """What the work raises of those that leave a loop, and what it returns."""
    try:
        return None, await work()
    except _LEAVE_A_LOOP as error:
        return error, None


def _ended(awaited: str) -> RuntimeError:
    return RuntimeError(f"{awaited}: the test client's loop has ended, with the block of the client or by close()")
