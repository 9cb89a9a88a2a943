"""Virtual time: the test moves the loop's clock."""

import asyncio
import math
import re
import time
from types import SimpleNamespace

import pytest
import uvloop

from asgi_ws.testing import clock as clock_of_kit
from asgi_ws.testing.clock import VirtualClock, active

HOUR = 3600


def now() -> float:
    return asyncio.get_running_loop().time()


# -- clocks and timers that move with it


async def test_time_stands_still_until_it_is_moved() -> None:
    with VirtualClock() as clock:
        start = now()
        time.sleep(0.002)
        await asyncio.sleep(0)
        assert (now(), clock.time(), clock.elapsed) == (start, start, 0)
        await clock.advance(0.1)
        await clock.advance(0.2)
        assert clock.elapsed == 0.3
        assert now() == clock.time() == pytest.approx(start + 0.3)


async def test_a_sleep_a_timeout_and_a_wait_for_of_an_hour_end_at_once_when_time_is_moved_by_it() -> None:
    async def sleeps() -> str:
        return await asyncio.sleep(HOUR, "slept")

    async def times_out() -> str:
        try:
            async with asyncio.timeout(HOUR):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "never"

    async def waits_for() -> str:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), HOUR)
        except TimeoutError:
            return "waited for"
        return "never"

    called: list[float] = []
    real = time.monotonic()
    with VirtualClock() as clock:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work()) for work in (sleeps, times_out, waits_for)]
            await clock.settle()
            asyncio.get_running_loop().call_later(HOUR, lambda: called.append(clock.elapsed))
            await clock.advance(HOUR - 1)
            assert not any(task.done() for task in tasks)
            assert called == []
            await clock.advance(1)
            assert all(task.done() for task in tasks)
    assert [task.result() for task in tasks] == ["slept", "timed out", "waited for"]
    assert called == [HOUR]
    assert time.monotonic() - real < HOUR / 2


async def test_timers_that_are_set_on_the_way_are_met_in_order_each_at_its_own_time() -> None:
    seen: list[tuple[str, float]] = []

    async def every(name: str, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            seen.append((name, clock.elapsed))

    with VirtualClock() as clock:
        tasks = [asyncio.create_task(every("slow", 25)), asyncio.create_task(every("quick", 10))]
        await clock.advance(30)
        assert seen == [("quick", 10), ("quick", 20), ("slow", 25), ("quick", 30)]
        assert clock.elapsed == 30
        for task in tasks:
            task.cancel()
        await clock.settle()


async def test_a_timer_is_met_when_the_moves_sum_up_to_it_but_for_rounding_and_never_before_its_time() -> None:
    seen: list[float] = []

    def check(due: float) -> None:
        # A caller that wakes too early waits again, for the remaining time.
        if now() < due:
            loop.call_at(due, check, due)
        else:
            seen.append(due)

    loop = asyncio.get_running_loop()
    with VirtualClock() as clock:
        due = [clock.time() + 1.0, clock.time() + 1.0 + 4e-10]
        for when in due:
            loop.call_at(when, check, when)
        for _ in range(10):
            await clock.advance(0.1)
        assert seen == due
        assert clock.time() >= due[1]
        assert clock.elapsed == 1


async def test_what_is_too_late_for_the_loop_or_due_now_is_done_by_settle() -> None:
    with VirtualClock() as clock:
        seen: list[str] = []
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: loop.call_later(-1, seen.append, "late"))
        await clock.settle()
        assert seen == ["late"]
        assert clock.elapsed == 0


async def test_the_next_timer_is_told_and_cancelled_ones_do_not_count() -> None:
    loop = asyncio.get_running_loop()
    with VirtualClock() as clock:
        told = [clock.next_timer]
        loop.call_later(20, print)
        first = loop.call_later(10, print)
        told.append(clock.next_timer)
        first.cancel()
        told.append(clock.next_timer)
        overdue = loop.call_later(-5, print)
        told.append(clock.next_timer)
        overdue.cancel()
        for timer in loop.call_later(1, print), loop.call_later(2, print):
            timer.cancel()
        told.append(clock.next_timer)
    assert told == [None, 10, 20, 0, 20]


async def test_after_the_block_time_runs_on_from_where_it_stood_for_one_clock_after_another() -> None:
    begin = now()
    read = asyncio.get_running_loop().time
    for round_ in (1, 2):
        with VirtualClock() as clock:
            held = asyncio.get_running_loop().time
            await clock.advance(HOUR)
            stood = now()
        assert begin + round_ * HOUR <= stood <= now() < stood + HOUR / 2
        assert clock.elapsed == HOUR
        await asyncio.sleep(0.002)
        # A function that was kept inside the block continues with the loop's own time.
        assert stood + 0.002 <= now() <= held() <= now() < stood + HOUR / 2
    # A function that was kept before the first clock stays in real time, as documented.
    assert read() < begin + HOUR


