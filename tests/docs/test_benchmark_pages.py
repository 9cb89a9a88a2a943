"""The figures in the documentation are those of the committed results, written by the command that the page names."""

import re
from pathlib import Path
from typing import Final

import pytest

from benchmarks.budgets import verdicts
from benchmarks.report import scenarios_of
from benchmarks.results import Results
from benchmarks.write_pages import PAGES, write
from tests.servers.program import PROJECT

RESULTS: Final = PROJECT / "benchmarks" / "results"
REFERENCE: Final = RESULTS / "reference.json"
_EMPTY: Final = re.compile(r"<!-- written: ([\w-]+) -->\s*<!-- /written -->")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_the_committed_results(page: str, tmp_path: Path) -> None:
    committed = {name: (PROJECT / name).read_text(encoding="utf-8") for name in PAGES}
    for name, text in committed.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    write(tmp_path)
    assert (tmp_path / page).read_text(encoding="utf-8") == committed[page]


@pytest.mark.parametrize("page", [*PAGES, "docs/scaling.md"])
def test_no_place_of_a_page_is_empty(page: str) -> None:
    assert _EMPTY.findall((PROJECT / page).read_text(encoding="utf-8")) == []


def test_the_committed_results_have_every_scenario_and_nobody_failed_in_them() -> None:
    results = Results.load(REFERENCE)
    assert set(scenarios_of(results)) >= {"inprocess", "instructions", "echo", "handshake", "fanout", "burst", "stall"}
    assert set(scenarios_of(results)) >= {"idle", "memory"}
    assert [each.reason for each in results.left_out if "deflate" not in each.reason] == []


def test_the_committed_results_keep_the_budgets() -> None:
    results = Results.load(REFERENCE)
    found = [verdict for scenario in scenarios_of(results) for verdict in verdicts(results, scenario)]
    strict = [verdict for verdict in found if not verdict.budget.beyond_spread]
    others = [verdict for verdict in found if verdict.budget.beyond_spread]
    assert strict
    assert [(each.figure, each.ratio) for each in strict if not each.kept] == []
    missed = [each for each in others if not each.kept]
    # If two contestants are equal, all three repetitions of one exceed the other's by chance once in twenty times.
    by_chance = [(each.figure, each.ratio) for each in missed]
    assert len(by_chance) <= len(others) / 20, by_chance


@pytest.mark.parametrize("contestant", ["asgi_ws", "asgi_ws-fast"])
def test_a_member_that_does_not_read_costs_the_others_nothing(contestant: str) -> None:
    results = Results.load(REFERENCE)
    (stalled,) = [case for case in results.cases("stall") if "never reads" in case]
    delivered = results.figure("stall", stalled, contestant, "delivered")
    slowdown = results.figure("stall", stalled, contestant, "slowdown")
    assert delivered is not None
    assert slowdown is not None
    assert set(delivered.samples) == {100.0}
    # Of three repetitions of a p99 one is mostly off by more than the budget allows.
    assert min(slowdown.samples) <= 1.1


def test_the_class_for_uvicorn_misses_no_budget_but_those_that_the_page_names() -> None:
    results = Results.load(RESULTS / "class.json")
    found = [verdict for scenario in scenarios_of(results) for verdict in verdicts(results, scenario)]
    fast = [verdict for verdict in found if verdict.budget.contestant == "asgi_ws-fast"]
    assert len(fast) > 30
    missed = {(each.figure.case, each.budget.most) for each in fast if not each.kept}
    assert missed <= {
        ("text of 32 B, 8 connections, 1 in flight", 0.45),
        ("text of 32 B, 100 connections, 1 in flight", 0.45),
        ("text of 64 KiB, 8 connections, 32 in flight", 0.8),
    }
