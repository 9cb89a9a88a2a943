"""Results as values, and their JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.results import Figure, Results, ResultsError, Spread
from tests.benchmarks.samples import MESSAGE, results


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    results().save(tmp_path / "run.json")
    assert Results.load(tmp_path / "run.json") == results()


def test_a_ratio_is_that_of_the_medians_between_the_ends_of_the_repetitions() -> None:
    run = results()
    run.figures = [
        Figure("echo", "a case", "asgi_ws", "cpu", (1.0, 8.0, 3.0)),
        Figure("echo", "a case", "starlette", "cpu", (2.0, 10.0, 4.0)),
    ]
    assert run.ratio(run.figures[0], "starlette") == Spread(middle=0.75, low=0.5, high=0.8)


@pytest.mark.parametrize("samples", [None, (1.0,), (1.0, 0.0)], ids=["missing", "fewer", "zero"])
def test_there_is_no_ratio_to_a_base_that_cannot_be_divided_by(samples: tuple[float, ...] | None) -> None:
    run = results()
    run.figures = [Figure("echo", "a case", "asgi_ws", "cpu", (1.0, 2.0))]
    if samples is not None:
        run.figures.append(Figure("echo", "a case", "starlette", "cpu", samples))
    assert run.ratio(run.figures[0], "starlette") is None


def test_cases_come_in_the_order_of_the_figures() -> None:
    assert results().cases("instructions") == [MESSAGE]
    assert results().cases("memory") == ["10,000 connections, idle", "10,000 connections, idle, deflate negotiated"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "is no JSON"),
        ("[]", "holds no results of this program"),
        ('{"format": 99}', "holds no results of this program, format 1"),
        ('{"format": 1}', "holds damaged results: KeyError"),
    ],
)
def test_a_file_that_holds_no_results_is_told_in_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "run.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(ResultsError) as refused:
        Results.load(file)
    assert message in str(refused.value)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "taste"}, "no metric is called 'taste'"),
        ({"samples": []}, "the samples of 'asgi_ws'"),
        ({"samples": [float("nan")]}, "the samples of 'asgi_ws'"),
        ({"samples": ["fast"]}, "could not convert"),
    ],
)
def test_a_damaged_figure_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = tmp_path / "run.json"
    results().save(file)
    document = json.loads(file.read_text(encoding="utf-8"))
    document["figures"][0] |= change
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ResultsError, match=message):
        Results.load(file)


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot be written"):
        results().save(tmp_path / "nowhere" / "run.json")


def test_an_update_replaces_the_scenarios_that_were_taken_again_and_keeps_the_others() -> None:
    old, new = results(), results()
    new.when = "2026-01-01T00:00:00+00:00"
    new.settings = {"memory": {"taken": new.taken}}
    new.bases = {"memory": ["starlette"]}
    new.figures = [Figure("memory", "a new case", "asgi_ws", "memory", (1.0,))]
    new.left_out = []
    updated = old.updated(new)
    assert updated.cases("memory") == ["a new case"]
    assert updated.cases("echo") == old.cases("echo")
    assert updated.when == old.when
    assert "- taken again, 2026-01-01 00:00 UTC" in report.markdown(updated, "memory")
    assert "taken again" not in report.markdown(updated, "echo")
