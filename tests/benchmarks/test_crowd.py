"""Crowds that come and go in process."""

import asyncio

import pytest

from benchmarks import crowd
from benchmarks.budgets import rows
from tests.benchmarks.samples import results


def test_each_case_is_measured_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "MEMBERS", {"asgi_ws, 1,000 members": 2, "asgi_ws, 10,000 members": 4})
    run = results()
    run.figures = []
    steps: list[int] = []
    sizes = crowd.Sizes(repetitions=1)
    crowd.run(sizes, run, steps.append)
    assert sum(steps) == sizes.steps == 8
    assert [figure.case for figure in run.figures[::6]] == ["join", "leave", "disconnect", "stop"]
    assert all(figure.median > 0 for figure in run.figures)
    assert len(rows(run, "crowd")) == 12


@pytest.mark.parametrize("case", ["disconnect", "join"])
def test_a_crowd_that_does_not_do_what_it_should_has_no_figures(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.crowd.Hub.disconnect", lambda *_, **__: 0)
    monkeypatch.setattr("benchmarks.crowd.Hub.members", lambda *_: [])
    with pytest.raises(RuntimeError, match="not everybody has joined"):
        crowd.cost(3, case)


def test_a_hold_is_the_time_in_which_the_loop_did_not_come_to_its_selector(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("benchmarks.crowd.time.thread_time", lambda: now)
    holds = crowd.Holds()

    async def hold() -> None:
        nonlocal now
        holds.reset()
        for seconds in (0.25, 2.0, 1.0):
            now += seconds
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(holds)) as runner:
        runner.run(hold())
    assert holds.longest == 2.0
