"""Budgets of this package, as ratios within one run, and their verdicts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from .report import print_table
from .results import METRICS, Figure, Results, Spread


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most that a contestant's figures of a scenario may be, divided by those of another.

    Attributes:
        scenario: the cases of it whose names `cases` matches.
        contestant: who keeps to it.
        metric: of what.
        base: the other; None for a budget in the metric's own unit.
        most: of the ratio of the medians; without a base, of every repetition.
        cases: a regular expression, searched for in a case's name.
        beyond_spread: the budget is missed only where the ranges of the repetitions, the base's taken `most` times, do
            not overlap.
    """

    scenario: str
    contestant: str
    metric: str = "cpu"
    base: str | None
    most: float
    cases: str = ""
    beyond_spread: bool = False

    def is_about(self, figure: Figure) -> bool:
        """Return True if the budget is about this figure."""
        own = (self.scenario, self.contestant, self.metric)
        return (figure.scenario, figure.contestant, figure.metric) == own and bool(re.search(self.cases, figure.case))


class Verdict(NamedTuple):
    """The verdict of one figure on a budget."""

    budget: Budget
    figure: Figure
    base: Figure | None
    ratio: Spread

    @property
    def kept(self) -> bool:
        if self.base is None:
            return self.ratio.high <= self.budget.most
        if self.budget.beyond_spread:
            return min(self.figure.samples) <= self.budget.most * max(self.base.samples)
        return self.ratio.middle <= self.budget.most


def _no_slower(scenario: str, *, metric: str = "cpu", suffix: str = "") -> Budget:
    """Return a budget of at most Starlette's figure, on the same class of uvicorn."""
    return Budget(
        scenario=scenario,
        contestant=f"asgi_ws{suffix}",
        metric=metric,
        base=f"starlette{suffix}",
        most=1.0,
        beyond_spread=True,
    )


def _fast(scenario: str, most: float, cases: str = "", *, metric: str = "cpu", base: str = "starlette") -> Budget:
    """Return a budget on this package's class, against Starlette on uvicorn's default, or a server without ASGI."""
    return Budget(scenario=scenario, contestant="asgi_ws-fast", metric=metric, base=base, most=most, cases=cases)


BUDGETS: Final = (
    Budget(scenario="inprocess", contestant="asgi_ws", base="starlette", most=0.45),
    Budget(scenario="inprocess", contestant="asgi_ws", base="bare", most=2.3),
    Budget(scenario="inprocess", contestant="asgi_ws, rate limits", base="starlette", most=0.75),
    *(_no_slower(scenario, suffix=suffix) for scenario in ("echo", "handshake") for suffix in ("", "-wsproto")),
    *(_no_slower("memory", metric="memory", suffix=suffix) for suffix in ("", "-wsproto")),
    _fast("echo", 0.45, "^text of 32 B, .* 1 in flight$"),
    _fast("echo", 0.3, "^text of 32 B, .* 32 in flight$"),
    _fast("echo", 0.8, "in flight$"),
    _fast("echo", 0.9, "^JSON text .* deflate$"),
    _fast("echo", 1.25, "^JSON text .* deflate$", metric="received"),
    _fast("echo", 1.0, "^random binary .* deflate$"),
    _fast("echo", 1.35, "^text of 32 B, .* 1 in flight$", base="picows"),
    _fast("echo", 1.0, "^text of 32 B, .* 32 in flight$", base="picows"),
    # 1.3 times the handshakes in the same time.
    _fast("handshake", 1 / 1.3),
    _fast("fanout", 0.6, "one after the other$"),
    _fast("fanout", 1.5, "one after the other$", base="picows"),
    _fast("burst", 0.25),
    _fast("memory", 0.8, "idle$", metric="memory"),
    _fast("memory", 0.4, "idle, deflate negotiated$", metric="memory"),
    *(
        Budget(scenario="crowd", contestant="asgi_ws, 10,000 members", metric=metric, base=base, most=most)
        for metric, base, most in (
            ("cpu_whole", "asgi_ws, 1,000 members", 12.0),
            ("memory_peak", "asgi_ws, 1,000 members", 12.0),
            ("hold", None, 50.0),
        )
    ),
)


CAPTION: Final = (
    "The ratio is that of the medians (lowest-highest of the repetitions' own). The ranges are those of the two "
    "contestants' figures. Three repetitions of equal figures lie apart by chance in one of twenty runs."
)


def verdicts(results: Results, scenario: str) -> Iterator[Verdict]:
    """Yield a verdict for each budget of a scenario and each figure with a base that it is about."""
    for budget in BUDGETS:
        if budget.scenario != scenario:
            continue
        for figure in results.figures:
            if budget.is_about(figure) and budget.base is None:
                yield Verdict(budget, figure, None, Spread.of(figure.samples))
            elif budget.is_about(figure) and budget.base is not None:
                base = results.figure(scenario, figure.case, budget.base, budget.metric)
                ratio = results.ratio(figure, budget.base)
                if base is not None and ratio is not None:
                    yield Verdict(budget, figure, base, ratio)


# Of what, where it is neither the CPU nor what the scenario is named after.
_UNIT: Final = {"received": ", bytes", "memory_peak": ", memory", "hold": ", longest hold of the loop"}
_OR: Final = ", or ranges overlap"
COLUMNS: Final = ("", "at most", "ratio", "")


def _most(budget: Budget) -> str:
    if budget.base is None:
        return f"{budget.most:.3g} {METRICS[budget.metric].unit}"
    return f"{budget.most:.3g} of {budget.base}" + _OR * budget.beyond_spread


def rows(results: Results, scenario: str) -> list[list[str]]:
    """Return the verdicts as rows of a table."""
    return [
        [
            f"{verdict.figure.case}: {verdict.figure.contestant}{_UNIT.get(verdict.budget.metric, '')}",
            _most(verdict.budget),
            f"{verdict.ratio.middle:.2f} ({verdict.ratio.low:.2f}-{verdict.ratio.high:.2f})",
            "kept" if verdict.kept else "MISSED",
        ]
        for verdict in verdicts(results, scenario)
    ]


def print_verdicts(results: Results, scenario: str) -> None:
    """Print them, where there are any."""
    if table := rows(results, scenario):
        print_table(f"{scenario}: budgets", list(COLUMNS), table, CAPTION)
