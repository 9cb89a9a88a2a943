"""The run in a table or two: a row for each kind of work, a column for each contestant."""

from typing import Final, NamedTuple

from .pages import markdown_table, plain
from .report import quantity
from .results import METRICS, Results

# What all are divided by.
BASE: Final = "starlette"


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
    """A table of medians, each with its ratio to Starlette's in brackets."""
    rows = [(work, case) for work in summary.works for case in results.cases(work.scenario)[work.cases]]
    present = [name for name in summary.contestants if any(_cell(results, work, case, name) for work, case in rows)]
    table = [
        [_title(work, case), *(_cell(results, work, case, name) or "-" for name in present)] for work, case in rows
    ]
    return markdown_table(["", *present], [row for row in table if any(cell != "-" for cell in row[1:])]) + "\n"


def _title(work: _Work, case: str) -> str:
    kind = METRICS[work.metric]
    return plain(f"{work.scenario}: {case} ({kind.title}, {kind.unit})")


def _cell(results: Results, work: _Work, case: str, contestant: str) -> str | None:
    figure = results.figure(work.scenario, case, contestant, work.metric)
    if figure is None:
        return None
    ratio = results.ratio(figure, BASE)
    shown = quantity(work.metric, min(figure.samples) if work.metric == "delivered" else figure.median)
    return shown if ratio is None or work.metric == "delivered" else f"{shown} ({ratio.median:.2f})"
