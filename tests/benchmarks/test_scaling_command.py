"""The simulation of scale against queueing theory, the command, its pictures and its page."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.scaling import command
from benchmarks.scaling.draw import draw
from benchmarks.scaling.figures import ScalingError, costs_of, open_loops_of
from benchmarks.scaling.model import Model, distinct
from benchmarks.scaling.page import PICTURES, rewrite
from benchmarks.scaling.simulate import Latencies, Plan, offered, rate_for, simulate
from benchmarks.scaling.tables import Table, all_tables
from tests.servers.program import PROJECT

from .scaling_samples import results

# -- the simulation


def test_one_loop_and_one_kind_of_room_wait_as_long_as_in_an_m_d_1_queue() -> None:
    for load in (0.3, 0.6, 0.8):
        plan = Plan(processes=1, rooms=1, members=1, rate=load / 0.001, delivery=0.001, publishes=200_000)
        wait = simulate(plan).latencies.mean - 0.001
        assert wait == pytest.approx(load * 0.001 / (2 * (1 - load)), rel=0.05)


def test_no_delivery_is_lost_and_each_event_reaches_its_processes() -> None:
    outcome = simulate(Plan(processes=4, rooms=5, members=100, rate=1000, delivery=1e-5, publishes=500))
    assert outcome.deliveries == 500 * 100
    _, weights = outcome.latencies.weighed()
    assert weights.sum() == pytest.approx(outcome.deliveries)
    assert 500 <= outcome.events <= 500 * 4


def test_events_and_utilisation_agree_with_the_analytic_model() -> None:
    plan = Plan(processes=8, rooms=3000, members=10, rate=1, delivery=1e-5, fixed=2e-5, broker_publish=1e-6)
    plan = replace(plan, rate=rate_for(0.5, plan, distinct(10, 8)))
    outcome = simulate(plan)
    assert offered(plan, distinct(10, 8)) == pytest.approx(0.5)
    assert outcome.utilisation == pytest.approx(0.5, rel=0.03)
    assert outcome.events / plan.publishes == pytest.approx(distinct(10, 8), rel=0.02)
    assert outcome.broker == pytest.approx(plan.rate * 1e-6, rel=0.03)


def test_a_publish_that_waits_for_nothing_takes_the_broker_the_event_and_the_deliveries() -> None:
    plan = Plan(
        processes=1,
        rooms=1,
        members=3,
        rate=1,
        delivery=0.01,
        fixed=0.1,
        broker_publish=0.2,
        broker_delivery=0.05,
        arrivals="regular",
        publishes=1,
    )
    values, weights = simulate(plan).latencies.weighed()
    assert list(values) == pytest.approx([0.36, 0.37, 0.38])
    assert list(weights) == [1, 1, 1]


def test_a_large_fan_out_has_the_mean_and_the_percentiles_of_all_its_deliveries() -> None:
    latencies = Latencies()
    latencies.add(0.0, 1e-5, 10_000)
    assert latencies.mean == pytest.approx(1e-5 * 10_001 / 2)
    assert latencies.percentiles(0.5)[0] == pytest.approx(0.05, rel=0.2)
    assert latencies.percentiles(1.0)[0] <= 0.1


def test_of_a_room_at_a_leisurely_rate_half_of_the_deliveries_take_half_of_the_fan_out() -> None:
    plan = Plan(processes=1, rooms=1, members=1000, rate=10, delivery=1e-5, arrivals="regular", publishes=20, kept=1000)
    assert simulate(plan).latencies.percentiles(0.5, 0.99) == pytest.approx([0.005, 0.0099])


def test_large_rooms_and_bursts_lengthen_the_tail_at_the_same_load() -> None:
    def p99(**changes: Any) -> float:
        plan = replace(Plan(processes=2, rooms=50, members=10, rate=1, delivery=1e-5, publishes=3000), **changes)
        return simulate(replace(plan, rate=rate_for(0.5, plan, 2))).latencies.percentiles(0.99)[0]

    assert p99(members=1000) > 20 * p99()
    assert p99(arrivals="bursty") > 2 * p99()


def test_the_same_seed_gives_the_same_outcome_and_another_one_another() -> None:
    plan = Plan(processes=2, rooms=3, members=10, rate=100, delivery=1e-4, publishes=100)
    assert simulate(plan) == simulate(plan)
    assert simulate(plan) != simulate(replace(plan, seed=2))


def test_a_plan_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing can be simulated"):
        Plan(processes=0, rooms=1, members=1, rate=1, delivery=1)


# -- the command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "made-up.json"
    results().save(path)
    return path


@pytest.fixture(scope="module")
def tables() -> list[Table]:
    some = results()
    return all_tables(Model(costs_of(some)), some, "made-up.json", open_loops_of(some))


def run(*options: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.main(parser.parse_args([str(option) for option in options]))


def test_the_command_prints_every_table(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "--connections", "200000", "--cores", "4") == 0
    out = capsys.readouterr().out
    assert "200,000 (given)" in out
    assert "Assumed, not measured: broker" in out
    assert "Simulated and measured" in out


def test_every_table_has_as_many_cells_as_columns(tables: list[Table]) -> None:
    for table in tables:
        assert {len(row) for row in table.rows} == {len(table.columns)}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--connections", "0"], "connections must be 1 or more, not 0"),
        (["--rate", "-1"], "rate must be 0 or more, not -1"),
        (["--rate", "nan"], "rate must be 0 or more, not nan"),
        (["--lifetime", "0"], "lifetime must be above 0, not 0"),
        (["--target", "1.5"], "target must be above 0 and up to 1, not 1.5"),
        (["--slow-share", "2"], "slow-share must be at most 1, not 2"),
        (["--memory-gib", "0.1"], "the processes alone fill the memory"),
        (["--descriptors", "100"], "no file descriptor is left for connections"),
        (["--connections", "10", "--room", "11"], "a room of 11 has more members"),
        (["--take", "echo"], "--take needs FIGURE=CONTESTANT"),
        (["--take", "ech=starlette"], "--take needs FIGURE=CONTESTANT"),
        (["--contestant", "nobody"], "the results lack CPU of a message echoed of nobody"),
        (["--page", "/nowhere/page.md"], "/nowhere/page.md cannot be rewritten"),
    ],
)
def test_what_cannot_be_computed_is_one_line_and_exit_status_2(
    options: list[str], said: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, *options) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(said)
    assert error.count("\n") == 1


def test_a_file_that_holds_no_results_is_one_line_and_exit_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.json").write_text("{}")
    for name in ("other.json", "missing.json"):
        assert run(tmp_path / name) == 2
        out, error = capsys.readouterr()
        assert (out, error.count("\n")) == ("", 1)
        assert name in error


# -- pictures and the page


def test_a_model_is_drawn_in_every_picture(tmp_path: Path) -> None:
    drawn = draw(Model(costs_of(results())), tmp_path)
    assert [path.stem for path in drawn] == list(PICTURES)
    assert all(path.read_text(encoding="utf-8").startswith("<?xml") for path in drawn)


def test_pictures_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ScalingError, match="cannot be written"):
        draw(Model(costs_of(results())), tmp_path / "file")


TABLE: Final = Table("limits", "Limits", ["a", "b"], [["x|y", "1"]], "Said.")


def place(name: str, content: str) -> str:
    return f"<!-- written: {name} -->\n\n{content}\n\n<!-- /written -->\n"


def test_tables_and_pictures_take_their_places_on_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(place("limits", "old") + place("scaling-limits", "old"), encoding="utf-8")
    rewrite(page, [TABLE], [tmp_path / "plots" / "scaling-limits.svg"])
    written = page.read_text(encoding="utf-8")
    assert place("limits", "| a | b |\n| --- | --: |\n| x\\|y | 1 |\n\nSaid.") in written
    assert f"![{PICTURES['scaling-limits']}](plots/scaling-limits.svg)" in written


def test_pictures_stay_as_they_are_until_new_ones_are_drawn(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(place("scaling-limits", "![old](old.svg)"), encoding="utf-8")
    rewrite(page, [TABLE], [])
    assert page.read_text(encoding="utf-8") == place("scaling-limits", "![old](old.svg)")


PAGE: Final = PROJECT / "docs" / "scaling.md"
REFERENCE: Final = PROJECT / "benchmarks" / "results" / "reference.json"


def test_the_documentation_has_a_place_for_every_table_and_picture(tables: list[Table]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in [*(table.name for table in tables), *PICTURES]:
        assert text.count(f"<!-- written: {name} -->\n") == 1, name


@pytest.mark.skipif(not REFERENCE.exists(), reason="no results are committed")
def test_the_documentation_shows_what_the_command_computes_from_the_committed_results(tmp_path: Path) -> None:
    page = tmp_path / "scaling.md"
    page.write_bytes(PAGE.read_bytes())
    assert run(REFERENCE, "--page", page) == 0
    assert page.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")
