"""Connections on which nothing happens: what they cost in CPU, and in memory."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from .base import EVERYBODY, KIB, MICROSECONDS, Case, Effort, Outcome, Scenario

# Seconds between keep-alive pings, far fewer than anybody sets, so that a short look sees each connection pinged twice;
# uWebSockets has no fewer.
PING: Final = 4.0
# Seconds of watching where nothing but the memory counts.
SHORTLY: Final = 0.05


def _watched(outcome: Outcome) -> Mapping[str, float]:
    """Return the CPU for each connection and ping interval."""
    pings = outcome["messages"] * outcome["seconds"] / PING
    each = MICROSECONDS / pings
    return {
        "cpu": (outcome["user"] + outcome["system"]) * each,
        "cpu_user": outcome["user"] * each,
        "cpu_system": outcome["system"] * each,
    }


def _memory(outcome: Outcome) -> Mapping[str, float]:
    grown = outcome["memory"] - outcome["memory_before"]
    return {"memory": grown / outcome["messages"] / KIB}


def _case(
    effort: Effort, name: str, figures: Callable[[Outcome], Mapping[str, float]], *, ping: float = 20.0, **job: Any
) -> Case:
    fields = {"connections": effort.connections, "deflate": False, "exchange": False, "seconds": SHORTLY, **job}
    return Case(
        name=f"{effort.connections:,} connections, {name}",
        workload="idle",
        path="/ws",
        ping=ping,
        deflate=fields["deflate"],
        figures=figures,
        job=fields,
    )


def idle_cases(effort: Effort) -> Sequence[Case]:
    """Return the one case: only pings and their answers."""
    return [_case(effort, f"a ping each {PING:g} s", _watched, ping=PING, seconds=2 * PING)]


def memory_cases(effort: Effort) -> Sequence[Case]:
    """Return the cases without and with compression, and after a message on each connection."""
    cases = [
        _case(effort, "idle", _memory),
        _case(effort, "idle, deflate negotiated", _memory, deflate=True),
    ]
    if not effort.quick:
        cases += [
            _case(effort, "after a message on each", _memory, exchange=True),
            _case(effort, "after a message on each, deflate negotiated", _memory, exchange=True, deflate=True),
        ]
    return cases


IDLE: Final = Scenario(
    name="idle",
    summary="Idle connections: the CPU that keeping them alive takes.",
    cases=idle_cases,
    bases=("starlette",),
    quick=("asgi_ws", "starlette"),
    full=EVERYBODY,
)
MEMORY: Final = Scenario(
    name="memory",
    summary="Idle connections: the memory that each takes.",
    cases=memory_cases,
    bases=("starlette", "picows"),
    quick=("asgi_ws", "asgi_ws-fast", "starlette", "picows"),
    full=EVERYBODY,
    fresh=True,
)
