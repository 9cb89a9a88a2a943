"""A file of results as tables, as Markdown, or as pictures."""

import argparse
import sys
from pathlib import Path

from .budgets import print_verdicts
from .report import (
    console,
    markdown,
    markdown_circumstances,
    print_circumstances,
    print_tables,
    scenarios_of,
)
from .results import Results, ResultsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `show`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="what --json wrote")
    parser.add_argument("--markdown", action="store_true", help="as Markdown, for a document")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw them there, as SVG")
    parser.add_argument("--case", metavar="NAME", help="draw one case, as a small SVG: --plot is its file")


def main(arguments: argparse.Namespace) -> int:
    """Do it; the exit status is 2 where the file holds no results, or what was asked for cannot be written."""
    try:
        results = Results.load(arguments.file)
        drawn = [] if arguments.plot is None else _drawn(results, arguments.plot, arguments.case)
    except ResultsError as error:
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
    for path in drawn:
        console.print(f"written: {path}", markup=False, highlight=False)
    return 0


def _drawn(results: Results, plot: Path, case: str | None) -> list[Path]:
    # matplotlib takes half a second to import.
    from . import plots  # noqa: PLC0415

    if case is None:
        return plots.draw(results, plot)
    plots.draw_case(results, case, plot)
    return [plot]
