"""An application's lifespan events held against the ASGI text: each rule beside the clause that makes it one."""

from collections.abc import Mapping
from enum import Enum, auto
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from ..errors import ProtocolViolation
from .websocket import Broken, held_against, typed

STARTUP_COMPLETE: Final = 'ASGI, Lifespan, "Startup Complete - send event"'
STARTUP_FAILED: Final = 'ASGI, Lifespan, "Startup Failed - send event"'
SHUTDOWN_COMPLETE: Final = 'ASGI, Lifespan, "Shutdown Complete - send event"'
SHUTDOWN_FAILED: Final = 'ASGI, Lifespan, "Shutdown Failed - send event"'


class LifespanState(Enum):
    """The last question to the application, and whether it has answered."""

    STARTING = auto()
    """lifespan.startup, not answered."""
    STARTED = auto()
    """lifespan.startup, answered."""
    STOPPING = auto()
    """lifespan.shutdown, not answered."""
    STOPPED = auto()
    """lifespan.shutdown, answered."""


# The server's own step; the others are events of the application.
SHUTDOWN: Final = "lifespan.shutdown"
# An event that leads nowhere breaks the text.
TRANSITIONS: Final[Mapping[LifespanState, Mapping[str, LifespanState]]] = MappingProxyType(
    {
        LifespanState.STARTING: {
            "lifespan.startup.complete": LifespanState.STARTED,
            "lifespan.startup.failed": LifespanState.STARTED,
        },
        LifespanState.STARTED: {SHUTDOWN: LifespanState.STOPPING},
        LifespanState.STOPPING: {
            "lifespan.shutdown.complete": LifespanState.STOPPED,
            "lifespan.shutdown.failed": LifespanState.STOPPED,
        },
        LifespanState.STOPPED: {},
    }
)
_CLAUSES: Final = MappingProxyType(
    {
        "lifespan.startup.complete": STARTUP_COMPLETE,
        "lifespan.startup.failed": STARTUP_FAILED,
        "lifespan.shutdown.complete": SHUTDOWN_COMPLETE,
        "lifespan.shutdown.failed": SHUTDOWN_FAILED,
    }
)
_OF_START: Final = frozenset({LifespanState.STARTING, LifespanState.STARTED})


def violation(event: object, state: LifespanState) -> ProtocolViolation | None:
    """Return what is wrong with an event that an application sends in this state; None if nothing is."""
    return held_against(partial(_check, event, state), event)


def _check(event: Any, state: LifespanState) -> None:
    kind, fields = typed(event)
    clause = _CLAUSES.get(kind)
    is_start = state in _OF_START
    if clause is None:
        why = f"{kind!r} is no event of a lifespan; there are {', '.join(_CLAUSES)}"
        raise Broken(STARTUP_COMPLETE if is_start else SHUTDOWN_COMPLETE, why)
    if kind not in TRANSITIONS[state]:
        raise Broken(clause, _out_of_place(kind, is_start=is_start))
    message = fields.get("message", "")
    if not isinstance(message, str):
        raise Broken(clause, f"message: expected str, got {type(message).__name__}")


def _out_of_place(kind: str, *, is_start: bool) -> str:
    phase = kind.rpartition(".")[0]
    if is_start and phase == SHUTDOWN:
        return f"{kind} before lifespan.shutdown was received"
    if not is_start and phase != SHUTDOWN:
        return f"{kind} after lifespan.shutdown: the start-up is over"
    return f"{kind} after the application has answered {phase} already"
