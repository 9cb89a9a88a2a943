"""Deadlines in real time: the kit's own bounds do not depend on the loop's clock."""

import asyncio
import math
import threading
import time

import pytest

from asgi_ws.testing.clock import VirtualClock, after

from ..outcomes import until

HOUR = 3600
STANDS_STILL = r"waited 0\.02 real seconds and did not move the clock"


class Deadlines:
    """A deadline that is due soon, and one that is not due during the test although virtual time passes it."""

    def __init__(self) -> None:
        self.is_met = asyncio.Event()
        self.is_early = False
        self.start = time.monotonic()
        after(0.02, self.is_met.set)
        self._later = after(HOUR / 2, self._set_early)

    def _set_early(self) -> None:
        self.is_early = True

    async def met(self) -> float:
        """Wait for the deadline, and return the real seconds that this took."""
        await self.is_met.wait()
        assert not self.is_early
        self._later.cancel()
        return time.monotonic() - self.start


@pytest.mark.parametrize("is_left_before", [False, True], ids=["due in the block", "due after the block"])
@pytest.mark.parametrize("is_armed_before", [False, True], ids=["armed in the block", "armed before the block"])
async def test_a_deadline_is_due_in_real_time_whatever_happens_to_the_clock(
    is_armed_before: bool, is_left_before: bool
) -> None:
    asyncio.get_running_loop().call_later(2 * HOUR, print, "a timer like any other stays")
    deadlines = Deadlines() if is_armed_before else None
    with VirtualClock() as clock:
        deadlines = deadlines or Deadlines()
        await clock.advance(HOUR)
        if not is_left_before:
            await deadlines.is_met.wait()
    # The loop may call a timer early by its resolution.
    assert await deadlines.met() > 0.019


async def test_a_deadline_without_a_clock_is_due_in_real_time() -> None:
    assert await Deadlines().met() > 0.019


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
        # The remaining timer is the clock's own.
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


# -- patience


@pytest.mark.parametrize("failure", ["swallows", "lets out", "raises"])
async def test_a_block_that_stands_still_fails_whatever_it_makes_of_the_cancellation(failure: str) -> None:
    async def block() -> None:
        with VirtualClock(patience=0.02):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if failure == "raises":
                    raise ZeroDivisionError from None
                if failure == "lets out":
                    raise

    # An error of the block takes precedence.
    error, match = (ZeroDivisionError, None) if failure == "raises" else (RuntimeError, STANDS_STILL)
    with pytest.raises(error, match=match):
        await block()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


def test_patience_is_with_the_test_where_a_fixture_has_entered_the_block() -> None:
    clock = VirtualClock(patience=0.02)

    async def fixture_begins() -> None:
        clock.__enter__()

    async def test() -> None:
        await asyncio.Event().wait()

    async def fixture_ends() -> None:
        clock.__exit__(None, None, None)

    with asyncio.Runner() as runner:
        runner.run(fixture_begins())
        # The time of a test counts from its beginning.
        time.sleep(0.03)
        with pytest.raises(asyncio.CancelledError, match="did not move the clock"):
            runner.run(test())
        with pytest.raises(RuntimeError, match=r"did not move the clock(.|\n)*in test"):
            runner.run(fixture_ends())


def test_a_loop_that_nobody_waits_for_is_left_alone() -> None:
    loop, ended = asyncio.new_event_loop(), []
    clock = VirtualClock(patience=0.01)

    async def enters() -> None:
        clock.__enter__()
        after(0.03, ends)

    def ends() -> None:
        clock.__exit__(None, None, None)
        ended.append(True)
        loop.stop()

    task = loop.create_task(enters())
    loop.run_forever()
    loop.close()
    assert (task.done(), ended) == (True, [True])


@pytest.mark.parametrize("patience", [0, math.inf])
def test_a_patience_that_is_no_bound_is_refused(patience: float) -> None:
    with pytest.raises(ValueError, match=r"patience=.*: expected a positive number of seconds"):
        VirtualClock(patience=patience)
