"""The tables of the pages: medians, each with its ratio to the base in brackets."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from .pages import markdown_table, plain
from .report import contestants_of, main_metric, metrics_of, quantity
from .results import METRICS, Figure, Results

# The contestant by which the medians of a summary are divided.
BASE: Final = "starlette"
# Metrics that a page shows beside the main one of a case.
_SHOWN: Final = ("hold", "p99", "slowdown", "delivered", "memory_peak")
# With more cases than these the contestants are the columns.
_MOST_COLUMNS: Final = 3


class _Work(NamedTuple):
    """Some cases of a scenario, counted from the first, and the metric that is shown of them."""

    scenario: str
    cases: slice
    metric: str


class Summary(NamedTuple):
    """A table: its rows, and its columns, as far as the run has them."""

    works: tuple[_Work, ...]
    contestants: tuple[str, ...]


_WORKS: Final = (
    _Work("inprocess", slice(1), "cpu"),
    _Work("echo", slice(3), "cpu"),
    _Work("handshake", slice(1), "cpu"),
    _Work("fanout", slice(1), "cpu"),
    _Work("burst", slice(1), "cpu"),
    _Work("stall", slice(1, 2), "delivered"),
    _Work("memory", slice(2), "memory"),
)


WHOLE: Final = Summary(
    works=_WORKS,
    contestants=(
        *("asgi_ws", "asgi_ws-fast", "starlette", "fastapi", "bare", "websockets", "aiohttp", "picows", "node-ws"),
    ),
)
# Of this package's class for uvicorn: what it makes of anybody's application.
FAST: Final = Summary(
    works=(
        _Work("echo", slice(None), "cpu"),
        _Work("handshake", slice(1), "cpu"),
        _Work("memory", slice(2), "memory"),
    ),
    contestants=("starlette", "starlette-fast", "fastapi", "fastapi-fast", "asgi_ws-fast", "picows"),
)
FAST_SHORT: Final = FAST._replace(works=(_Work("echo", slice(3), "cpu"), *FAST.works[1:]))


def markdown_summary(results: Results, summary: Summary = WHOLE) -> str:
    """Return a table for each metric, with a row for each kind of work and a column for each contestant."""
    blocks = []
    for metric in dict.fromkeys(work.metric for work in summary.works):
        works = [work for work in summary.works if work.metric == metric]
        rows = [(work.scenario, case) for work in works for case in results.cases(work.scenario)[work.cases]]
        figures = {(row, name): results.figure(*row, name, metric) for row in rows for name in summary.contestants}
        rows = [row for row in rows if any(figures[row, name] for name in summary.contestants)]
        names = [name for name in summary.contestants if any(figures[row, name] for row in rows)]
        table = [[": ".join(row), *(_shown(results, figures[row, name], BASE) for name in names)] for row in rows]
        if table:
            blocks += [_title(metric), markdown_table(["", *names], table)]
    return "\n\n".join(blocks) + "\n"


def markdown_scenario(results: Results, scenario: str) -> str:
    """Return the tables of a scenario, then the contestants left out, with reasons.

    A case that shares its metrics with no other gets a table with a column for each metric. Other cases get a table for
    each metric, in which the cases are columns where there are few, and rows where there are many.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for case in results.cases(scenario):
        alike.setdefault(_shown_metrics(metrics_of(results, scenario, case)), []).append(case)
    base = next(iter(results.bases.get(scenario, ())), BASE)
    blocks = []
    for metrics, cases in alike.items():
        names = list(dict.fromkeys(name for case in cases for name in contestants_of(results, scenario, case)))
        cells = {
            (metric, case, name): _shown(results, results.figure(scenario, case, name, metric), base)
            for metric in metrics
            for case in cases
            for name in names
        }
        if len(cases) == 1:
            rows = [[name, *(cells[metric, cases[0], name] for metric in metrics)] for name in names]
            blocks += [f"**{plain(cases[0])}**", markdown_table(["", *map(_unit, metrics)], rows)]
            continue
        for metric in metrics:
            if len(cases) <= _MOST_COLUMNS:
                rows = [[name, *(cells[metric, case, name] for case in cases)] for name in names]
                table = markdown_table(["", *map(plain, cases)], rows)
            else:
                rows = [[case, *(cells[metric, case, name] for name in names)] for case in cases]
                table = markdown_table(["", *names], rows)
            blocks += [_title(metric), table]
    left_out = "\n".join(f"- {plain(each)}" for each in _left_out(results, scenario))
    return "\n\n".join([*blocks, *([left_out] if left_out else [])]) + "\n"


def _shown_metrics(metrics: Sequence[str]) -> tuple[str, ...]:
    main = main_metric(metrics)
    return (main, *(metric for metric in _SHOWN if metric in metrics and metric != main))


def _left_out(results: Results, scenario: str) -> Iterator[str]:
    """Yield each contestant that was not measured in some cases, once for each reason."""
    reasons = dict.fromkeys(
        (each.contestant, each.reason.rpartition(": ")[2]) for each in results.left_out if each.scenario == scenario
    )
    for contestant, reason in reasons:
        yield f"{contestant} is left out where the table has a dash: {reason}"


def _unit(metric: str) -> str:
    kind = METRICS[metric]
    return kind.title if kind.unit == "1" else f"{kind.title}, {kind.unit}"


def _title(metric: str) -> str:
    title = _unit(metric)
    return f"**{title[0].upper()}{title[1:]}**"


def _shown(results: Results, figure: Figure | None, base: str) -> str:
    """Return the median, with its ratio to the base where the metric is one that is compared."""
    if figure is None:
        return "-"
    if figure.metric == "delivered":
        # The worst repetition: two others do not make up for lost messages.
        return quantity(figure.metric, min(figure.samples))
    shown = quantity(figure.metric, figure.median)
    ratio = results.ratio(figure, base) if METRICS[figure.metric].gated else None
    return shown if ratio is None else f"{shown} ({ratio.middle:.2f})"
