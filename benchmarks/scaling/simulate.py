"""Scale in simulation: publishes go through a broker to event loops, each of which writes to its members one by one.

Every queue is first come, first served and handles one thing at a time, so the time at which each is done follows from
the one before it (Lindley's recursion), and no calendar of events is needed.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Arrivals = Literal["poisson", "bursty", "regular"]
Values: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """The plan of a simulation. Times are in seconds.

    Attributes:
        processes: event loops, all members spread over them at random.
        rooms: how many, each published to as often as the others.
        members: of a room.
        rate: publishes a second, to all rooms together.
        delivery: CPU for one member.
        fixed: CPU of a process for one event, whatever the members.
        broker_publish: time of the broker for one event.
        broker_delivery: time of the broker for each process that it gives an event to.
        arrivals: "poisson", "bursty" (so many at once, the bursts Poisson) or "regular" (as a load generator does it).
        burst: publishes in a burst, when they are bursty.
        publishes: how many are simulated.
        kept: of a fan-out to more members than this, so many latencies are kept, each for its share of the members.
        seed: of everything that is random.
    """

    processes: int
    rooms: int
    members: int
    rate: float
    delivery: float
    fixed: float = 0.0
    broker_publish: float = 0.0
    broker_delivery: float = 0.0
    arrivals: Arrivals = "poisson"
    burst: int = 10
    publishes: int = 20_000
    kept: int = 16
    seed: int = 1

    def __post_init__(self) -> None:
        counts = (self.processes, self.rooms, self.members, self.burst, self.publishes, self.kept)
        times = (self.delivery, self.fixed, self.broker_publish, self.broker_delivery)
        if min(counts) < 1 or self.rate <= 0 or min(times) < 0 or self.delivery + self.fixed <= 0:
            raise ValueError(f"nothing can be simulated with {self}")


@dataclass
class Latencies:
    """Latencies of deliveries, each standing for a number of them: of one fan-out at most `most`.

    Attributes:
        fan_outs: where each starts, what one delivery takes, and how many there are.
    """

    most: int = 16
    fan_outs: list[tuple[float, float, int]] = field(default_factory=list)

    def add(self, start: float, step: float, count: int) -> None:
        """Add `count` deliveries, the first at `start + step`, the next each a `step` later."""
        self.fan_outs.append((start, step, count))

    def weighed(self) -> tuple[Values, Values]:
        """Return the latencies in seconds, and the number of deliveries of each."""
        start, step, count = np.array(self.fan_outs, dtype=np.float64).T[:, :, np.newaxis]
        weight = count / np.minimum(count, self.most)
        index = np.arange(self.most)
        kept = index < count
        # Each stands for those around it, so it is the middle of them.
        values = start + step * ((index + 0.5) * weight + 0.5)
        return values[kept], np.broadcast_to(weight, kept.shape)[kept]

    @property
    def mean(self) -> float:
        """Of all deliveries, in seconds."""
        values, weights = self.weighed()
        return float(np.average(values, weights=weights))

    def percentiles(self, *shares: float) -> list[float]:
        """Return the latencies in seconds within which these shares of the deliveries stay."""
        values, weights = self.weighed()
        order = np.argsort(values)
        sums = np.cumsum(weights[order])
        found = np.searchsorted(sums, np.array(shares) * sums[-1]).clip(max=len(order) - 1)
        return [float(value) for value in values[order][found]]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a plan.

    Attributes:
        latencies: from the publish's arrival to the end of the write to a member.
        utilisation: share of the time that the loops were busy, on average.
        busiest: the same of the one that was busiest.
        broker: the same of the broker.
        deliveries: how many were made.
        events: how many the broker gave to processes.
    """

    latencies: Latencies
    utilisation: float
    busiest: float
    broker: float
    deliveries: int
    events: int


def simulate(plan: Plan) -> Outcome:
    """Play it through."""
    chance = random.Random(plan.seed)  # noqa: S311 - the same numbers each time are what is wanted
    rooms = [_placed(chance, plan) for _ in range(plan.rooms)]
    free = [0.0] * plan.processes
    busy = [0.0] * plan.processes
    broker_free = broker_busy = now = 0.0
    latencies = Latencies(plan.kept)
    deliveries = events = 0
    for now in _arrivals(chance, plan):
        members_of = chance.choice(rooms)
        work = plan.broker_publish + plan.broker_delivery * len(members_of)
        broker_busy += work
        broker_free = max(now, broker_free) + work
        for process, members in members_of:
            start = max(broker_free, free[process]) + plan.fixed
            latencies.add(start - now, plan.delivery, members)
            free[process] = start + members * plan.delivery
            busy[process] += plan.fixed + members * plan.delivery
            deliveries += members
        events += len(members_of)
    end = max(now, broker_free, *free)
    return Outcome(
        latencies, math.fsum(busy) / plan.processes / end, max(busy) / end, broker_busy / end, deliveries, events
    )


def offered(plan: Plan, reached: float) -> float:
    """Return the utilisation of the loops that the analytic model expects."""
    return plan.rate * (reached * plan.fixed + plan.members * plan.delivery) / plan.processes


def rate_for(load: float, plan: Plan, reached: float) -> float:
    """Return the publishes a second at which the loops are busy for this share of the time."""
    return load * plan.processes / (reached * plan.fixed + plan.members * plan.delivery)


def _placed(chance: random.Random, plan: Plan) -> Sequence[tuple[int, int]]:
    """Return a room: the processes that have members, and the number of members in each."""
    if plan.processes == 1:
        return [(0, plan.members)]
    return sorted(Counter(chance.choices(range(plan.processes), k=plan.members)).items())


def _arrivals(chance: random.Random, plan: Plan) -> Iterator[float]:
    now = 0.0
    if plan.arrivals == "regular":
        yield from (index / plan.rate for index in range(plan.publishes))
        return
    together = plan.burst if plan.arrivals == "bursty" else 1
    for index in range(plan.publishes):
        if index % together == 0:
            now += chance.expovariate(plan.rate / together)
        yield now
