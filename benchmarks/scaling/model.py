"""Scale on paper: what a workload costs on so many machines, what ends first, and how many are needed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from . import wire
from .figures import Costs, Line, ScalingError
from .inputs import Assumptions, Workload

MICRO: Final = 1e-6
MOST_MACHINES: Final = 1 << 30


def distinct(members: int, places: int) -> float:
    """Return the expected number of places with a member, spread at random: M(1-(1-1/M)^k)."""
    if places == 1:
        return 1.0
    # 1-(1-1/M)^k, exact where M is so large that 1-1/M is next to 1.
    return places * -math.expm1(members * math.log1p(-1 / places))


@dataclass(frozen=True)
class Usage:
    """The resources that connections take in a second, on average.

    Attributes:
        cpu: seconds of CPU by cause.
        memory: bytes, without what the processes take themselves.
        network: bytes and packets.
        descriptors: open files.
    """

    cpu: Mapping[str, float]
    memory: float
    network: wire.Traffic
    descriptors: float

    @property
    def cpu_total(self) -> float:
        return math.fsum(self.cpu.values())


@dataclass(frozen=True)
class Broker:
    """The work of a broker in a second.

    Attributes:
        publishes: events that come.
        deliveries: events that go out, one for each process with a member in the room.
        cpu: share of what it can compute.
        network: share of what its network card can carry out.
    """

    publishes: float = 0.0
    deliveries: float = 0.0
    cpu: float = 0.0
    network: float = 0.0

    @property
    def load(self) -> float:
        """The larger share; above 1 it cannot be done by one broker."""
        return max(self.cpu, self.network)


@dataclass(frozen=True)
class Model:
    """Measured costs, a workload and assumptions, and what follows from them.

    Attributes:
        costs: from a Results JSON.
        workload: what is asked.
        assumptions: what was not measured.
    """

    costs: Costs
    workload: Workload = field(default_factory=Workload)
    assumptions: Assumptions = field(default_factory=Assumptions)

    def __post_init__(self) -> None:
        if self.workload.deflate and self.costs.memory_deflate is None:
            raise ScalingError("the results lack memory of an idle connection, deflate")

    def for_(self, **changes: Any) -> "Model":
        """Return the model for another workload."""
        return replace(self, workload=replace(self.workload, **changes))

    @property
    def published(self) -> float:
        """Events in a second, of all connections: messages that are kept, joined to batches."""
        load = self.workload
        return load.connections * load.rate * load.keep / load.batch

    @property
    def delivered(self) -> float:
        """Messages in a second that are delivered to a member, the sender among them."""
        load = self.workload
        return load.connections * load.rate * load.keep * load.room

    @property
    def delivery(self) -> Line:
        """The cost of a delivery: that of a burst where messages are joined and bursts were measured."""
        if self.workload.batch > 1 and self.costs.burst is not None:
            return self.costs.burst
        return self.costs.delivery

    @property
    def payload(self) -> float:
        """Bytes of a message in its frame."""
        return self.workload.size * (self.assumptions.deflate_ratio if self.workload.deflate else 1.0)

    def reached(self, processes: int) -> float:
        """Return the expected number of processes that an event goes to."""
        return 1.0 if self.workload.sticky else distinct(self.workload.room, processes)

    def usage(self, machines: int) -> Usage:
        """Return the resources of all connections, spread over this many machines."""
        load, given = self.workload, self.assumptions
        traffic, broker_cpu = self._through_the_broker(machines * given.cores)
        received = load.connections * load.rate
        arrivals = load.connections / given.lifetime
        pings = load.connections / given.ping_interval
        in_kib = load.size / 1024 * given.deflate_us if load.deflate else 0.0
        # An echo has a delivery in it, so the sender's own is not counted again.
        others = max(0.0, self.delivered - received)
        cpu = {
            "receiving": received * self.costs.echo.at(load.size),
            "delivering": others * self.delivery.at(load.size),
            "broker's client": broker_cpu,
            "deflate": (received + self.delivered) * in_kib,
            "handshakes": arrivals * self.costs.handshake,
            "pings": pings * self.costs.ping,
        }
        incoming = wire.received(wire.frame(self.payload, masked=True)) * received
        outgoing = wire.sent(wire.frame(self.payload, masked=False) * load.batch) * (self.delivered / load.batch)
        kept_alive = wire.sent(wire.frame(0, masked=False)) + wire.received(wire.frame(0, masked=True))
        network = incoming + outgoing + kept_alive * pings + wire.handshake() * arrivals + traffic
        return Usage(
            {cause: value * MICRO for cause, value in cpu.items()},
            load.connections * self.memory_of_one,
            network,
            load.connections,
        )

    @property
    def memory_of_one(self) -> float:
        """Bytes of one connection: of the process, of the kernel, and its share of what waits for slow readers."""
        given, deflated = self.assumptions, self.costs.memory_deflate
        own = deflated if self.workload.deflate and deflated is not None else self.costs.memory
        return (own + given.socket_kib + given.slow_share * given.slow_kib) * 1024

    def _through_the_broker(self, processes: int) -> tuple[wire.Traffic, float]:
        """Traffic between all processes and the broker, and µs of their CPU. One process alone needs no broker."""
        if processes == 1:
            return wire.Traffic(), 0.0
        given, event = self.assumptions, self._event
        taken = self.published * self.reached(processes)
        traffic = wire.sent(event) * self.published + wire.received(event) * taken
        return traffic, self.published * given.app_publish_us + taken * given.app_event_us

    @property
    def _event(self) -> float:
        """Bytes of one event between a process and the broker; deflate is an affair of the WebSocket alone."""
        return self.workload.size * self.workload.batch + self.assumptions.envelope

    def broker(self, machines: int) -> Broker:
        """Return the load of the broker with this many machines."""
        given, processes = self.assumptions, machines * self.assumptions.cores
        if processes == 1:
            return Broker()
        deliveries = self.published * self.reached(processes)
        cpu = (self.published * given.broker_publish_us + deliveries * given.broker_delivery_us) * MICRO
        out = wire.sent(self._event).bytes_out * deliveries + wire.received(self._event).bytes_out * self.published
        return Broker(
            self.published,
            deliveries,
            cpu / given.broker_cores,
            out * 8 / (given.broker_gbits * 1e9),
        )

    def shares(self, machines: int) -> dict[str, float]:
        """Return the used share of each resource. Above 1 it does not fit."""
        given, usage = self.assumptions, self.usage(machines)
        link = given.network_gbits * 1e9 / 8 * given.target
        packets = usage.network.packets_in + usage.network.packets_out
        available = {
            "CPU": (usage.cpu_total, given.cores * given.target),
            "memory": (usage.memory, self.memory_for_connections),
            "network in": (usage.network.bytes_in, link),
            "network out": (usage.network.bytes_out, link),
            "packets": (packets, given.packets * given.target),
            "file descriptors": (usage.descriptors, self._descriptors),
        }
        return {name: used / machines / there for name, (used, there) in available.items()}

    @property
    def memory_for_connections(self) -> float:
        """Bytes of a machine that may be used by connections."""
        given = self.assumptions
        return given.memory_gib * (1 << 30) * given.memory_target - given.cores * given.process_mib * (1 << 20)

    @property
    def _descriptors(self) -> float:
        given = self.assumptions
        return given.cores * (given.descriptors * given.memory_target - given.process_descriptors)

    def limits(self, machines: int) -> dict[str, float]:
        """Return the connections that a machine can hold by each resource, with this many machines."""
        each = self.workload.connections / machines
        return {name: each / share if share else math.inf for name, share in self.shares(machines).items()}

    def first_limit(self, machines: int) -> tuple[str, float]:
        """Return the resource that ends first, and the connections of a machine at that point."""
        limits = self.limits(machines)
        name = min(limits, key=limits.__getitem__)
        return name, limits[name]

    def machines(self) -> int:
        """Return the fewest machines on which every resource stays within its target.

        Raises:
            ScalingError: where a billion machines would not do.
        """
        needed = _first(lambda number: max(self.shares(number).values()) <= 1, MOST_MACHINES)
        if needed is None:
            raise ScalingError(f"{self.workload.connections:,} connections do not fit on {MOST_MACHINES:,} machines")
        return needed

    def brokers(self, machines: int) -> int:
        """Return the number of brokers needed at the target utilisation, 0 for one process."""
        return math.ceil(self.broker(machines).load / self.assumptions.target)

    def broker_bound(self, most: int = 10**9) -> int | None:
        """Return the connections above which one broker is not enough, or None if it is enough up to `most`.

        From there on more machines do not help.
        """

        def too_much(connections: int) -> bool:
            model = self.for_(connections=connections)
            return model.broker(model.machines()).load > self.assumptions.target

        return _first(too_much, most)

    # -- one room, and everybody at once

    def room_seconds(self, processes: int) -> float:
        """Return the mean time for which a message to a room occupies a process."""
        return self.workload.room / self.reached(processes) * self.delivery.at(self.workload.size) * MICRO

    def storm_share(self, machines: int) -> float:
        """Return the share of all CPU that handshakes take while all clients come back."""
        return self._handshake_seconds / self.workload.storm / (machines * self.assumptions.cores)

    def storm_least(self, machines: int) -> float:
        """Return the fewest seconds in which all clients can come back beside the usual work, or infinity."""
        cores = machines * self.assumptions.cores
        left = cores - self.usage(machines).cpu_total
        return self._handshake_seconds / left if left > 0 else math.inf

    @property
    def _handshake_seconds(self) -> float:
        return self.workload.connections * self.costs.handshake * MICRO


def _first(holds: Callable[[int], bool], most: int) -> int | None:
    """Return the least whole number from 1 for which a monotone condition holds."""
    high = 1
    while not holds(high):
        if high >= most:
            return None
        high = min(high * 2, most)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
