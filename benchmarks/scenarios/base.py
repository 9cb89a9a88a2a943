"""The parts of a scenario."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..contestants import CONTESTANTS, Contestant

# The answer of the load generator, whose fields are those of benchmarks.load.
Outcome = Mapping[str, Any]

MICROSECONDS: Final = 1e6
KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True)
class Effort:
    """How much is done.

    Attributes:
        quick: a smaller choice of cases and contestants.
        repetitions: of everything, each with fresh servers.
        seconds: of one measured section as fast as the server answers.
        paced_seconds: of one at a fixed rate.
        warm_up: seconds before it.
        members: of a room.
        connections: that are idle.
    """

    quick: bool
    repetitions: int
    seconds: float
    paced_seconds: float
    warm_up: float
    members: int
    connections: int


QUICK: Final = Effort(
    quick=True, repetitions=3, seconds=0.8, paced_seconds=2.0, warm_up=0.3, members=1000, connections=2000
)
FULL: Final = Effort(
    quick=False, repetitions=3, seconds=1.0, paced_seconds=5.0, warm_up=0.4, members=1000, connections=10_000
)


class UselessError(Exception):
    """An outcome from which a figure cannot be had. The text says why."""


# All contestants but those that are there for one scenario.
EVERYBODY: Final = tuple(each.name for each in CONTESTANTS if not each.only_rooms and not each.only_echoes)


@dataclass(frozen=True)
class Case:
    """One thing that every contestant does.

    Attributes:
        name: in tables.
        workload: of the load generator.
        job: the fields of that workload.
        figures: reads the samples of the metrics off what the generator answered.
        path: of the WebSocket; "room" is the contestant's.
        stall_path: whether the path of the room that fills a connection goes with it.
        deflate: permessage-deflate is negotiated; who cannot is left out.
        ping: seconds between keep-alive pings.
        slowed_from: the case whose p99 this one's is divided by.
    """

    name: str
    workload: str
    job: Mapping[str, Any]
    figures: Callable[[Outcome], Mapping[str, float]]
    path: str
    stall_path: bool = False
    deflate: bool = False
    ping: float = 20.0
    slowed_from: str | None = None

    def asked_of(self, contestant: Contestant, port: int) -> dict[str, Any]:
        """Return the job for the load generator, without the server's process."""
        origin = f"ws://127.0.0.1:{port}"
        path = contestant.room if self.path == "room" else self.path
        job = {"workload": self.workload, "url": origin + path, **self.job}
        return job | {"stall_url": origin + contestant.stall} if self.stall_path else job


@dataclass(frozen=True)
class Scenario:
    """Some cases, and who takes part.

    Attributes:
        name: on the command line.
        summary: a sentence.
        cases: for an effort.
        bases: the contestants that the others are divided by, the main one first.
        quick: the contestants of the quick set.
        full: those of the full set, as far as they are installed.
        fresh: a server is started for each case, not only for each repetition.
    """

    name: str
    summary: str
    cases: Callable[[Effort], Sequence[Case]]
    bases: tuple[str, ...]
    quick: tuple[str, ...]
    full: tuple[str, ...]
    fresh: bool = False


def cpu(outcome: Outcome) -> dict[str, float]:
    """Server CPU for each message, in all and by kind, and how busy the generator was.

    Raises:
        UselessError: when nothing was answered.
    """
    if not outcome["messages"]:
        raise UselessError("nothing was answered within the measured section")
    each = MICROSECONDS / outcome["messages"]
    return {
        "cpu": (outcome["user"] + outcome["system"]) * each,
        "cpu_user": outcome["user"] * each,
        "cpu_system": outcome["system"] * each,
        "generator": outcome["generator"] * 100,
    }


def rate(outcome: Outcome) -> dict[str, float]:
    """Return the messages a second."""
    return {"rate": outcome["messages"] / outcome["seconds"]}


def paced(outcome: Outcome, percentiles: Sequence[str] = ("p50", "p99", "p99.9", "max")) -> dict[str, float]:
    """Return the figures at a fixed rate: latencies, CPU of the server, and the delay of the generator.

    Raises:
        UselessError: when nothing was answered.
    """
    if not outcome["latency"]["count"] or not outcome["messages"]:
        raise UselessError("nothing was answered within the measured section")
    return {
        **{name: outcome["latency"][name] for name in percentiles},
        "cpu_paced": cpu(outcome)["cpu"],
        "generator": outcome["generator"] * 100,
        "late": outcome["late"]["p99"],
    }
