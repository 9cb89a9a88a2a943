"""Which measured figures the model starts from, and how they are found in a Results JSON.

`LOOKUPS` is the one place that knows how scenarios and cases are named.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from ..results import Figure, Results

CONTESTANT: Final = "asgi_ws"


class ScalingError(Exception):
    """A case that cannot be computed. The text is one line that says why."""


@dataclass(frozen=True)
class Lookup:
    """Where a figure stands in the results.

    Attributes:
        title: what it is called in tables and errors.
        scenario: of the figures.
        metric: of the figures.
        having: the case must match this.
        without: the case must not match this.
        sizes: how many message sizes are needed; 0 where the size of a message is not part of the case.
    """

    title: str
    scenario: str
    metric: str
    having: str = ""
    without: str = r"(?!)"
    sizes: int = 0


_NO_DEFLATE: Final = r"(?:no|without) deflate|deflate (?:off|not)"

LOOKUPS: Final[Mapping[str, Lookup]] = {
    "echo": Lookup("CPU of a message echoed", "echo", "cpu", r"\b1 in flight", r"deflate|random", sizes=2),
    "echo_idle": Lookup("the same of a server that mostly waits (not used)", "echo", "cpu_paced", r"\d a second"),
    "delivery": Lookup("CPU of a delivery", "fanout", "cpu", without=r"deflate|stall|\d a second", sizes=1),
    "burst": Lookup("CPU of a delivery in a burst", "burst", "cpu", without=r"deflate|stall", sizes=1),
    "handshake": Lookup("CPU of a handshake", "handshake", "cpu"),
    "ping": Lookup("CPU of a ping and its pong", "idle", "cpu"),
    "memory": Lookup("memory of an idle connection", "memory", "memory", without=rf"^(?!.*(?:{_NO_DEFLATE})).*deflate"),
    "memory_deflate": Lookup(
        "memory of an idle connection, deflate", "memory", "memory", having=r"deflate", without=_NO_DEFLATE
    ),
}
OPTIONAL: Final = {"burst", "echo_idle", "memory_deflate", "ping"}
# An open-loop run of a room: its size and its rate are read from the case.
OPEN_LOOP: Final = Lookup("latency of an open-loop fan-out", "fanout", "p99", r"\d a second", r"deflate|stall", sizes=1)

_SIZE: Final = re.compile(r"(?<![\d.,])(\d[\d,.]*) (B|KiB|MiB)\b")
_UNITS: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}
_MEMBERS: Final = re.compile(r"(\d[\d,]*) members")
_RATE: Final = re.compile(r"(\d[\d,.]*) a second")


class Source(NamedTuple):
    """One figure that was taken from the results."""

    title: str
    contestant: str
    case: str
    value: float
    unit: str


@dataclass(frozen=True)
class Line:
    """A cost that grows with the bytes of a message.

    Attributes:
        fixed: µs for a message of no bytes.
        per_byte: µs.
    """

    fixed: float
    per_byte: float = 0.0

    def at(self, size: float) -> float:
        """Return the microseconds for a message of this many bytes."""
        return self.fixed + self.per_byte * size

    @classmethod
    def through(cls, points: Mapping[int, float]) -> Self:
        """Through the smallest and the largest size. Where noise makes it fall, it is flat at the dearer of the two."""
        small, large = min(points), max(points)
        slope = (points[large] - points[small]) / (large - small) if large > small else 0.0
        if slope < 0:
            return cls(max(points[large], points[small]))
        # A line that starts below zero would give small messages for nothing.
        fixed = max(0.0, points[small] - slope * small)
        return cls(fixed, slope)


@dataclass(frozen=True)
class Costs:
    """The measured figures. Times are server CPU in µs, memory is in KiB.

    Attributes:
        echo: a message received, handled and answered with as many bytes.
        delivery: one message written to one member of a room.
        burst: the same in a burst of messages; None where that was not measured.
        handshake: a connection opened, used once and closed.
        ping: a keep-alive ping and its pong; where that was not measured, what an echo of no bytes costs.
        memory: an idle connection without permessage-deflate.
        memory_deflate: the same with it; None where that was not measured.
        sources: where each came from, for the reader.
    """

    echo: Line
    delivery: Line
    burst: Line | None
    handshake: float
    ping: float
    memory: float
    memory_deflate: float | None
    sources: tuple[Source, ...] = ()


class OpenLoop(NamedTuple):
    """A measured run of one room at a fixed rate of publishes. Latencies are in ms."""

    case: str
    members: int
    size: int
    rate: float
    p50: float
    p99: float


def costs_of(results: Results, contestant: str = CONTESTANT, takes: Mapping[str, str] | None = None) -> Costs:
    """Read the figures of a contestant.

    Args:
        results: a run.
        contestant: whose figures are taken.
        takes: for a key of LOOKUPS another contestant, where the first one has no such figure.

    Raises:
        ScalingError: names every figure that the run does not have.
    """
    sources: list[Source] = []
    missing: list[str] = []
    found: dict[str, dict[int, float]] = {}
    for name, lookup in LOOKUPS.items():
        who = (takes or {}).get(name, contestant)
        chosen = _dearest(results, lookup, who)
        if len(chosen) < max(1, lookup.sizes):
            if name not in OPTIONAL:
                missing.append(_what_is_missing(results, lookup, who))
            continue
        found[name] = {size: figure.median for size, figure in chosen.items()}
        unit = "KiB" if lookup.metric == "memory" else "µs"
        sources += [Source(lookup.title, who, figure.case, figure.median, unit) for figure in chosen.values()]
    if missing:
        raise ScalingError("the results lack " + "; ".join(missing))
    if nothing := [source for source in sources if source.value <= 0]:
        raise ScalingError(f"{nothing[0].title} of {nothing[0].contestant} is {nothing[0].value:g}")
    echo = Line.through(found["echo"])
    return Costs(
        echo=echo,
        delivery=_delivery(found["delivery"], echo),
        burst=_delivery(found["burst"], echo) if "burst" in found else None,
        handshake=found["handshake"][0],
        ping=found["ping"][0] if "ping" in found else echo.fixed,
        memory=found["memory"][0],
        memory_deflate=found["memory_deflate"][0] if "memory_deflate" in found else None,
        sources=tuple(sources),
    )


def open_loops_of(results: Results, contestant: str = CONTESTANT) -> list[OpenLoop]:
    """Return the open-loop runs of a room, if the results have any with a size of the room."""
    runs = []
    for figure in _matching(results, OPEN_LOOP, contestant):
        members, rate, size = _MEMBERS.search(figure.case), _RATE.search(figure.case), _size(figure.case)
        p50 = results.figure(figure.scenario, figure.case, contestant, "p50")
        if members and rate and size and p50:
            runs.append(
                OpenLoop(figure.case, int(_number(members[1])), size, _number(rate[1]), p50.median, figure.median)
            )
    return runs


def _delivery(points: Mapping[int, float], echo: Line) -> Line:
    """Return the cost by size. From one size only, a byte costs half of a byte of an echo, which has it twice."""
    if len(points) > 1:
        return Line.through(points)
    ((size, cost),) = points.items()
    per_byte = min(echo.per_byte / 2, cost / size)
    return Line(cost - per_byte * size, per_byte)


def _matching(results: Results, lookup: Lookup, contestant: str) -> list[Figure]:
    return [
        figure
        for figure in results.figures
        if (figure.scenario, figure.metric, figure.contestant) == (lookup.scenario, lookup.metric, contestant)
        and re.search(lookup.having, figure.case)
        and not re.search(lookup.without, figure.case)
    ]


def _dearest(results: Results, lookup: Lookup, contestant: str) -> dict[int, Figure]:
    """Return the most expensive case of each size, so that a plan holds for the others."""
    chosen: dict[int, Figure] = {}
    for figure in _matching(results, lookup, contestant):
        size = _size(figure.case) if lookup.sizes else 0
        if size is not None and (size not in chosen or chosen[size].median < figure.median):
            chosen[size] = figure
    return chosen


def _what_is_missing(results: Results, lookup: Lookup, contestant: str) -> str:
    sizes = f" at {lookup.sizes} sizes" if lookup.sizes > 1 else ""
    text = f"{lookup.title} of {contestant} (scenario {lookup.scenario!r}, metric {lookup.metric!r}{sizes})"
    everyone = dict.fromkeys(figure.contestant for figure in results.figures)
    others = [each for each in everyone if len(_dearest(results, lookup, each)) >= max(1, lookup.sizes)]
    return f"{text}, which {', '.join(others)} {'has' if len(others) == 1 else 'have'}" if others else text


def _size(case: str) -> int | None:
    match = _SIZE.search(case)
    return round(_number(match[1]) * _UNITS[match[2]]) if match else None


def _number(text: str) -> float:
    return float(text.replace(",", ""))
