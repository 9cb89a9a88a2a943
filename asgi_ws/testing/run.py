"""One run of an ASGI application, on asgiref's communicator: every wait has a bound, and nothing is hidden by one."""

import asyncio
import traceback
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from textwrap import indent
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from .._asgi import ASGIApp, Event, Receive, Scope, Send
from ..errors import leaves
from . import task_report
from .asgi2 import single_callable
from .clock import active, after, checked_bound
from .errors import ApplicationCancelled, LeakedTasks, ProtocolViolation, TaskFailed, Unanswered, WaitTimeout, show
from .libraries import ApplicationCommunicator
from .unretrieved import UnretrievedErrors

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True

# How many events of either direction a report shows.
_REMEMBERED: Final = 10
# The share of the time-out in which an application may end the tasks that it has left behind.
_SHARE_FOR_TASKS: Final = 0.5
_RAISED_UNSEEN: Final = "The application raised this, and nothing in the test was waiting for it."


def _listed(what: str, events: Collection[str], more: str = "") -> str:
    """Return events for a report, each on a line of its own."""
    if not events:
        return f"  {what} nothing"
    part = f" (here the last {len(events)})" if len(events) == _REMEMBERED else ""
    return f"  {what}{part}{more}:\n" + indent("\n".join(events), "    ")


def _note(failure: BaseException) -> str:
    """Return a further failure as text, below the one that the test fails with."""
    if isinstance(failure, ProtocolViolation | Unanswered | LeakedTasks | TaskFailed | WaitTimeout):
        return f"Besides, {type(failure).__name__}: {failure}"
    return f"Besides, the application raised:\n{''.join(traceback.format_exception(failure)).rstrip()}"


def unexplained(errors: Iterable[BaseException], is_known: Callable[[BaseException], bool]) -> Iterable[BaseException]:
    """Return the exceptions that are not known, and not groups of known ones only."""
    return (error for error in errors if not all(is_known(leaf) for leaf in leaves(error)))


