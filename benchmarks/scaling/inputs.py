"""The inputs of the model: the workload, and assumptions that the benchmarks did not measure."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Final

from .figures import ScalingError

# For each kind of number, whether it may be 0, and its largest value.
_RANGES: Final = {"count": (1, math.inf), "positive": (0, math.inf), "share": (0, 1.0), "zero": (0, math.inf)}


def _given(default: Any, text: str, kind: str = "positive") -> Any:
    """Return a field that the command line can set.

    Args:
        default: its value.
        text: what it is, in the help and in tables, unit first.
        kind: "count" (a whole number from 1), "positive", "share" (above 0, up to 1) or "zero" (0 or above).
    """
    return field(default=default, metadata={"text": text, "kind": kind})


def _check(values: "Workload | Assumptions") -> None:
    for each in dataclasses.fields(values):
        value, kind = getattr(values, each.name), each.metadata["kind"]
        if kind == "flag":
            continue
        least, most = _RANGES[kind]
        fits = math.isfinite(value) and least <= value <= most and (value > 0 or kind == "zero")
        if not fits:
            wanted = {"count": "1 or more", "positive": "above 0", "share": "above 0 and up to 1", "zero": "0 or more"}
            raise ScalingError(f"{each.name.replace('_', '-')} must be {wanted[kind]}, not {value:g}")


@dataclass(frozen=True)
class Workload:
    """The load on the machines. Each message is published to one room, and its sender is a member."""

    connections: int = _given(100_000, "connections in all", "count")
    rate: float = _given(0.1, "messages a second that one connection sends", "zero")
    size: int = _given(200, "bytes of a message", "count")
    room: int = _given(50, "members of a room", "count")
    storm: float = _given(30.0, "seconds within which all connections come back after a failure")
    batch: int = _given(1, "messages of a room that the server joins into one publish and one write", "count")
    keep: float = _given(1.0, "share of the messages that are published; the rest is replaced by later ones", "share")
    sticky: bool = _given(False, "all members of a room are on one process", "flag")
    deflate: bool = _given(False, "permessage-deflate is negotiated", "flag")

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Assumptions:
    """The machine and all that was not measured. Every one can be given on the command line."""

    cores: int = _given(8, "cores of a machine, one process on each", "count")
    memory_gib: float = _given(32.0, "GiB of memory of a machine")
    network_gbits: float = _given(10.0, "Gbit/s of a network card, in each direction")
    packets: float = _given(1e6, "packets/s that a machine can handle, in and out together")
    descriptors: int = _given(65_536, "file descriptors that one process may open (ulimit -n)", "count")
    target: float = _given(0.6, "share of CPU and network that is to be used at most", "share")
    memory_target: float = _given(0.8, "share of memory and file descriptors that is to be used at most", "share")
    lifetime: float = _given(1800.0, "seconds that a connection lasts, on average")
    ping_interval: float = _given(20.0, "seconds between keep-alive pings")
    process_mib: float = _given(60.0, "MiB of a process without connections", "zero")
    socket_kib: float = _given(4.1, "KiB of kernel memory of an idle TCP connection", "zero")
    slow_share: float = _given(0.01, "share of the connections that read too slowly", "zero")
    slow_kib: float = _given(256.0, "KiB that wait, on average, for one that reads too slowly", "zero")
    process_descriptors: int = _given(100, "file descriptors of a process beside its connections", "count")
    deflate_ratio: float = _given(0.35, "of the bytes of a message that are left by deflate", "share")
    deflate_us: float = _given(15.0, "µs to compress or inflate 1 KiB", "zero")
    app_publish_us: float = _given(40.0, "µs of a process to publish one event to the broker", "zero")
    app_event_us: float = _given(25.0, "µs of a process to take one event from the broker", "zero")
    broker_publish_us: float = _given(15.0, "µs of the broker for one event published", "zero")
    broker_delivery_us: float = _given(5.0, "µs of the broker for one event given to one process", "zero")
    broker_cores: int = _given(1, "cores that one broker can use", "count")
    broker_gbits: float = _given(10.0, "Gbit/s of a broker's network card")
    envelope: int = _given(150, "bytes that the broker's protocol adds to an event", "count")

    def __post_init__(self) -> None:
        _check(self)
        if self.slow_share > 1:
            raise ScalingError(f"slow-share must be at most 1, not {self.slow_share:g}")
        if self.process_mib * self.cores >= self.memory_gib * 1024 * self.memory_target:
            raise ScalingError("the processes alone fill the memory: more memory-gib, or fewer cores")
        if self.process_descriptors >= self.descriptors * self.memory_target:
            raise ScalingError("no file descriptor is left for connections: more descriptors")
