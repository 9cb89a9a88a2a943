"""The tables of the pages."""

from benchmarks.summary import markdown_scenario, markdown_summary
from benchmarks.write_pages import parts_of
from tests.benchmarks.samples import results


def test_a_summary_has_a_row_for_each_work_and_a_column_for_each_contestant() -> None:
    text = markdown_summary(results())
    assert "**Server CPU, µs**\n\n|  | asgi_ws | starlette |" in text
    assert "| echo: text of 32 B, 8 connections, 1 in flight | 13.3 (0.47) |" in text


def test_a_ratio_is_the_quotient_of_the_medians_beside_it() -> None:
    rows = dict(
        line.strip("| ").split(" | ")[:2] for line in markdown_scenario(results(), "echo").splitlines() if "(" in line
    )
    medians = {name: float(cell.partition(" ")[0]) for name, cell in rows.items()}
    for name, cell in rows.items():
        assert cell.endswith(f"({medians[name] / medians['starlette']:.2f})")


def test_a_contestant_that_was_not_measured_is_named_with_the_reason() -> None:
    assert "- node-ws is left out where the table has a dash: install Node.js" in markdown_scenario(results(), "echo")


def test_the_parts_of_several_runs_on_a_page_differ_by_a_prefix() -> None:
    assert set(parts_of(results(), "old-")) == {f"old-{name}" for name in parts_of(results())}
