"""Connections that come, say one thing, and leave."""

from collections.abc import Mapping, Sequence
from typing import Final

from .base import EVERYBODY, Case, Effort, Outcome, Scenario, cpu, rate

# Connections that are under way at a time.
LANES: Final = 16


def _figures(outcome: Outcome) -> Mapping[str, float]:
    return {**cpu(outcome), **rate(outcome)}


def cases(effort: Effort) -> Sequence[Case]:
    """Return the one case."""
    return [
        Case(
            name=f"connect, one message, its answer, close; {LANES} at a time",
            workload="handshake",
            path="/ws",
            figures=_figures,
            job={"concurrency": LANES, "seconds": effort.seconds, "warm_up": effort.warm_up},
        )
    ]


SCENARIO: Final = Scenario(
    name="handshake",
    summary="Connections that come, say one thing, and leave.",
    cases=cases,
    bases=("starlette", "picows"),
    quick=("asgi_ws", "asgi_ws-fast", "starlette", "picows"),
    full=EVERYBODY,
)
