"""The pictures of a run."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.plots import CASES, draw, draw_case
from benchmarks.results import Figure, ResultsError
from tests.benchmarks.samples import results


def test_each_scenario_gets_its_pictures(tmp_path: Path) -> None:
    written = draw(results(), tmp_path / "plots")
    assert [path.name for path in written] == ["echo.svg", "echo-latency.svg", "memory.svg", "instructions.svg"]
    for path in written:
        root = ET.parse(path).getroot()
        assert root.tag.endswith("svg")
        assert root.get("width") == "648pt"
    # Opaque: the ground is drawn before the bars.
    text = written[0].read_text(encoding="utf-8")
    assert text.index("fill: #fafaf8") < text.index("fill: #0072b2")


def test_many_cases_are_drawn_in_further_pictures(tmp_path: Path) -> None:
    run = results()
    run.figures = [Figure("echo", f"case {index}", "asgi_ws", "cpu", (1.0,)) for index in range(CASES + 1)]
    assert [path.name for path in draw(run, tmp_path)] == ["echo.svg", "echo-2.svg"]


@pytest.mark.parametrize("metric", ["cpu", "p50", "p99.9", "memory_peak", "rate", "delivered"])
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_one_figure_alone_is_drawn_or_left(tmp_path: Path, metric: str, value: float) -> None:
    run = results()
    run.bases = {}
    run.figures = [Figure("odd", "a case", "somebody", metric, (value,))]
    assert len(draw(run, tmp_path)) == (metric in {"cpu", "p50", "memory_peak", "delivered"})


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match="the plots cannot be written"):
        draw(results(), tmp_path / "file")


def test_one_case_is_drawn_as_a_small_picture_whose_text_is_text(tmp_path: Path) -> None:
    path = tmp_path / "case.svg"
    draw_case(results(), results().cases("echo")[0], path)
    text = path.read_text(encoding="utf-8")
    assert ">asgi_ws</text>" in text
    assert len(text) < 30_000


@pytest.mark.parametrize(("case", "said"), [("none", "'none': the results have no CPU"), (None, "cannot be written")])
def test_a_case_that_cannot_be_drawn_is_told(tmp_path: Path, case: str | None, said: str) -> None:
    with pytest.raises(ResultsError, match=said):
        draw_case(results(), case or results().cases("echo")[0], tmp_path / "none" / "case.svg")
