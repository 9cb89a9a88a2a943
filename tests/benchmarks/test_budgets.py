"""Budgets, and whether figures keep them."""

import pytest

from benchmarks.budgets import BUDGETS, rows, verdicts
from benchmarks.results import Figure, Results


def results(*figures: Figure) -> Results:
    return Results(command="", when="", machine={}, versions={}, figures=list(figures))


def cpu(contestant: str, *samples: float, scenario: str = "inprocess") -> Figure:
    return Figure(scenario, "a case", contestant, "cpu", samples)


@pytest.mark.parametrize(("ours", "kept"), [((0.44, 0.45, 0.5), True), ((0.44, 0.46, 0.46), False)])
def test_the_median_of_the_ratios_counts(ours: tuple[float, ...], kept: bool) -> None:
    run = results(cpu("asgi_ws", *ours), cpu("starlette", 1.0, 1.0, 1.0))
    (verdict,) = verdicts(run, "inprocess")
    assert verdict.kept == kept
    assert rows(run, "inprocess")[0][-1] == ("kept" if kept else "MISSED")


@pytest.mark.parametrize(("ours", "kept"), [((1.1, 1.2, 1.04), True), ((1.1, 1.2, 1.06), False)])
def test_a_budget_beyond_the_spread_is_missed_where_the_ranges_do_not_overlap(
    ours: tuple[float, ...], kept: bool
) -> None:
    run = results(cpu("asgi_ws", *ours, scenario="echo"), cpu("starlette", 1.0, 1.05, 1.0, scenario="echo"))
    (verdict,) = verdicts(run, "echo")
    assert verdict.kept == kept


def test_without_the_base_there_is_no_verdict() -> None:
    assert rows(results(cpu("asgi_ws", 1.0)), "inprocess") == []


def test_a_budget_is_about_the_cases_that_it_names() -> None:
    def figures(case: str) -> tuple[Figure, Figure]:
        ours, theirs = (0.5,), (1.0,)
        return Figure("echo", case, "asgi_ws-fast", "cpu", ours), Figure("echo", case, "starlette", "cpu", theirs)

    run = results(
        *figures("text of 32 B, 8 connections, 1 in flight"), *figures("text of 1 KiB, 8 connections, 1 in flight")
    )
    most = [(verdict.figure.case[:13], verdict.budget.most) for verdict in verdicts(run, "echo")]
    assert most == [("text of 32 B,", 0.45), ("text of 32 B,", 0.8), ("text of 1 KiB", 0.8)]


def test_the_budgets_are_those_of_the_design() -> None:
    inprocess = {(each.contestant, each.base, each.most) for each in BUDGETS if each.scenario == "inprocess"}
    assert inprocess == {
        ("asgi_ws", "starlette", 0.45),
        ("asgi_ws", "bare", 2.3),
        ("asgi_ws, rate limits", "starlette", 0.75),
    }
