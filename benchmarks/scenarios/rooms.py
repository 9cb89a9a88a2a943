"""One member of a room sends and all receive: one message, a burst, and with a member that does not read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from .base import MIB, Case, Effort, Outcome, Scenario, cpu, paced

BURST_MESSAGES: Final = 32
SIZE: Final = 64
# Publishes a second where latency is measured: to 1,000 members about half of what the slowest does.
RATE: Final = 20
# Nothing delivered for so many seconds: the room stands still.
PATIENCE: Final = 3.0

_CONTESTANTS: Final = ("asgi_ws", "asgi_ws-fast", "starlette", "starlette-fast", "starlette-gather", "fastapi")
_PEERS: Final = ("websockets", "aiohttp", "picows", "node-ws", "socketify")


def _closed(outcome: Outcome) -> Mapping[str, float]:
    return {**cpu(outcome), "rate": outcome["messages"] / outcome["seconds"]}


def _paced(outcome: Outcome) -> Mapping[str, float]:
    # All deliveries of a publish share its fate, so there are too few of them for a p99.9.
    return paced(outcome, ("p50", "p99", "max"))


def _stalled(outcome: Outcome) -> Mapping[str, float]:
    share = {"delivered": outcome["delivered"] * 100, "memory_peak": outcome["memory_peak"] / MIB}
    # Lost messages have no latency, so the latency of the others alone would flatter.
    return {**_paced(outcome), **share} if outcome["delivered"] == 1 else share


def _case(
    effort: Effort,
    name: str,
    figures: Callable[[Outcome], Mapping[str, float]],
    *,
    slowed_from: str | None = None,
    **job: Any,
) -> Case:
    fields = {"burst": 1, "stalled": 0, "rate": None, "patience": PATIENCE, "seconds": effort.seconds, **job}
    return Case(
        name=name,
        workload="fanout",
        path="room",
        stall_path=slowed_from is not None,
        slowed_from=slowed_from,
        figures=figures,
        job={"members": effort.members, "size": SIZE, "warm_up": effort.warm_up, **fields},
    )


def fanout_cases(effort: Effort) -> Sequence[Case]:
    """Return the cases: the next message once all have the last, and at a fixed rate."""
    everybody = f"text of {SIZE} B to {effort.members:,} members"
    return [
        _case(effort, f"{everybody}, one after the other", _closed),
        _case(effort, f"{everybody}, {RATE} a second", _paced, rate=RATE, seconds=effort.paced_seconds),
    ]


def burst_cases(effort: Effort) -> Sequence[Case]:
    """Return the one case: the messages of a burst are sent in one write."""
    name = f"{BURST_MESSAGES} texts of {SIZE} B at once to {effort.members:,} members"
    return [_case(effort, name, _closed, burst=BURST_MESSAGES)]


def stall_cases(effort: Effort) -> Sequence[Case]:
    """Return the cases without and with a member that does not read."""
    everybody = f"text of {SIZE} B to {effort.members:,} members, {RATE} a second"
    job: dict[str, Any] = {"rate": RATE, "seconds": effort.paced_seconds}
    all_read = _case(effort, f"{everybody}, all read", _stalled, **job)
    one_does_not = f"{everybody}, one more never reads"
    return [all_read, _case(effort, one_does_not, _stalled, slowed_from=all_read.name, stalled=1, **job)]


FANOUT: Final = Scenario(
    name="fanout",
    summary="What one sends, all get.",
    cases=fanout_cases,
    bases=("starlette", "picows"),
    quick=("asgi_ws", "asgi_ws-fast", "starlette", "picows"),
    full=(*_CONTESTANTS, *_PEERS),
)
BURST: Final = Scenario(
    name="burst",
    summary="Bursts of messages that all get.",
    cases=burst_cases,
    bases=("starlette", "picows"),
    quick=("asgi_ws", "asgi_ws-fast", "starlette"),
    full=(*_CONTESTANTS, *_PEERS),
)
STALL: Final = Scenario(
    name="stall",
    summary="One member of a room does not read: what the others notice.",
    cases=stall_cases,
    bases=("starlette",),
    quick=("asgi_ws", "asgi_ws-fast", "starlette"),
    full=(*_CONTESTANTS, *_PEERS),
    fresh=True,
)
