"""The results of a run as values: figures with all their samples, ratios within the run, and the JSON of both.

A sample is one repetition's. Repetitions are interleaved, so that the samples of one number were taken next to each
other and can be divided by each other: a ratio is taken for each repetition, and its median and range are shown.
"""

import dataclasses
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self

FORMAT: Final = 1


class ResultsError(Exception):
    """A file that holds no results, or results of which this cannot be said. The text says which and why."""


@dataclass(frozen=True)
class Metric:
    """A kind of figure.

    Attributes:
        title: what a table's column calls it.
        unit: of one sample.
        better: which way is better.
        gated: whether `compare` fails for it. A metric that depends on the moment more than on the code is not gated.
    """

    title: str
    unit: str
    better: Literal["less", "more"] = "less"
    gated: bool = False


METRICS: Final[Mapping[str, Metric]] = {
    "cpu": Metric("server CPU", "µs", gated=True),
    "cpu_whole": Metric("CPU in all", "ms", gated=True),
    "hold": Metric("longest hold of the loop", "ms"),
    "cpu_user": Metric("user", "µs"),
    "cpu_system": Metric("system", "µs"),
    "rate": Metric("a second", "1/s", better="more"),
    "p50": Metric("p50", "ms"),
    "p99": Metric("p99", "ms"),
    "p99.9": Metric("p99.9", "ms"),
    "max": Metric("max", "ms"),
    "memory": Metric("memory", "KiB", gated=True),
    "memory_peak": Metric("peak memory", "MiB"),
    "received": Metric("bytes from the server", "B", gated=True),
    "generator": Metric("generator busy", "%"),
    "late": Metric("sent late, p99", "ms"),
    "cpu_paced": Metric("CPU at that rate", "µs"),
    "instructions": Metric("instructions", "1", gated=True),
    "import": Metric("over an empty interpreter", "ms"),
    "slowdown": Metric("p99 / without", "x"),
    "delivered": Metric("delivered", "%", better="more", gated=True),
}


@dataclass(frozen=True)
class Figure:
    """One measured thing of one contestant.

    Attributes:
        scenario: such as "echo".
        case: what was done, such as "text, 32 B, 8 connections, 1 in flight".
        contestant: who did it, such as "starlette".
        metric: a key of METRICS.
        samples: one for each repetition, in their order.
    """

    scenario: str
    case: str
    contestant: str
    metric: str
    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The identity of the figure across runs."""
        return self.scenario, self.case, self.contestant, self.metric


class Spread(NamedTuple):
    """The middle and the ends of some samples."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Iterable[float]) -> Self:
        values = sorted(samples)
        return cls(statistics.median(values), values[0], values[-1])


class LeftOut(NamedTuple):
    """Something that was not measured, or whose figures do not count."""

    scenario: str
    contestant: str
    reason: str


@dataclass
class Results:
    """A run.

    Attributes:
        command: as it was typed.
        when: start of the run, ISO 8601, UTC.
        machine: processor, cores, memory, system, and how the run was pinned to cores.
        versions: of the interpreter, and of every package and program that took part.
        settings: of each scenario that ran; "taken" is when and how, which may differ after an update.
        bases: for each scenario the contestants that the others are divided by, the first named the main one.
        figures: all of them, in the order of the tables.
        left_out: what has no figures, with the reason.
    """

    command: str
    when: str
    machine: dict[str, str]
    versions: dict[str, str]
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    bases: dict[str, list[str]] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def figure(self, scenario: str, case: str, contestant: str, metric: str) -> Figure | None:
        """Return that figure, or None if it was not measured."""
        key = (scenario, case, contestant, metric)
        return next((figure for figure in self.figures if figure.key == key), None)

    def ratio(self, figure: Figure, base: str) -> Spread | None:
        """Return the quotient of the medians of `figure` and of the base's, or None where the base was not measured.

        The ends are those of the repetitions' own ratios.
        """
        other = self.figure(figure.scenario, figure.case, base, figure.metric)
        if other is None or len(other.samples) != len(figure.samples) or not all(other.samples):
            return None
        ratios = [ours / theirs for ours, theirs in zip(figure.samples, other.samples, strict=True)]
        return Spread(figure.median / other.median, min(ratios), max(ratios))

    def updated(self, newer: "Results") -> "Results":
        """Return this run, with its scenarios replaced by those of a newer one."""
        again = set(newer.settings)
        return dataclasses.replace(
            self,
            settings={**self.settings, **newer.settings},
            bases={**self.bases, **newer.bases},
            figures=[*(each for each in self.figures if each.scenario not in again), *newer.figures],
            left_out=[*(each for each in self.left_out if each.scenario not in again), *newer.left_out],
        )

    @property
    def taken(self) -> str:
        """The date, the version of this package, and the command."""
        version = self.versions.get("asgi-websockets", "unknown")
        return f"{self.when[:16].replace('T', ' ')} UTC, asgi-websockets {version}: {self.command}"

    def cases(self, scenario: str) -> Sequence[str]:
        """Return the cases of a scenario, in their order."""
        return list(dict.fromkeys(figure.case for figure in self.figures if figure.scenario == scenario))

    def save(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            ResultsError: where the file cannot be written.
        """
        document = {
            "format": FORMAT,
            **dataclasses.asdict(self),
            "left_out": [each._asdict() for each in self.left_out],
        }
        try:
            path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise ResultsError(f"{path} cannot be written: {error.strerror}") from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ResultsError: for a file that is not there, or is none of ours, with what is wrong in it.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ResultsError(f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise ResultsError(f"{path} is no JSON: {error}") from error
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ResultsError(f"{path} holds no results of this program, format {FORMAT}")
        try:
            return cls(
                command=document["command"],
                when=document["when"],
                machine=_texts(document["machine"]),
                versions=_texts(document["versions"]),
                settings={name: dict(values) for name, values in document["settings"].items()},
                bases={name: [str(base) for base in names] for name, names in document["bases"].items()},
                figures=[_figure(each) for each in document["figures"]],
                left_out=[LeftOut(**each) for each in document["left_out"]],
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ResultsError(f"{path} holds damaged results: {type(error).__name__}: {error}") from error


def _texts(document: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in document.items()}


def _figure(document: dict[str, Any]) -> Figure:
    samples = tuple(float(sample) for sample in document["samples"])
    if document["metric"] not in METRICS:
        raise ValueError(f"no metric is called {document['metric']!r}")
    if not samples or not all(math.isfinite(sample) for sample in samples):
        raise ValueError(f"the samples of {document['contestant']!r} in {document['case']!r} are {samples}")
    return Figure(document["scenario"], document["case"], document["contestant"], document["metric"], samples)
