"""What a file of results says: as tables, as Markdown, into a page, as pictures."""

import argparse
import sys
from pathlib import Path

from . import plots
from .budgets import CAPTION, COLUMNS, print_verdicts, rows
from .pages import PageError, fill, markdown_table, plain
from .report import (
    console,
    markdown,
    markdown_circumstances,
    print_circumstances,
    print_tables,
    scenarios_of,
)
from .results import Results, ResultsError
from .summary import FAST, FAST_SHORT, markdown_summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `show`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="what --json wrote")
    parser.add_argument("--markdown", action="store_true", help="as Markdown, for a document")
    parser.add_argument("--page", type=Path, metavar="PAGE", help="write them into the places of a Markdown page")
    parser.add_argument("--prefix", default="", metavar="TEXT", help="of the names of those places")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw them there, as SVG")
    parser.add_argument("--case", metavar="NAME", help="draw one case, as a small SVG: --plot is its file")


def main(arguments: argparse.Namespace) -> int:
    """Do it; the exit status is 2 where the file holds no results, or what was asked for cannot be written."""
    try:
        results = Results.load(arguments.file)
        if arguments.page is not None:
            fill(arguments.page, page_parts(results, arguments.prefix), kept=None)
        drawn = [] if arguments.plot is None else _drawn(results, arguments.plot, arguments.case)
    except (ResultsError, PageError) as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.markdown:
        for scenario in scenarios_of(results):
            print(f"### {scenario}\n\n{markdown(results, scenario)}")
        print(markdown_circumstances(results))
        return 0
    for scenario in scenarios_of(results):
        print_tables(results, scenario)
        print_verdicts(results, scenario)
    print_circumstances(results)
    for path in [*drawn, *([arguments.page] if arguments.page else [])]:
        console.print(f"written: {path}", markup=False, highlight=False)
    return 0


def _drawn(results: Results, plot: Path, case: str | None) -> list[Path]:
    if case is None:
        return plots.draw(results, plot)
    plots.draw_case(results, case, plot)
    return [plot]


def page_parts(results: Results, prefix: str = "") -> dict[str, str]:
    """What a page has places for: the tables of each scenario, those of `summary`, "budgets" and "circumstances"."""
    parts = {scenario: markdown(results, scenario) for scenario in scenarios_of(results)}
    parts |= {"summary": markdown_summary(results), "circumstances": markdown_circumstances(results)}
    parts |= {"fast": markdown_summary(results, FAST), "fast-short": markdown_summary(results, FAST_SHORT)}
    verdicts = [
        [f"{scenario}: {row[0]}", *row[1:]] for scenario in scenarios_of(results) for row in rows(results, scenario)
    ]
    parts["budgets"] = f"{markdown_table(COLUMNS, verdicts)}\n\n{plain(CAPTION)}\n"
    return {f"{prefix}{name}": part for name, part in parts.items()}