class Run(ApplicationCommunicator):
    """An application that runs for one scope, and the test that waits for it.

    Unlike with the class below it, a wait that times out leaves the application alone, what the application raises is
    raised where the test waits and after the output that came before it, and an application that returns ends the wait.

    Attributes:
        timeout: the bound of every wait, in seconds of real time, whatever the loop's clock says.
        raise_server_exceptions: whether what the application raises is raised in the test.
        check_leaks: whether tasks that the application has started and left running fail the test.
        carries_context: whether the application runs in a copy of the context in which it is started; else in an empty
            one, as with asgiref.
    """

    carries_context = False

    # The application's task; None before it runs. asgiref's `__del__` asks for it, also where `__init__` has raised.
    _future: "asyncio.Task[None] | None" = None

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        *,
        timeout: float,
        raise_server_exceptions: bool = True,
        check_leaks: bool = True,
    ) -> None:
        super().__init__(self._call, scope)  # type: ignore[no-untyped-call] # asgiref has no types
        self.timeout = checked_bound(timeout)
        self.raise_server_exceptions = raise_server_exceptions
        self.check_leaks = check_leaks
        self._app = single_callable(app)
        # The `receive` of the application. An imitated server replaces it.
        self._receive: Receive = self.input_queue.get
        self._send: Send = self._put_output
        # Futures of the waiters for a change.
        self._waiters: list[asyncio.Future[None]] = []
        # The last events, for a report.
        self._given: deque[str] = deque(maxlen=_REMEMBERED)
        self._taken: deque[str] = deque(maxlen=_REMEMBERED)
        # The type of the last event that was queued for the application; None before.
        self._last_given: object = None
        # The first event that breaks the ASGI text, a failure whatever the application makes of it; None while there is
        # none.
        self._violation: ProtocolViolation | None = None
        # Failures that the test has met already, by identity: an exception need not be hashable.
        self._met: dict[int, BaseException] = {}
        self._unretrieved = UnretrievedErrors(self)
        # Whether the test is in the block, and whether the kit has cancelled the application.
        self._is_entered = False
        self._is_stopping = False

    # -- the application

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        task_report.OWNER.set(self)
        try:
            if self._future is None:
                # Begun by an eager task factory, before `future` has the task.
                await asyncio.sleep(0)
            await self._app(scope, self._receive, self._send)
        except asyncio.CancelledError as error:
            if self._is_stopping:
                raise
            raise ApplicationCancelled from error

    @property
    def future(self) -> "asyncio.Task[None]":
        """The application's task, which the first look starts."""
        is_new = self._future is None
        if is_new and self.carries_context:
            self._future = asyncio.create_task(self._call(self.scope, self._receive, self._send))
        task: asyncio.Task[None] = super().future
        if is_new:
            # Outside a block nothing would tell of them, and nothing would end this.
            if self._is_entered and self.raise_server_exceptions:
                self._unretrieved.start()
            task.set_name(f"application of {type(self).__name__}")
            task.add_done_callback(lambda _: self._changed())
        return task

    @property
    def error(self) -> BaseException | None:
        """The exception of the application, or None."""
        task = self._future
        return None if task is None or not task.done() or task.cancelled() else task.exception()

    def stop(self, exceptions: bool = True) -> None:
        """Cancel the application, which does not count as a failure. Raises its exception if it has ended by itself."""
        self._is_stopping = True
        if self._future is not None:
            self._future.cancel()
        if exceptions:
            self._raise_unmet()

    def _start(self) -> None:
        """Run the application, unless it does already."""
        _ = self.future

    def _give(self, event: Event) -> None:
        """Queue an event for the application."""
        self._given.append(show(event))
        self._last_given = event.get("type")
        self.input_queue.put_nowait(event)

    async def _put_output(self, event: Event) -> None:
        self._take(event)

    def _refuse(self, broken: ProtocolViolation) -> NoReturn:
        """Raise in the application's `send`, and again where the test waits."""
        self._violation = self._violation or broken
        self._changed()
        raise broken

    def _take(self, event: Event) -> None:
        """Queue an event of the application's for the test."""
        self._taken.append(show(event))
        self.output_queue.put_nowait(event)
        self._changed()

    # -- waiting

    def _changed(self) -> None:
        """Notify the waiters to look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _until(self, ready: Callable[[], bool], awaited: str, seconds: float | None = None) -> None:
        """Wait until `ready()` holds, which is asked whenever something has changed.

        Raises:
            WaitTimeout: when that does not come in time.
        """
        if ready():
            return
        seconds = self.timeout if seconds is None else seconds
        loop, is_late = asyncio.get_running_loop(), False

        def expire() -> None:
            nonlocal is_late
            is_late = True
            self._changed()

        bound = after(seconds, expire)
        try:
            while not ready():
                if is_late:
                    raise WaitTimeout(awaited, seconds, self._report(), task_report.place_of(self.future))
                waiter = loop.create_future()
                self._waiters.append(waiter)
                try:
                    await waiter
                finally:
                    self._waiters.remove(waiter)
        finally:
            bound.cancel()

    @property
    def _is_broken(self) -> bool:
        """Whether an event that the test has not met ends its waits at once."""
        return self._violation is not None and id(self._violation) not in self._met

    async def _until_or_broken(self, ready: Callable[[], bool], awaited: str, seconds: float | None = None) -> None:
        """Wait as `_until`, but raise at once what went wrong, unless it is `ready()`."""
        await self._until(lambda: ready() or self._is_broken, awaited, seconds)
        if not ready():
            self._raise_unmet()

    async def _until_output(self, awaited: str, seconds: float | None = None) -> bool:
        """Wait for an event of the application's; False when it has ended without one. Raises WaitTimeout."""
        task = self.future
        await self._until_or_broken(lambda: not self.output_queue.empty() or task.done(), awaited, seconds)
        return not self.output_queue.empty()

    async def _until_ended(self, awaited: str, seconds: float | None = None) -> None:
        """Wait for the application's end. Raises WaitTimeout."""
        await self._until(self.future.done, awaited, seconds)

    def _report(self) -> str:
        unreceived = self.input_queue.qsize()
        missed = f" and has not received the last {unreceived}" if unreceived else ""
        if unreceived and self._last_given == "websocket.disconnect":
            missed += ", so it does not know that the peer has left"
        lines = [
            _listed("the application has sent", self._taken),
            _listed("the application was sent", self._given, missed),
            "  the application is at:",
            indent(task_report.stands_at(self.future), "    "),
        ]
        moved = active(asyncio.get_running_loop())
        if moved is not None:
            due = "no timer is due" if moved.next_timer is None else f"the next timer is due in {moved.next_timer:g} s"
            lines.append(f"  virtual time stands still ({due}): move it with advance()")
        return "\n".join(lines)

    # -- asgiref's calls

    async def send_input(self, message: Mapping[str, Any]) -> None:
        """Send one event to the application. Raises what the application has raised."""
        self._raise_unmet()
        self._start()
        self._give(dict(message))

    async def receive_output(self, timeout: float | None = None) -> Event:  # noqa: ASYNC109 -- asgiref's signature
        """Return the next event that the application has sent.

        Raises:
            WaitTimeout: when none comes in time. The application goes on.
            Exception: what the application raised, once everything that it sent before was taken.
            EOFError: when it has returned, and there is nothing left.
        """
        if not await self._until_output("an event from the application", timeout):
            self._raise_unmet()
            raise EOFError("the application has ended and sent nothing more")
        return self._get_output()

    def _get_output(self) -> Event:
        event: Event = self.output_queue.get_nowait()
        return event

    async def receive_nothing(self, timeout: float = 0.05, interval: float = 0.01) -> bool:  # noqa: ASYNC109
        """Return True if the application sends nothing for `timeout` seconds of real time. `interval` is ignored.

        In virtual time nothing comes unless the test moves the clock, so this waits for the loop to be quiet instead.
        """
        self._start()
        moved = active(asyncio.get_running_loop())
        if moved is not None:
            await moved.settle()
        else:
            with suppress(WaitTimeout):
                await self._until_output("nothing", timeout)
        if not self.output_queue.empty():
            return False
        self._raise_unmet()
        return True

    async def wait(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 -- asgiref's signature
        """Wait for the application to end. Raises what it raised; a time-out leaves it running."""
        await self._until_or_broken(self.future.done, "the application to end", timeout)
        self._raise_unmet()

    # -- failures

    def _failures(self, *, is_over: bool = False) -> list[BaseException]:
        """Return what went wrong, the most telling first, whether or not the test has met it.

        Exceptions of tasks are among it once the test `is_over`.
        """
        broken: list[BaseException] = [] if self._violation is None else [self._violation]
        if not self.raise_server_exceptions:
            return broken
        errors = [*([] if self.error is None else [self.error]), *(self._unretrieved.failures if is_over else ())]
        # An application that lets a violation out of `send` has not failed twice, alone or in a group.
        return [*broken, *unexplained(errors, lambda leaf: leaf is self._violation)]

    def _raise_unmet(self) -> None:
        """Raise what went wrong and the test has not met yet."""
        for failure in self._unmet(self._failures()):
            self._met[id(failure)] = failure
            raise failure

    def _unmet(self, failures: Iterable[BaseException]) -> list[BaseException]:
        return [failure for failure in failures if id(failure) not in self._met]

    # -- the block

    async def __aenter__(self) -> Self:
        if self._is_entered:
            raise RuntimeError(f"a {type(self).__name__} can be used once: make another one")
        if self._future is not None:
            raise RuntimeError("the application is already running: enter the block before the first call")
        self._is_entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._future is None:
            return
        late: list[BaseException] = []
        try:
            if error is None:
                try:
                    await self._close()
                except WaitTimeout as timeout:
                    late.append(timeout)
            late += await self._stop(is_patient=error is None and not late)
        except BaseException:
            # The test is cancelled while it leaves, and may be so again at each wait.
            self._cancel_nowait()
            raise
        finally:
            self._unretrieved.stop()
        unmet = self._unmet([*self._failures(is_over=True), *late])
        self._met.update((id(failure), failure) for failure in unmet)
        first = unmet.pop(0) if error is None and unmet else error
        if first is None:
            return
        # An exception that takes no notes is worth more than the notes.
        with suppress(Exception):
            if first is not error and first is self.error:
                first.add_note(_RAISED_UNSEEN)
            for failure in unmet:
                first.add_note(_note(failure))
        if first is not error:
            raise first

    def _cancel_nowait(self) -> None:
        """Cancel what runs, and wait for nothing."""
        self._is_stopping = True
        for task in {self.future, *(task_report.tasks_of(self) if self.check_leaks else ())}:
            task.cancel()

    async def _close(self) -> None:
        """Tell the application that the test is done with it, and wait for its end. Raises WaitTimeout."""
        await self._until_ended("the application to end")

    async def _stop(self, *, is_patient: bool) -> list[BaseException]:
        """Cancel the application and the tasks that it has started. Returns what it should not have left to this.

        With `is_patient` the tasks of an application that has ended get a moment to end as well, and must.
        """
        has_ended = self.future.done()
        self._is_stopping = True
        failures = await self._cancel([self.future], "the application to end when it is cancelled")
        left = task_report.tasks_of(self)
        if not left or not self.check_leaks:
            return failures
        if is_patient and has_ended:
            with suppress(WaitTimeout):
                await self._until_all_done(left, "its tasks to end", self.timeout * _SHARE_FOR_TASKS)
        # Those of now: one that ended may have started another.
        left = task_report.tasks_of(self)
        if left and is_patient and has_ended:
            failures.append(LeakedTasks(sorted(left, key=lambda task: task.get_name())))
        return failures + await self._cancel(left, "the application's tasks to end when they are cancelled")

    async def _cancel(self, tasks: "Collection[asyncio.Task[Any]]", awaited: str) -> list[BaseException]:
        for task in tasks:
            task.cancel()
        try:
            await self._until_all_done(tasks, awaited, self.timeout)
        except WaitTimeout:
            left = [task for task in tasks if not task.done()]
            return [WaitTimeout(awaited, self.timeout, indent(task_report.report(left), "  "))]
        return []

    async def _until_all_done(self, tasks: "Collection[asyncio.Task[Any]]", awaited: str, seconds: float) -> None:
        for task in tasks:
            task.add_done_callback(lambda _: self._changed())
        await self._until(lambda: all(task.done() for task in tasks), awaited, seconds)
