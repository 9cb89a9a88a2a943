"""Tables of a run: what was measured, beside what, and under which conditions; for a terminal, a file or Markdown."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .pages import markdown_table, plain
from .results import METRICS, Figure, Results, Spread

WIDTH: Final = 120
# A terminal has a width of its own; what is piped to a file has one that every table fits into.
console = Console(width=None if sys.stdout.isatty() else WIDTH)

# The figure of a case that the others are judged by: the first of these that it has.
MAIN_METRICS: Final = ("cpu", "cpu_whole", "memory", "instructions", "p50", "delivered", "memory_peak", "rate")
# A generator that works this share (in percent) of its time may be what limits the rate and makes the latencies.
BUSY: Final = 90
# In the file, and no columns: the split has its own, a busy or late generator is told below, and one stray maximum says
# little.
_NO_COLUMNS: Final = frozenset({"cpu_user", "cpu_system", "generator", "late", "max"})
_NOTHING: Final = "-"
_BETTER: Final = " *"
_WORSE: Final = " !"
# As wide; plain spaces at the end of a cell are dropped.
_NEITHER: Final = "\N{NO-BREAK SPACE}" * 2
LEGEND: Final = (
    "Medians of the repetitions. A ratio is that of the medians (lowest-highest of the repetitions' own ratios). "
    "* better, ! worse than that base in every repetition."
)


def print_table(title: str, columns: list[str], rows: list[list[str]], caption: str) -> None:
    """Print figures; the first column is text, the others are numbers."""
    table = Table(title=title, caption=caption, caption_justify="left", title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def number(value: float) -> str:
    """Return three significant digits, or all of those before the point."""
    size = abs(value)
    if size == 0 or size >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.{1 if size >= 9.995 else 2 if size >= 0.9995 else 3}f}"


def percent(value: float) -> str:
    """Return a percentage in which only 100 is shown as 100."""
    return "100" if value == 100 else f"{min(value, 99.99):.4g}"


def quantity(metric: str, value: float) -> str:
    """Return a sample of this metric as text, without its unit."""
    return percent(value) if METRICS[metric].unit == "%" else number(value)


def spread(ratio: Spread) -> str:
    """Return the middle, with the ends where they differ."""
    digits = 2 if ratio.middle >= 0.1 else 3
    middle, low, high = (f"{value:.{digits}f}" for value in ratio)
    return middle if low == high else f"{middle} ({low}-{high})"


def heading(metric: str) -> str:
    """Return the title of a column, with its unit in a second line."""
    kind = METRICS[metric]
    return kind.title if kind.unit in {"1", "1/s"} else f"{kind.title}\n{kind.unit}"


def main_metric(metrics: Iterable[str]) -> str:
    """Return the metric that a case is judged by."""
    present = list(metrics)
    return next((metric for metric in MAIN_METRICS if metric in present), present[0])


def metrics_of(results: Results, scenario: str, case: str) -> list[str]:
    """Return the metrics measured in this case, in the order of METRICS."""
    present = {figure.metric for figure in results.figures if (figure.scenario, figure.case) == (scenario, case)}
    return [metric for metric in METRICS if metric in present]


def contestants_of(results: Results, scenario: str, case: str) -> list[str]:
    """Return the contestants measured in this case, in their order."""
    figures = (figure for figure in results.figures if (figure.scenario, figure.case) == (scenario, case))
    return list(dict.fromkeys(figure.contestant for figure in figures))


def scenarios_of(results: Results) -> list[str]:
    """Return the scenarios of this run, in their order."""
    figures, left_out = results.figures, results.left_out
    names = [*results.settings, *(each.scenario for each in figures), *(each.scenario for each in left_out)]
    return list(dict.fromkeys(names))


def circumstances(results: Results) -> list[str]:
    """Return a line each for the machine, the versions, and date and command."""
    return [
        ", ".join(f"{value} {name}" if value.isdigit() else value for name, value in results.machine.items()),
        ", ".join(f"{name} {number}" for name, number in results.versions.items()),
        f"{results.when[:16].replace('T', ' ')} UTC: {results.command}",
    ]


@dataclass(frozen=True)
class _Group:
    """Cases of which the same was measured, and so have the same columns; all cells are texts."""

    columns: list[str]
    sections: dict[str, list[list[str]]]

    def width(self, column: int) -> int:
        """Return the width of its widest line, so that the sections align."""
        cells = [self.columns[column], *(row[column] for rows in self.sections.values() for row in rows)]
        return max(len(line) for cell in cells for line in cell.split("\n"))


def _groups(results: Results, scenario: str) -> Iterator[_Group]:
    alike: dict[tuple[str, ...], list[str]] = {}
    for case in results.cases(scenario):
        alike.setdefault(tuple(metrics_of(results, scenario, case)), []).append(case)
    bases = results.bases.get(scenario, [])
    for metrics, cases in alike.items():
        main = main_metric(metrics)
        columns = [
            "",
            *(text for metric in metrics for text in _headings(metric, metrics)),
            *(f"{METRICS[main].title}\n/ {base}" for base in bases),
        ]
        yield _Group(columns, {case: list(_rows(results, scenario, case, metrics)) for case in cases})


def _has_split(metrics: Sequence[str]) -> bool:
    return {"cpu", "cpu_user", "cpu_system"} <= set(metrics)


def _headings(metric: str, metrics: Sequence[str]) -> list[str]:
    if metric in _NO_COLUMNS:
        return []
    return [heading(metric), "user + system"] if metric == "cpu" and _has_split(metrics) else [heading(metric)]


def _rows(results: Results, scenario: str, case: str, metrics: Sequence[str]) -> Iterator[list[str]]:
    main = main_metric(metrics)
    for contestant in contestants_of(results, scenario, case):
        figures = {metric: results.figure(scenario, case, contestant, metric) for metric in metrics}
        row = [contestant]
        for metric in metrics:
            if metric not in _NO_COLUMNS:
                row.append(_median(figures[metric]))
            if metric == "cpu" and _has_split(metrics):
                row.append(f"{_median(figures['cpu_user'])} + {_median(figures['cpu_system'])}")
        row += [_ratio(results, figures[main], base) for base in results.bases.get(scenario, [])]
        yield row


def _median(figure: Figure | None) -> str:
    if figure is None:
        return _NOTHING
    # One repetition in which something did not arrive is not outweighed by two others.
    return quantity(figure.metric, min(figure.samples) if figure.metric == "delivered" else figure.median)


def _ratio(results: Results, figure: Figure | None, base: str) -> str:
    """Return the ratio to the base's figure, marked where all repetitions agree."""
    ratio = None if figure is None else results.ratio(figure, base)
    if figure is None or ratio is None:
        return _NOTHING
    if figure.contestant == base:
        return "1" + _NEITHER
    less, more = (_BETTER, _WORSE) if METRICS[figure.metric].better == "less" else (_WORSE, _BETTER)
    return spread(ratio) + (less if ratio.high < 1 else more if ratio.low > 1 else _NEITHER)


