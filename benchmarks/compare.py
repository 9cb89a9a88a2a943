"""Say what moved between two runs beyond the noise; the exit status is 1 where one of ours got worse by too much.

A machine is not as fast today as it was yesterday, so times are compared as ratios to the main base of their run, taken
repetition by repetition. Instructions, memory and bytes hold still: they are compared as they are, as long as machine
and Python are the same, and as ratios where they are not.

Beyond the noise is what the exact one-sided rank-sum test (Mann and Whitney) says at 5 % for each direction: if the two
runs differed in nothing, the new samples would be as much worse than the old ones by chance in fewer than one of twenty
comparisons, and as much better likewise. With three samples on each side that means that the ranges do not overlap;
with five, up to four of the 25 pairs of old and new may be the other way round, so that one stray repetition hides
nothing. It supposes no distribution, but that an hour does to the ratios of a run what it does to those of another.
With so few samples that even separate ranges prove nothing (fewer than three), times are not judged, and what holds
still is judged by its size alone. Many figures are tested at once, so that some move by chance: that is why a
regression has to be greater than a share too.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .chance import chance, smallest
from .report import console, quantity, spread
from .results import METRICS, Figure, Results, ResultsError, Spread

SHARE: Final = 0.10
OURS: Final = "asgi_ws"
# These are the same for every run of the same code, but for little.
STEADY: Final = frozenset({"instructions", "memory", "memory_peak", "received", "delivered"})
# The chance to be told of a move to the worse where there was none; that of one to the better is another.
CHANCE: Final = 0.05
# A smaller move interests nobody, however certain it is.
WORTH_TELLING: Final = 0.01
# How often, and when, it is done changes how sure a figure is, not what it is.
_HOW_OFTEN: Final = frozenset({"repetitions", "processes", "taken"})
_PYTHONS: Final = frozenset({"CPython", "PyPy", "GraalVM"})


class Verdict(Enum):
    """The verdicts on a figure, the gravest first."""

    REGRESSION = "REGRESSION"
    WORSE = "worse"
    BETTER = "better"
    NOISE = "within the noise"
    TOO_FEW = "too few samples"


@dataclass(frozen=True)
class Change:
    """A figure that is in both runs.

    Attributes:
        figure: the new one.
        base: the contestant that both are divided by, or None where they are compared as they are.
        old: what is compared of the old run.
        new: the same of the new one.
        verdict: whether it moved.
    """

    figure: Figure
    base: str | None
    old: Spread
    new: Spread
    verdict: Verdict

    @property
    def moved(self) -> float:
        """How much, as a share of the old median; positive is more, not worse."""
        return _moved(self.old.middle, self.new.middle)


@dataclass
class Comparison:
    """Two runs beside each other.

    Attributes:
        share: a regression is greater.
        changes: of all that could be compared, the gravest first.
        appeared: what only the new run has.
        gone: what only the old run has.
        lost: our contestants that were measured in the old run and failed in the new one, each with the reason.
        warnings: what else differs, and what was not compared for it.
    """

    share: float
    changes: list[Change] = field(default_factory=list)
    appeared: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def regressed(self) -> bool:
        """Whether a gate is missed."""
        return bool(self.lost) or any(change.verdict is Verdict.REGRESSION for change in self.changes)


def _moved(old: float, new: float) -> float:
    if old == new:
        return 0.0
    return (new - old) / abs(old) if old else math.inf


def compare(old: Results, new: Results, share: float = SHARE, contestants: Sequence[str] = (OURS,)) -> Comparison:
    """Set two runs beside each other.

    Args:
        old: the run to start from.
        new: the run that is judged.
        share: what a gated figure may get worse by, such as 0.1.
        contestants: those that are judged, by the beginning of their names.
    """
    comparison = Comparison(share, warnings=list(_differences(old, new)))
    comparable = set(old.settings) & set(new.settings)
    for scenario in sorted(comparable):
        if reason := _settings(scenario, old, new):
            comparison.warnings.append(reason)
            comparable.remove(scenario)
    judge = _Judge(old, new, share, tuple(contestants))
    before = {figure.key: figure for figure in old.figures}
    after = {figure.key: figure for figure in new.figures}
    for key, figure in after.items():
        if figure.scenario not in comparable or figure.metric == "generator":
            continue
        if key not in before:
            comparison.appeared.append(_name(figure))
        elif change := judge.change(before[key], figure):
            comparison.changes.append(change)
        elif figure.contestant not in new.bases.get(figure.scenario, []):
            unjudged = f"{_name(figure)}: no base to compare it with"
            (comparison.lost if judge.gates(figure) else comparison.warnings).append(unjudged)
    missing = [figure for key, figure in before.items() if key not in after and figure.scenario in comparable]
    comparison.gone = [_name(figure) for figure in missing if figure.metric != "generator"]
    comparison.lost += judge.lost(missing)
    for each in sorted(set(old.settings) ^ set(new.settings)):
        comparison.warnings.append(f"{each}: only in the {'old' if each in old.settings else 'new'} run")
    order = list(Verdict)
    comparison.changes.sort(key=lambda change: (order.index(change.verdict), -abs(change.moved)))
    return comparison


@dataclass(frozen=True)
class _Judge:
    old: Results
    new: Results
    share: float
    contestants: tuple[str, ...]

    def ours(self, figure: Figure) -> bool:
        return figure.contestant.startswith(self.contestants)

    def gates(self, figure: Figure) -> bool:
        """Return True if a regression of this figure fails the run."""
        return METRICS[figure.metric].gated and self.ours(figure)

    def lost(self, missing: Sequence[Figure]) -> Iterator[str]:
        """Yield the figures of this package that could not be measured again."""
        measured = {(figure.scenario, figure.case, figure.contestant) for figure in self.new.figures}
        for figure in missing:
            if self.gates(figure) and (figure.scenario, figure.case, figure.contestant) in measured:
                yield _name(figure)
        reasons = {(each.scenario, each.contestant): each.reason for each in self.new.left_out}
        places = dict.fromkeys((figure.scenario, figure.contestant) for figure in missing if self.ours(figure))
        for scenario, contestant in places:
            if (scenario, contestant) in reasons:
                yield f"{scenario}: {contestant}: {reasons[scenario, contestant]}"

    def change(self, old: Figure, new: Figure) -> Change | None:
        """Return the change of a figure, or None for that of a base, by which the others are measured."""
        if new.metric in STEADY and _same_machine(self.old, self.new):
            return self._judged(new, None, old.samples, new.samples)
        for base in self.new.bases.get(new.scenario, []):
            if new.contestant == base:
                return None
            ratios = _ratios(self.old, old, base), _ratios(self.new, new, base)
            if ratios[0] and ratios[1]:
                return self._judged(new, base, ratios[0], ratios[1])
        return None

    def _judged(self, figure: Figure, base: str | None, old: Sequence[float], new: Sequence[float]) -> Change:
        spreads = Spread.of(old), Spread.of(new)
        return Change(figure, base, *spreads, self._verdict(figure, old, new))

    def _verdict(self, figure: Figure, old: Sequence[float], new: Sequence[float]) -> Verdict:
        metric = METRICS[figure.metric]
        moved = _moved(Spread.of(old).middle, Spread.of(new).middle)
        grew = moved > 0
        provable = smallest(len(old), len(new)) <= CHANCE
        if abs(moved) < min(WORTH_TELLING, self.share):
            return Verdict.NOISE
        if not provable and figure.metric not in STEADY:
            return Verdict.TOO_FEW
        apart = chance(old, new) if grew else chance(new, old)
        if (provable and apart > CHANCE) or (not provable and _overlap(old, new)):
            return Verdict.NOISE
        if grew is (metric.better == "more"):
            return Verdict.BETTER
        gated = self.gates(figure) and abs(moved) > self.share
        return Verdict.REGRESSION if gated else Verdict.WORSE


def _overlap(old: Sequence[float], new: Sequence[float]) -> bool:
    return max(old) >= min(new) and max(new) >= min(old)


def _ratios(results: Results, figure: Figure, base: str) -> tuple[float, ...] | None:
    """Return the ratios of the repetitions."""
    other = results.figure(figure.scenario, figure.case, base, figure.metric)
    if other is None or results.ratio(figure, base) is None:
        return None
    return tuple(ours / theirs for ours, theirs in zip(figure.samples, other.samples, strict=True))


def _name(figure: Figure) -> str:
    return f"{figure.scenario}: {figure.case}: {figure.contestant}: {METRICS[figure.metric].title}"


def _python(results: Results) -> dict[str, str]:
    return {name: number for name, number in results.versions.items() if name in _PYTHONS}


def _same_machine(old: Results, new: Results) -> bool:
    return old.machine == new.machine and _python(old) == _python(new)


def _differences(old: Results, new: Results) -> Iterator[str]:
    """Yield the differences of the conditions, one line for each kind."""
    if texts := _unequal(old.machine, new.machine):
        yield f"the machine differs: {texts}; all is compared as ratios to the base"
    if texts := _unequal(_python(old), _python(new)):
        yield f"Python differs: {texts}; all is compared as ratios to the base"
    bases = {base.casefold() for results in (old, new) for names in results.bases.values() for base in names}
    versions = [
        {
            name: number
            for name, number in results.versions.items()
            if name not in _PYTHONS and name != "asgi-websockets"
        }
        for results in (old, new)
    ]
    of_bases = {name for each in versions for name in each if any(name.casefold() in base for base in bases)}
    first, second = ({name: each[name] for name in each if name in of_bases} for each in versions)
    if texts := _unequal(first, second):
        yield f"a base differs: {texts}; a ratio to it may have moved because the base did"
    first, second = ({name: each[name] for name in each if name not in of_bases} for each in versions)
    if texts := _unequal(first, second):
        yield f"versions differ: {texts}"


def _unequal(old: dict[str, str], new: dict[str, str]) -> str:
    names = dict.fromkeys((*old, *new))
    return ", ".join(
        f"{name} {old.get(name, 'none')} → {new.get(name, 'none')}" for name in names if old.get(name) != new.get(name)
    )


def _settings(scenario: str, old: Results, new: Results) -> str | None:
    """Return why the scenario of the two runs is not comparable."""
    first, second = (
        {name: str(value) for name, value in results.settings[scenario].items() if name not in _HOW_OFTEN}
        for results in (old, new)
    )
    if texts := _unequal(first, second):
        return f"{scenario}: not compared, the settings differ: {texts}"
    if old.bases.get(scenario, [])[:1] != new.bases.get(scenario, [])[:1]:
        return f"{scenario}: not compared, the bases differ"
    return None


def print_comparison(comparison: Comparison, to: Console = console) -> None:
    """Print what moved, what is new or gone, and the warnings."""
    for line in comparison.warnings:
        to.print(Text(f"warning: {line}", style="yellow"))
    moved = [change for change in comparison.changes if change.verdict not in {Verdict.NOISE, Verdict.TOO_FEW}]
    if moved:
        to.print(_table(moved))
    for title, names in (("only in the new run", comparison.appeared), ("only in the old run", comparison.gone)):
        for name in names:
            to.print(Text(f"{title}: {name}"))
    for line in comparison.lost:
        to.print(Text(f"REGRESSION: no longer measured: {line}", style="red"))
    for line in _summary(comparison):
        to.print(Text(line))


def _table(moved: Sequence[Change]) -> Table:
    table = Table(title="moved beyond the noise", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("", "contestant", "figure"):
        table.add_column(column)
    for column in ("old", "new", "moved"):
        table.add_column(column, justify="right")
    styles = {Verdict.REGRESSION: "bold red", Verdict.WORSE: "red", Verdict.BETTER: "green"}
    for change in moved:
        title = METRICS[change.figure.metric].title
        of = f"{title} / {change.base}" if change.base else f"{title}, {METRICS[change.figure.metric].unit}"
        table.add_row(
            Text(change.verdict.value, style=styles[change.verdict]),
            Text(change.figure.contestant),
            Text(f"{of.removesuffix(', 1')}\n{change.figure.scenario}: {change.figure.case}"),
            _shown(change, change.old),
            _shown(change, change.new),
            f"{change.moved:+.1%}",
        )
    return table


def _shown(change: Change, value: Spread) -> str:
    """Return the median, and the noise in a second line."""
    if change.base:
        return spread(value).replace(" (", "\n(")
    middle, low, high = (quantity(change.figure.metric, each) for each in value)
    return middle if low == high else f"{middle}\n({low}-{high})"


def _summary(comparison: Comparison) -> Iterator[str]:
    count = {verdict: sum(change.verdict is verdict for change in comparison.changes) for verdict in Verdict}
    yield (
        f"{len(comparison.changes)} figures compared: {count[Verdict.NOISE]} within the noise, "
        f"{count[Verdict.BETTER]} better, {count[Verdict.WORSE]} worse but not gated or by no more than "
        f"{comparison.share:.0%}, regressions: {count[Verdict.REGRESSION]}"
    )
    if few := count[Verdict.TOO_FEW]:
        yield f"{few} figures moved but have too few samples to tell that from noise: run three repetitions or more"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `compare`."""
    parser.add_argument("old", type=Path, metavar="OLD", help="what --json wrote")
    parser.add_argument("new", type=Path, metavar="NEW", help="the same of the run to judge")
    parser.add_argument(
        "--share", type=_share, default=SHARE, metavar="SHARE", help="what a figure may get worse by [0.10]"
    )
    parser.add_argument(
        "--contestant",
        action="append",
        metavar="NAME",
        help=f"judge the contestants whose names begin so, may be repeated [{OURS}]",
    )


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no share, such as 0.1")
    return share


def main(arguments: argparse.Namespace) -> int:
    """Compare two files: 0 where nothing of ours regressed, 1 where something did, 2 where there is nothing to say."""
    try:
        old, new = Results.load(arguments.old), Results.load(arguments.new)
    except ResultsError as error:
        print(error, file=sys.stderr)
        return 2
    comparison = compare(old, new, arguments.share, arguments.contestant or (OURS,))
    print_comparison(comparison)
    if not comparison.changes and not comparison.lost:
        print(f"{arguments.old} and {arguments.new} have nothing that can be compared", file=sys.stderr)
        return 2
    gated = [change for change in comparison.changes if METRICS[change.figure.metric].gated]
    if not comparison.lost and gated and all(change.verdict is Verdict.TOO_FEW for change in gated):
        print("nothing could be judged: run three repetitions or more", file=sys.stderr)
        return 2
    return int(comparison.regressed)