async def test_a_loop_in_debug_mode_does_not_take_the_move_for_a_slow_callback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    before = loop.slow_callback_duration
    with VirtualClock() as clock:
        task = asyncio.create_task(asyncio.sleep(HOUR))
        await clock.advance(HOUR)
        await task
    await asyncio.sleep(0)
    assert f"took {HOUR}" not in caplog.text
    assert loop.slow_callback_duration == before


# -- errors


@pytest.mark.parametrize("seconds", [-1, -0.001, math.inf, math.nan])
async def test_a_move_that_is_negative_or_endless_is_refused_and_shown(seconds: float) -> None:
    with VirtualClock() as clock:
        with pytest.raises(ValueError, match=re.escape(f"seconds={seconds!r}: expected 0 or more")):
            await clock.advance(seconds)
        assert clock.elapsed == 0


async def test_a_second_clock_on_the_same_loop_is_refused() -> None:
    with VirtualClock() as clock:
        with pytest.raises(RuntimeError, match="another VirtualClock has stopped this loop's time already"), clock:
            pass
        assert active(asyncio.get_running_loop()) is clock


async def test_a_clock_outside_its_block_says_so() -> None:
    clock = VirtualClock()
    with pytest.raises(RuntimeError, match="in its block alone: with VirtualClock"):
        await clock.settle()
    with clock:
        pass
    with pytest.raises(RuntimeError, match="in its block alone: with VirtualClock"):
        await clock.advance(1)


def test_another_kind_of_loop_is_refused_by_name() -> None:
    async def main() -> None:
        assert active(asyncio.get_running_loop()) is None
        with VirtualClock():
            pass

    with (
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        pytest.raises(RuntimeError, match=r"needs asyncio's own event loop, and this one is uvloop\.Loop"),
    ):
        runner.run(main())


async def spin() -> None:
    while True:
        await asyncio.sleep(0)


async def test_a_task_that_spins_for_ever_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_of_kit, "MAX_TURNS", 100)
    with VirtualClock(patience=600) as clock:
        task = asyncio.create_task(spin(), name="spinner")
        with pytest.raises(RuntimeError, match=r"settle\(\): .* in 100 turns, .*; ready now: task 'spinner'"):
            await clock.settle()
        task.cancel()
        await clock.settle()


async def test_a_move_that_meets_too_many_timers_is_an_error_that_tells_how_far_the_clock_came() -> None:
    def again() -> None:
        loop.call_later(0.25, again)

    loop = asyncio.get_running_loop()
    with VirtualClock(patience=0.5) as clock:
        loop.call_soon(again)
        with pytest.raises(RuntimeError, match=r"advance\(1000000000\): not at .* 2 real seconds, and \d+\.\d+ v"):
            await clock.advance(1_000_000_000)
        assert 0 < clock.elapsed < 1_000_000_000


async def test_callbacks_without_end_are_shown_as_the_loop_has_them() -> None:
    def again() -> None:
        handles[0] = loop.call_soon(again)

    loop = asyncio.get_running_loop()
    handles = [loop.call_soon(again)]
    with VirtualClock(patience=0.01) as clock, pytest.raises(RuntimeError, match=r"ready now: <Handle .*again"):
        await clock.settle()
    handles[0].cancel()


async def test_two_tasks_cannot_move_one_clock_at_once() -> None:
    with VirtualClock() as clock:
        other = asyncio.create_task(clock.advance(1))
        asyncio.get_running_loop().call_later(0.5, other.cancel)
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match=r"another task moves this VirtualClock now: advance\(2\) has to wait"):
            await clock.advance(2)
        await asyncio.wait([other])
        assert other.cancelled()
        await clock.advance(2)


# -- the package's own times


async def test_a_block_may_wait_for_longer_than_patience_while_it_moves_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = 0.0
    monkeypatch.setattr(clock_of_kit, "time", SimpleNamespace(monotonic=lambda: seconds))
    with VirtualClock(patience=0.05) as clock:
        for _ in range(4):
            # Each wait is shorter than `patience`, and the clock checks in between.
            seconds += 0.04
            await asyncio.to_thread(time.sleep, 0.06)
            await clock.advance(1)
    assert clock.elapsed == 4


async def test_a_cancellation_from_outside_is_not_taken_for_impatience() -> None:
    async def block() -> None:
        with VirtualClock():
            await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(block())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
