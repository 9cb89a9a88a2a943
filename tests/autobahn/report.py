"""Reports of the suite: read, counted, and compared with the stored results."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.pages import markdown_table

from .interpreter import SUITE_VERSION

EXPECTED: Final = Path(__file__).with_name("expected.json")

# The suite's verdicts on a case, from good to bad. "INFORMATIONAL": a standard does not decide the case.
BEHAVIORS: Final = ("OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "FAILED")
# Its verdicts on the end of the connection.
CLOSE_BEHAVIORS: Final = ("OK", "INFORMATIONAL", "FAILED BY CLIENT", "WRONG CODE", "UNCLEAN", "FAILED")

# Lines of a comparison, since a server that does not answer differs in every case.
_MAX_LINES: Final = 40

# The names of the suite.
_GROUPS: Final = {
    1: "Framing",
    2: "Pings and pongs",
    3: "Reserved bits",
    4: "Opcodes",
    5: "Fragmentation",
    6: "UTF-8 handling",
    7: "Close handling",
    9: "Limits and performance",
    10: "Miscellaneous",
    12: "Compression, different payloads",
    13: "Compression, different parameters",
}


class ReportError(Exception):
    """A report or the stored results cannot be read. The text names the file and the reason."""


class Outcome(NamedTuple):
    """The end of a case."""

    behavior: str = "OK"
    behavior_close: str = "OK"

    def __str__(self) -> str:
        return f"{self.behavior}, closed: {self.behavior_close}" if self.is_closed_otherwise else self.behavior

    @property
    def is_closed_otherwise(self) -> bool:
        """Return True if the connection was not closed as the case expects."""
        return self.behavior_close not in ("OK", "INFORMATIONAL")

    def is_worse_than(self, other: "Outcome") -> bool:
        """Return True if either verdict is worse."""
        if BEHAVIORS.index(self.behavior) > BEHAVIORS.index(other.behavior):
            return True
        return CLOSE_BEHAVIORS.index(self.behavior_close) > CLOSE_BEHAVIORS.index(other.behavior_close)


class Deviation(NamedTuple):
    """A case that is known to end otherwise than "OK", and why."""

    outcome: Outcome
    why: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences from the stored results: each case with its outcome and the stored one."""

    worse: Mapping[str, tuple[Outcome, Outcome]]
    better: Mapping[str, tuple[Outcome, Outcome]]
    missing: Sequence[str]

    @property
    def failed(self) -> bool:
        return bool(self.worse or self.missing)


def read_report(index: Path) -> dict[str, Outcome]:
    """Return the outcomes of one run, from the suite's index.json.

    Raises:
        ReportError: the file is missing, or is not a report on one server.
    """
    agents = _read(index)
    if not isinstance(agents, dict) or len(agents) != 1:
        raise ReportError(f"{index} is not a report on one server")
    (cases,) = agents.values()
    return {case: _outcome(entry, f"{index}, {case}") for case, entry in cases.items()}


def read_expected(path: Path) -> dict[str, Deviation]:
    """Return the stored results that are not "OK", by case.

    Raises:
        ReportError: the results are of another version of the suite, or one has no reason.
    """
    stored = _read(path)
    if not isinstance(stored, dict) or not isinstance(stored.get("deviations"), dict):
        raise ReportError(f"{path} holds no deviations")
    if stored.get("suite") != SUITE_VERSION:
        raise ReportError(f"{path} is of the suite {stored.get('suite')}, and this is {SUITE_VERSION}")
    deviations: dict[str, Deviation] = {}
    for case, entry in stored["deviations"].items():
        where = f"{path}, {case}"
        why = entry.get("why", "").strip()
        if not why:
            raise ReportError(f"{where}: the reason (`why`) is missing")
        deviations[case] = Deviation(_outcome(entry, where), why)
    return deviations