def _busy(results: Results, scenario: str) -> Iterator[str]:
    """Yield the cases in which the generator may have been the limit."""
    busy: dict[str, list[Figure]] = {}
    for figure in results.figures:
        if figure.scenario == scenario and figure.metric == "generator" and figure.median >= BUSY:
            busy.setdefault(figure.contestant, []).append(figure)
    for contestant, figures in busy.items():
        yield (
            f"{contestant} kept the load generator busy for {percent(max(each.median for each in figures))} % of the "
            f"time, so its rate is the generator's, and its CPU at most what is shown: "
            + "; ".join(each.case for each in figures)
        )


def notes(results: Results, scenario: str) -> list[str]:
    """Return the notes on a scenario: contestants left out and why, and cases limited by the generator."""
    left_out = [f"left out: {each.contestant}: {each.reason}" for each in results.left_out if each.scenario == scenario]
    taken = results.settings.get(scenario, {}).get("taken", results.taken)
    again = [] if taken == results.taken else [f"taken again, {taken}"]
    return [*left_out, *again, *_busy(results, scenario), *_late(results, scenario)]


def _late(results: Results, scenario: str) -> Iterator[str]:
    """Yield the cases in which a late generator makes much of the latency."""
    for figure in results.figures:
        if (figure.scenario, figure.metric) != (scenario, "late"):
            continue
        p99 = results.figure(scenario, figure.case, figure.contestant, "p99")
        if p99 and figure.median > p99.median / 2:
            yield (
                f"{figure.contestant}: the load generator itself was late by {number(figure.median)} ms (p99), "
                f"which is much of the latency's p99: {figure.case}"
            )


def print_tables(results: Results, scenario: str, to: Console = console) -> None:
    """Print the tables of a scenario and its notes: a table for the cases of which the same was measured."""
    to.print(Text(f"\n{scenario}", style="bold"))
    for group in _groups(results, scenario):
        for index, (case, rows) in enumerate(group.sections.items()):
            # No title of the table, which would be broken at the width of a narrow one.
            to.print(Text(case, style="italic"))
            to.print(_table(group, rows, header=index == 0))
    if results.cases(scenario):
        to.print(Text(LEGEND, style="dim"))
    for line in notes(results, scenario):
        to.print(Text(line))


def _table(group: _Group, rows: Sequence[Sequence[str]], *, header: bool) -> Table:
    table = Table(show_header=header, box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(group.columns):
        # A header is markup, where a contestant's name must stay what it is.
        table.add_column(
            escape(column),
            justify="left" if index == 0 else "right",
            min_width=min(group.width(index), 30),
            vertical="top",
        )
    for row in rows:
        table.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    return table


def _style(cell: str) -> str:
    return "green" if cell.endswith(_BETTER) else "red" if cell.endswith(_WORSE) else ""


def print_circumstances(results: Results, to: Console = console) -> None:
    """Print machine, versions, date and command."""
    to.print()
    for line in circumstances(results):
        to.print(Text(line, style="dim"))


def markdown(results: Results, scenario: str) -> str:
    """Return the tables and notes as Markdown."""
    blocks: list[str] = []
    for group in _groups(results, scenario):
        columns = [plain(column) for column in group.columns]
        for case, rows in group.sections.items():
            blocks += [f"**{plain(case)}**", markdown_table(columns, rows)]
    if blocks:
        blocks.append(plain(LEGEND))
    if said := notes(results, scenario):
        blocks.append("\n".join(f"- {plain(line)}" for line in said))
    return "\n\n".join(blocks) + "\n"


def markdown_circumstances(results: Results) -> str:
    """Return machine, versions and date as a paragraph of Markdown. The file of the results has the command."""
    machine, versions, taken = circumstances(results)
    return f"Measured on {taken[:10]}: {plain(machine)}; {plain(versions)}.\n"
