"""Virtual time: a loop clock that the test moves, and deadlines that stay with real time."""

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

from .task_report import stands_at

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True

# The callback on the task of `run_until_complete`. No public API returns that task.
_of_run_until_complete: Final = getattr(asyncio.base_events, "_run_until_complete_cb", None)
# After so many turns without rest a loop is taken for one that never rests.
MAX_TURNS: Final = 100_000
# Before so many it is not, however long they took.
_TURNS_TO_REST: Final = 3
# How many times its patience a move may take that goes on from rest to rest.
MOVES: Final = 4
# Two sums of the same seconds may differ by rounding: a timer this close after the end of a move is due with it.
ROUNDING: Final = 1e-9
# How many digits after the point such sums are shown with.
DIGITS: Final = 9


class VirtualClock:
    """Stops the time of the running event loop, and moves it as the test says.

        with VirtualClock() as clock:
            task = asyncio.create_task(asyncio.sleep(3600))
            await clock.advance(3600)
            assert task.done()

    It moves what asks the loop for the time: `asyncio.sleep`, `timeout` and `wait_for`, `call_later` and `call_at`,
    `loop.time()`, and with them every limit of this package. It does not move `time.time()` and `time.monotonic()`.
    Enter it before the application runs: what keeps a reference to `loop.time` from before goes on in real time.

    Inside the block time passes in `advance` alone, so a sleep that the test itself awaits would never end: start it as
    a task. A test that waits in the block for longer than `patience` without moving the clock fails. Work of threads
    (`asyncio.to_thread`) and of sockets takes real time, and is not waited for. When the block is left, the loop's time
    runs on from where it stands.

    Args:
        patience: real seconds that the loop may take to come to rest in `advance` or `settle`, and that may pass
            between two of them. A move that goes on from rest to rest may take four times as long.

    Raises:
        ValueError: for a patience that has no end.
    """

    def __init__(self, *, patience: float = 5.0) -> None:
        self._patience = checked_bound(patience, "patience")
        # The loop whose time this is; None outside the block.
        self._entered: asyncio.BaseEventLoop | None = None
        self._started_at = 0.0
        self._now = 0.0
        # The loop's own value of each, while ours is in its place.
        self._resolution = 0.0
        self._slow_callback_duration = 0.0
        # Whether `advance` or `settle` is under way.
        self._is_moving = False
        # The task that is in the block, when it moved the clock last in real time, and who looks whether it waits.
        self._task: asyncio.Task[Any] | None = None
        self._moved_at = 0.0
        self._watch: RealTimer
        # The message about the task after patience has ended. None before.
        self._stood_still: str | None = None

    def __enter__(self) -> Self:
        """Stop the running loop's time.

        Raises:
            RuntimeError: the loop is not asyncio's own, or another clock has stopped it.
        """
        loop = asyncio.get_running_loop()
        if not isinstance(loop, asyncio.BaseEventLoop):
            name = f"{type(loop).__module__}.{type(loop).__qualname__}"
            text = f"virtual time needs asyncio's own event loop, and this one is {name}"
            raise RuntimeError(text)  # noqa: TRY004 -- no argument has a wrong type: the program runs elsewhere
        if active(loop) is not None:
            raise RuntimeError("another VirtualClock has stopped this loop's time already: use that one")
        loop_time = _loop_time(loop)
        self._entered = loop
        self._started_at = loop_time()
        self._slow_callback_duration = loop.slow_callback_duration
        self._resolution = _internals(loop)._clock_resolution  # noqa: SLF001 -- see _internals
        self._stand_at(self._started_at)
        # No callback takes virtual time but the one that moves the clock, which a loop in debug mode would report.
        loop.slow_callback_duration = math.inf
        loop_time.clock = self
        for timer in list(_scheduled(loop)):
            owner = _owner(timer)
            if isinstance(owner, RealTimer):
                owner.move_to_thread()
        self._task, self._moved_at, self._stood_still = asyncio.current_task(), time.monotonic(), None
        self._watch = after(self._patience, self._check_task)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the loop's time run on from where it stands.

        Raises:
            RuntimeError: the block waited for something that only a move of the clock could have brought.
        """
        loop = self._loop
        self._watch.cancel()
        _loop_time(loop).run_from(self._now)
        loop.slow_callback_duration = self._slow_callback_duration
        _internals(loop)._clock_resolution = self._resolution  # noqa: SLF001 -- see _internals
        self._entered = None
        if self._stood_still is None or self._task is None:
            return
        self._task.uncancel()
        # The block may have swallowed the cancellation.
        if error is None or isinstance(error, asyncio.CancelledError):
            raise RuntimeError(self._stood_still) from None

    def _check_task(self) -> None:
        """Cancel the task in the block if it waits for too long; a move under way has a bound of its own."""
        if self._task is None or self._task.done():
            # An asynchronous fixture has entered the block, in a task of its own. The test's has its time from now on.
            self._task, self._moved_at = _outermost(self._loop), time.monotonic()
        left = self._patience if self._is_moving else self._moved_at + self._patience - time.monotonic()
        if self._task is None or left > 0:
            self._watch = after(left, self._check_task)
            return
        self._stood_still = (
            f"the block of a VirtualClock waited {self._patience:g} real seconds and did not move the clock: what "
            f"waits for time has to be a task of its own, and the block has to advance()\n{stands_at(self._task)}"
        )
        self._task.cancel(self._stood_still)

    def time(self) -> float:
        """Return the loop's time, as `loop.time()`."""
        return self._now

    @property
    def elapsed(self) -> float:
        """Virtual seconds since the block was entered."""
        return round(self._now - self._started_at, DIGITS)

    @property
    def next_timer(self) -> float | None:
        """Seconds until the next timer of the loop is due; None where there is none."""
        when = self._next_due()
        return None if when is None else max(0.0, round(when - self._now, DIGITS))

    async def advance(self, seconds: float) -> None:
        """Move time by `seconds`, through every timer on the way, each at its own time and in order.

        At each the loop runs until it rests, so a timer that is set on the way is met too.

        Raises:
            ValueError: `seconds` is negative or not finite.
            RuntimeError: the loop does not come to rest, or does so too often, or another task moves the clock now.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds={seconds!r}: expected 0 or more")
        with self._moving(f"advance({seconds!r})") as rest:
            await rest()
            end = self._now + seconds
            while (when := self._next_due()) is not None and when <= end + ROUNDING:
                self._stand_at(when)
                await rest()
            self._stand_at(max(self._now, end))
            # Code that counts iterations sees the end of the move in an iteration of its own.
            await rest()

    async def settle(self) -> None:
        """Let the loop run until nothing is ready: every task waits for a timer, a message, or another task.

        Raises:
            RuntimeError: the loop does not come to rest, or another task moves the clock now.
        """
        with self._moving("settle()") as rest:
            await rest()

    @property
    def _loop(self) -> asyncio.BaseEventLoop:
        if self._entered is None:
            raise RuntimeError("a VirtualClock moves time in its block alone: with VirtualClock() as clock: ...")
        return self._entered

    def _stand_at(self, when: float) -> None:
        self._now = when
        # The loop calls timers early by its resolution. Code that then finds the time too early waits again:
        # forever, because the time is stopped. So timers are called at exactly their time.
        _internals(self._loop)._clock_resolution = math.ulp(when)  # noqa: SLF001 -- see _internals

    def _next_due(self) -> float | None:
        timers = _scheduled(self._loop)
        if timers and not timers[0].cancelled():
            return timers[0].when()
        # It is a heap, ordered at its top alone.
        return min((timer.when() for timer in timers if not timer.cancelled()), default=None)

    @contextmanager
    def _moving(self, call: str) -> Iterator[Callable[[], Awaitable[None]]]:
        loop = self._loop
        if self._is_moving:
            raise RuntimeError(f"another task moves this VirtualClock now: {call} has to wait for it")
        self._is_moving = True
        last_end = time.monotonic() + self._patience * MOVES

        async def rest() -> None:
            begin = time.monotonic()
            if begin > last_end:
                raise RuntimeError(self._endless(call))
            for turn in range(MAX_TURNS):
                await asyncio.sleep(0)
                when = self._next_due()
                if not _ready(loop) and (when is None or when > self._now):
                    return
                # One long iteration does not count: the machine may be busy with other work.
                if turn >= _TURNS_TO_REST and time.monotonic() > begin + self._patience:
                    raise RuntimeError(self._restless(call, f"{self._patience} real seconds"))
            raise RuntimeError(self._restless(call, f"{MAX_TURNS} turns"))

        try:
            yield rest
        finally:
            self._is_moving = False
            self._moved_at = time.monotonic()

    def _endless(self, call: str) -> str:
        """Return the message for a move that becomes idle again and again."""
        return (
            f"{call}: not at its end after {self._patience * MOVES:g} real seconds, and {self.elapsed} virtual seconds "
            "after the start of the clock: each timer on the way is met, so advance() by less, or have more patience"
        )

    def _restless(self, call: str, bound: str) -> str:
        """Return the message for a loop that does not become idle."""
        shown = [_name(handle) for handle in list(_ready(self._loop))[:5]]
        return (
            f"{call}: the loop did not come to rest in {bound}, {self.elapsed} virtual seconds after the start of the "
            f"clock; ready now: {'; '.join(shown) or 'a timer'}"
        )


def checked_bound(seconds: float, name: str = "timeout") -> float:
    """Return the time limit of a wait.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise ValueError(f"{name}={seconds!r}: expected a positive number of seconds")
    return seconds


