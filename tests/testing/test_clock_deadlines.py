"""Deadlines in real time: the kit's own bounds, whatever happens to the loop's clock."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from asgi_ws.testing.clock import VirtualClock, after

from ..outcomes import until

HOUR = 3600


class Deadlines:
    """One that is due soon, and one that is not due during the test though virtual time passes by it."""

    def __init__(self) -> None:
        self.is_met = asyncio.Event()
        self.is_early = False
        self.start = time.monotonic()
        after(0.02, self.is_met.set)
        self._later = after(HOUR / 2, self._set_early)

    def _set_early(self) -> None:
        self.is_early = True

    async def met(self) -> float:
        """The real seconds until it was met."""
        await self.is_met.wait()
        assert not self.is_early
        self._later.cancel()
        return time.monotonic() - self.start


async def armed_before(clock: VirtualClock) -> float:
    asyncio.get_running_loop().call_later(2 * HOUR, print, "a timer like any other stays")
    deadlines = Deadlines()
    with clock:
        await clock.advance(HOUR)
        return await deadlines.met()


async def armed_inside(clock: VirtualClock) -> float:
    with clock:
        deadlines = Deadlines()
        await clock.advance(HOUR)
        return await deadlines.met()


async def left_before_it_is_due(clock: VirtualClock) -> float:
    with clock:
        deadlines = Deadlines()
        await clock.advance(HOUR)
    return await deadlines.met()


async def armed_before_and_left_before_it_is_due(clock: VirtualClock) -> float:
    deadlines = Deadlines()
    with clock:
        await clock.advance(HOUR)
    return await deadlines.met()


async def without_a_clock(clock: VirtualClock) -> float:
    return await Deadlines().met()


@pytest.mark.parametrize(
    "course",
    [armed_before, armed_inside, left_before_it_is_due, armed_before_and_left_before_it_is_due, without_a_clock],
)
async def test_a_deadline_is_due_in_real_time_whatever_happens_to_the_clock(
    course: Callable[[VirtualClock], Awaitable[float]],
) -> None:
    # The loop may call a timer early by its resolution.
    assert await course(VirtualClock()) > 0.019


def timer_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)}


async def test_a_cancelled_deadline_is_never_called_and_leaves_no_thread() -> None:
    fired: list[str] = []
    threads = timer_threads()
    handles = [after(0.02, lambda: fired.append("armed before"))]
    with VirtualClock() as clock:
        handles.append(after(0.02, lambda: fired.append("armed inside")))
        handles.append(after(0, lambda: fired.append("asked for by its thread, which has ended")))
        time.sleep(0.01)
        for handle in handles:
            handle.cancel()
            handle.cancel()
        # The one that is left is the clock's own.
        await until(lambda: len(timer_threads() - threads) == 1)
        await clock.settle()
        last = asyncio.Event()
        after(0.04, last.set)
        await last.wait()
    assert fired == []


def test_a_deadline_of_a_closed_loop_is_nobodys_affair() -> None:
    fired: list[str] = []

    async def main() -> None:
        with VirtualClock():
            after(0.05, lambda: fired.append("late"))

    threads = timer_threads()
    asyncio.run(main())
    while timer_threads() - threads:
        time.sleep(0.001)
    # A thread that fails is an error of the test, by pytest's own hook.
    assert fired == []


async def test_without_a_clock_a_deadline_costs_no_thread() -> None:
    threads = timer_threads()
    handles = [after(HOUR, print) for _ in range(100)]
    assert not timer_threads() - threads
    for handle in handles:
        handle.cancel()
