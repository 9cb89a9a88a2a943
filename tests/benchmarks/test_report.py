"""The tables of a run, in a terminal, in a file and as Markdown."""

import io

import pytest
from rich.console import Console

from benchmarks import report
from benchmarks.report import WIDTH, number, percent
from benchmarks.results import Figure, LeftOut, Results
from tests.benchmarks.samples import COMMAND, results


def printed(run: Results, scenario: str, *, terminal: bool = False) -> str:
    to = io.StringIO()
    console = Console(file=to, width=WIDTH, force_terminal=terminal)
    report.print_tables(run, scenario, console)
    report.print_circumstances(run, console)
    return to.getvalue()


def row(text: str, contestant: str) -> str:
    return next(line for line in text.splitlines() if line.split()[:1] == [contestant])


def test_a_row_has_the_medians_the_split_and_the_ratios_with_their_ranges() -> None:
    words = row(printed(results(), "echo"), "asgi_ws").split()
    assert words[:6] == ["asgi_ws", "13.3", "6.10", "+", "7.20", "75,188"]
    assert words[6:] == ["0.47", "(0.43-0.50)", "*", "1.55", "!"]


def test_a_ratio_is_marked_only_where_every_repetition_agrees() -> None:
    text = printed(results(), "echo")
    assert "0.30 (0.28-0.32) *" in row(text, "picows")
    assert row(text, "fastapi").split()[6:8] == ["1.04", "(0.98-1.14)"]
    assert row(text, "fastapi").split()[8] == "3.42"


def test_more_is_better_where_the_metric_says_so() -> None:
    run = results()
    run.figures = [
        Figure("echo", "a case", name, "rate", samples)
        for name, samples in (("asgi_ws", (30.0, 32.0)), ("starlette", (10.0, 11.0)))
    ]
    assert "2.95 (2.91-3.00) *" in row(printed(run, "echo"), "asgi_ws")


def test_cases_of_which_the_same_was_measured_share_their_columns() -> None:
    text = printed(results(), "echo")
    assert text.count("user + system") == 1
    assert text.count("p99.9") == 1
    first, second, third = (text.index(case) for case in results().cases("echo"))
    assert first < second < third


def test_what_was_left_out_is_said_with_the_reason() -> None:
    assert "left out: node-ws: install Node.js" in printed(results(), "echo")
    assert "node-ws" not in printed(results(), "memory")


def test_a_scenario_without_figures_says_why() -> None:
    run = results()
    run.figures, run.left_out = [], [LeftOut("echo", "all", "[no] server starts")]
    assert "left out: all: [no] server starts" in printed(run, "echo")
    assert "left out: all" in report.markdown(run, "echo")


def test_a_generator_that_was_the_limit_is_told_once_for_each_contestant() -> None:
    text = " ".join(printed(results(), "echo").split())
    assert text.count("kept the load generator busy for 95 %") == 1
    assert "picows kept the load generator busy" in text


def test_machine_versions_date_and_command_stand_below() -> None:
    text = printed(results(), "echo")
    assert "2 cores, 8 GiB" in text
    assert "CPython 3.11.7, asgi-websockets 0.3.0" in text
    assert f"2025-11-22 19:48 UTC: {COMMAND}" in text


@pytest.mark.parametrize("scenario", ["echo", "memory", "instructions"])
def test_a_file_gets_no_colour_codes_and_no_line_beyond_the_width(scenario: str) -> None:
    text = printed(results(), scenario)
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert "\x1b" in printed(results(), scenario, terminal=True)


def test_names_with_brackets_are_no_markup() -> None:
    run = results()
    run.bases["memory"] = ["[red]"]
    run.figures = [Figure("memory", "[bold] case", "[red]", "memory", (1.0,))]
    text = printed(run, "memory")
    assert "[bold] case" in text
    assert "/ [red]" in text


def test_markdown_has_a_table_for_each_case() -> None:
    text = report.markdown(results(), "echo")
    assert text.count("| --- | --: |") == 3
    assert "| asgi_ws | 13.3 | 6.10 + 7.20 | 75,188 | 0.47 (0.43-0.50) \\* |" in text
    assert "- left out: node-ws: install Node.js" in text
    assert report.markdown_circumstances(results()).startswith("Measured on 2025-11-22: Example Processor 9000")


def test_markdown_keeps_a_bar_in_a_name_within_its_cell() -> None:
    run = results()
    run.figures = [Figure("memory", "a case", "a|b", "memory", (1.0,))]
    assert "| a\\|b |" in report.markdown(run, "memory")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0042, "0.004"),
        (0.2134, "0.213"),
        (0.9996, "1.00"),
        (9.996, "10.0"),
        (99.96, "100"),
        (31240, "31,240"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(100, "100"), (99.999, "99.99"), (95.0, "95"), (0.0, "0")])
def test_only_100_percent_is_100(value: float, text: str) -> None:
    assert percent(value) == text