def active(loop: asyncio.AbstractEventLoop) -> VirtualClock | None:
    """Return the clock that has stopped this loop's time."""
    return loop.time.clock if isinstance(loop.time, _LoopTime) else None


class RealTimer:
    """A call that is due in real time. Made by `after`."""

    __slots__ = ("_callback", "_due", "_loop", "_timer")

    def __init__(self, seconds: float, callback: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._callback = callback
        self._due = time.monotonic() + seconds
        self._timer: asyncio.TimerHandle | threading.Timer = self._loop.call_later(seconds, self._call)
        if active(self._loop) is not None:
            self.move_to_thread()

    def cancel(self) -> None:
        """Cancel the call and drop the reference to it."""
        self._timer.cancel()
        # A thread may have asked for the call already.
        self._callback = _nothing

    def move_to_thread(self) -> None:
        """Go on in a thread, since the loop's time stands still from now on."""
        self._timer.cancel()
        self._timer = threading.Timer(max(0.0, self._due - time.monotonic()), self._call_from_thread)
        self._timer.daemon = True
        self._timer.start()

    def _call(self) -> None:
        self._callback()

    def _call_from_thread(self) -> None:
        # A closed loop has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._call)


def after(seconds: float, callback: Callable[[], object]) -> RealTimer:
    """Call `callback` in the running loop after so many real seconds, whatever a `VirtualClock` does with its time."""
    return RealTimer(seconds, callback)


class _LoopTime:
    """The replacement of a loop's `time` from its first `VirtualClock` on."""

    __slots__ = ("_offset", "_real", "clock")

    def __init__(self, real: Callable[[], float]) -> None:
        self._real = real
        # How far the loop's time is from the real one while it runs.
        self._offset = 0.0
        # The clock that has stopped the time. None while it runs.
        self.clock: VirtualClock | None = None

    def __call__(self) -> float:
        return self._real() + self._offset if self.clock is None else self.clock.time()

    def run_from(self, now: float) -> None:
        """Let the time run again, from `now` on."""
        self._offset = now - self._real()
        self.clock = None


def _loop_time(loop: asyncio.BaseEventLoop) -> _LoopTime:
    """Return the replacement of this loop's `time`, installed by the first call."""
    if isinstance(loop.time, _LoopTime):
        return loop.time
    ours = _LoopTime(loop.time)
    loop.time = ours  # type: ignore[method-assign] # this is how a loop gets another clock
    return ours


def _internals(loop: asyncio.BaseEventLoop) -> Any:
    """Return the loop for access to its internals: no public API says that it is idle, and when it wakes."""
    return loop


def _ready(loop: asyncio.BaseEventLoop) -> Collection[asyncio.Handle]:
    ready: Collection[asyncio.Handle] = _internals(loop)._ready  # noqa: SLF001 -- see _internals
    return ready


def _scheduled(loop: asyncio.BaseEventLoop) -> Sequence[asyncio.TimerHandle]:
    # To be asked for anew each time: the loop puts another list in its place.
    scheduled: Sequence[asyncio.TimerHandle] = _internals(loop)._scheduled  # noqa: SLF001 -- see _internals
    return scheduled


def _outermost(loop: asyncio.BaseEventLoop) -> "asyncio.Task[Any] | None":
    """Return the task that the loop runs until it is complete, as a test runner does, or None."""
    for task in asyncio.all_tasks(loop):
        callbacks: Sequence[tuple[Any, Any]] = getattr(task, "_callbacks", None) or ()
        if any(callback is _of_run_until_complete for callback, _ in callbacks):
            return task
    return None


def _owner(handle: asyncio.Handle) -> object:
    """Return the object whose method a handle calls."""
    callback = handle._callback  # type: ignore[attr-defined] # noqa: SLF001 -- see _internals
    return getattr(callback, "__self__", None)


def _name(handle: asyncio.Handle) -> str:
    """Return the name of the task that a handle wakes, or the repr of another handle."""
    owner = _owner(handle)
    return f"task {owner.get_name()!r}" if isinstance(owner, asyncio.Task) else repr(handle)


def _nothing() -> None: ...
