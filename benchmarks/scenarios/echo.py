"""A message and its echo: what the server pays for it, and how long it takes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ..contestants import CONTESTANTS
from .base import EVERYBODY, KIB, Case, Effort, Outcome, Scenario, cpu, paced, rate

# Messages a second over all connections in the case that measures latency: about a fifth of what the slowest does.
RATE: Final = 4000
_SIZES: Final = {"32 B": 32, "1 KiB": KIB, "64 KiB": 64 * KIB}


def _closed(outcome: Outcome) -> Mapping[str, float]:
    return {**cpu(outcome), **rate(outcome)}


def _deflated(outcome: Outcome) -> Mapping[str, float]:
    return {**_closed(outcome), "received": outcome["received"]}


def cases(effort: Effort) -> Sequence[Case]:
    """Return the cases as fast as the server answers, and at a fixed rate."""
    return list(_quick(effort) if effort.quick else _full(effort))


def _quick(effort: Effort) -> Iterator[Case]:
    for connections, in_flight in ((8, 1), (100, 1), (8, 32)):
        yield _case(effort, "32 B", connections, in_flight)
    yield _case(effort, "1 KiB", 8, 1)
    yield _at_rate(effort)


def _full(effort: Effort) -> Iterator[Case]:
    for size in _SIZES:
        for connections, in_flight in ((8, 1), (100, 1), (8, 32)):
            yield _case(effort, size, connections, in_flight)
        yield _case(effort, size, 8, 1, binary=True)
    yield _at_rate(effort)
    for size in _SIZES:
        for in_flight in (1, 32):
            yield _case(effort, size, 8, in_flight, deflate=True)
    for size in ("1 KiB", "64 KiB"):
        yield _case(effort, size, 8, 1, binary=True, deflate=True)


def _case(
    effort: Effort, size: str, connections: int, in_flight: int, *, binary: bool = False, deflate: bool = False
) -> Case:
    kind = "random binary" if binary and deflate else "binary" if binary else "JSON text" if deflate else "text"
    return Case(
        name=f"{kind} of {size}, {connections} connections, {in_flight} in flight{', deflate' if deflate else ''}",
        workload="echo",
        path="/echo",
        deflate=deflate,
        figures=_deflated if deflate else _closed,
        job={
            "connections": connections,
            "in_flight": in_flight,
            "size": _SIZES[size],
            "binary": binary,
            "deflate": deflate,
            "content": "random" if binary else "json",
            "rate": None,
            "seconds": effort.seconds,
            "warm_up": effort.warm_up,
        },
    )


def _at_rate(effort: Effort) -> Case:
    case = _case(effort, "32 B", 100, 1)
    return Case(
        name=f"text of 32 B, 100 connections, {RATE:,} a second in all",
        workload="echo",
        path="/echo",
        figures=paced,
        job={**case.job, "rate": RATE, "seconds": effort.paced_seconds},
    )


SCENARIO: Final = Scenario(
    name="echo",
    summary="A message and its echo: CPU, throughput and latency.",
    cases=cases,
    bases=("starlette", "picows"),
    quick=("asgi_ws", "asgi_ws-fast", "starlette", "picows"),
    full=(*EVERYBODY, *(each.name for each in CONTESTANTS if each.only_echoes)),
)
