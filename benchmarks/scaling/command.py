"""Scale on paper and in simulation: machines, brokers and latency, from the figures of a run."""

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..pages import PageError
from ..report import console, print_table
from ..results import Results, ResultsError
from .figures import CONTESTANT, LOOKUPS, ScalingError, costs_of, open_loops_of
from .inputs import Assumptions, Workload
from .model import Model
from .page import rewrite
from .tables import Table, all_tables

_GROUPS: Final = {
    "workload": (Workload, "what is asked of the machines"),
    "assumptions": (Assumptions, "what was not measured; every table that rests on it says so"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options: files, contestants, and one option for each number of the model."""
    parser.add_argument("results", type=Path, metavar="RESULTS.json", help="what a run wrote with --json")
    parser.add_argument("--contestant", default=CONTESTANT, help="whose figures are taken (default: %(default)s)")
    parser.add_argument(
        "--take",
        action="append",
        default=[],
        metavar="FIGURE=CONTESTANT",
        help=f"take one figure from another contestant; figures: {', '.join(LOOKUPS)}",
    )
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw SVGs into this directory")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the tables into this Markdown page")
    for title, (kind, text) in _GROUPS.items():
        group = parser.add_argument_group(title, text)
        for each in dataclasses.fields(kind):
            _add_option(group, each)


def main(arguments: argparse.Namespace) -> int:
    """Print the tables, and write what was asked for. The exit status is 2 where that cannot be done."""
    try:
        model, tables = computed(arguments)
        drawn = _drawn(model, arguments.plot)
        if arguments.page is not None:
            rewrite(arguments.page, tables, drawn)
    except (ScalingError, ResultsError, PageError) as error:
        print(error, file=sys.stderr)
        return 2
    for table in tables:
        print_table(table.title, list(table.columns), [list(row) for row in table.rows], table.caption)
        console.print()
    for path in [*drawn, *([arguments.page] if arguments.page else [])]:
        console.print(f"written: {path}", markup=False, highlight=False)
    return 0


def computed(arguments: argparse.Namespace) -> tuple[Model, list[Table]]:
    """Return the model that the options describe, and its tables.

    Raises:
        ResultsError: where the file holds no results.
        ScalingError: for figures that it lacks, and for numbers out of their range.
    """
    results = Results.load(arguments.results)
    takes = _takes(arguments.take)
    given = vars(arguments)
    workload, assumptions = Workload(**_of(Workload, given)), Assumptions(**_of(Assumptions, given))
    if workload.room > workload.connections:
        raise ScalingError(f"a room of {workload.room:,} has more members than there are connections")
    model = Model(costs_of(results, arguments.contestant, takes), workload, assumptions)
    loops = open_loops_of(results, takes.get("delivery") or arguments.contestant)
    return model, all_tables(model, results, arguments.results.name, loops)


def _of(kind: type[Workload | Assumptions], given: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: given[each.name] for each in dataclasses.fields(kind)}


def _add_option(group: Any, each: "dataclasses.Field[Any]") -> None:
    option, text = f"--{each.name.replace('_', '-')}", each.metadata["text"]
    if each.metadata["kind"] == "flag":
        group.add_argument(option, action="store_true", help=text)
        return
    kind = int if isinstance(each.default, int) else float
    group.add_argument(
        option, type=kind, default=each.default, metavar="N", help=f"{text} (default: %(default)s)".replace("% ", "%% ")
    )


def _takes(texts: Sequence[str]) -> dict[str, str]:
    takes: dict[str, str] = {}
    for text in texts:
        name, _, contestant = text.partition("=")
        takes[name] = contestant
    if wrong := [name for name, contestant in takes.items() if name not in LOOKUPS or not contestant]:
        raise ScalingError(f"--take needs FIGURE=CONTESTANT, the figure one of {', '.join(LOOKUPS)}, not {wrong[0]!r}")
    return takes


def _drawn(model: Model, directory: Path | None) -> list[Path]:
    if directory is None:
        return []
    # Half a second of import, for those who draw.
    from .draw import draw  # noqa: PLC0415

    return draw(model, directory)