def compare(cases: Iterable[str], outcomes: Mapping[str, Outcome], expected: Mapping[str, Deviation]) -> Comparison:
    """Compare outcomes with the stored results.

    Args:
        cases: the cases that were to be run.
        outcomes: their outcomes.
        expected: the stored results; any other case has to be "OK".
    """
    worse: dict[str, tuple[Outcome, Outcome]] = {}
    better: dict[str, tuple[Outcome, Outcome]] = {}
    missing: list[str] = []
    for case in cases:
        stored = expected[case].outcome if case in expected else Outcome()
        if case not in outcomes:
            missing.append(case)
        elif outcomes[case].is_worse_than(stored):
            worse[case] = (outcomes[case], stored)
        elif outcomes[case] != stored:
            better[case] = (outcomes[case], stored)
    return Comparison(worse, better, missing)


def described(comparison: Comparison) -> str:
    """Return a comparison as text, with one line for each case that differs from the stored result."""
    lines = [f"MISSING {case}" for case in comparison.missing]
    for word, cases in (("WORSE", comparison.worse), ("better", comparison.better)):
        lines += [f"{word} {case}: {outcome}; stored is {stored}" for case, (outcome, stored) in cases.items()]
    if len(lines) > _MAX_LINES:
        lines[_MAX_LINES:] = [f"... and {len(lines) - _MAX_LINES} more"]
    return "\n".join(lines) or "Every case ended as stored."


def counts_table(outcomes: Mapping[str, Outcome]) -> str:
    """Return the number of cases by group and outcome, as a table in Markdown."""
    columns = [behavior for behavior in BEHAVIORS if behavior != "UNIMPLEMENTED" or _counted(outcomes)[behavior]]
    groups: dict[int, dict[str, Outcome]] = {}
    for case, outcome in outcomes.items():
        groups.setdefault(_group(case), {})[case] = outcome
    rows = [(f"{group}. {_GROUPS[group]}", *_cells(groups[group], columns)) for group in sorted(groups)]
    header = ("group", "cases", *columns, "closed otherwise")
    return markdown_table(header, [*rows, ("all", *_cells(outcomes, columns))])


def summary(ws: str, outcomes: Mapping[str, Outcome]) -> str:
    """Return the summary of a run for the page on the suite."""
    what = f"autobahntestsuite {SUITE_VERSION} against `{ws}` on uvicorn {version('uvicorn')}"
    return f"{what}:\n\n{counts_table(outcomes)}"


def deviations_table(expected: Mapping[str, Deviation]) -> str:
    """Return the stored results that are not "OK", each with its reason, as a table in Markdown."""
    if not expected:
        return "None: every case ends with OK."
    ordered = sorted(expected, key=lambda case: [int(part) for part in case.split(".")])
    return "\n".join(
        [
            "| case | ends with | why |",
            "|---|---|---|",
            *(f"| {case} | {expected[case].outcome} | {expected[case].why} |" for case in ordered),
        ]
    )


def _counted(outcomes: Mapping[str, Outcome]) -> Counter[str]:
    return Counter(outcome.behavior for outcome in outcomes.values())


def _cells(outcomes: Mapping[str, Outcome], columns: Sequence[str]) -> list[str]:
    counts = _counted(outcomes)
    otherwise = sum(outcome.is_closed_otherwise for outcome in outcomes.values())
    return [str(count) for count in (len(outcomes), *(counts[behavior] for behavior in columns), otherwise)]


def _group(case: str) -> int:
    return int(case.partition(".")[0])


def _outcome(entry: Mapping[str, Any], where: str) -> Outcome:
    outcome = Outcome(entry.get("behavior", ""), entry.get("behaviorClose", ""))
    if outcome.behavior not in BEHAVIORS or outcome.behavior_close not in CLOSE_BEHAVIORS:
        raise ReportError(f"{where}: no known outcome: {outcome.behavior!r}, {outcome.behavior_close!r}")
    return outcome


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read: {error}") from error
