"""The state machine of a hub's runtime, as an enum and a table.

The table reads `state: {event: next state}`. An event that a state does not list is a mistake and raises KeyError, so
nothing changes state in silence.

A broker starts at the first use of the hub and serves one event loop. A start that fails leads back to NEW, and the
next call tries again. A stop is final: a hub that is entered again gets a new runtime. The loop may be closed at any
time, as by the tests of an application: the runtime in the next loop begins with the state of "loop closed". It is LEFT
where the broker may be started, which is stopped then before it is started again.

    NEW, LEFT ──start──► STARTING ──started──► RUNNING ──stop──► STOPPING ──stopped──► STOPPED
                            └────failed────► NEW
"""

from enum import Enum
from types import MappingProxyType
from typing import Final


class RuntimeState(Enum):
    """How far a hub has come in one event loop."""

    NEW = 0
    """The broker is not started."""
    LEFT = 1
    """The broker was started in a loop that is closed, and has to be stopped first."""
    STARTING = 2
    RUNNING = 3
    STOPPING = 4
    STOPPED = 5

    # The members are what the tables are read by, and Enum's own hash is a Python function.
    __hash__ = object.__hash__


RUNTIME_TRANSITIONS: Final = MappingProxyType(
    {
        RuntimeState.NEW: {"start": RuntimeState.STARTING, "loop closed": RuntimeState.NEW},
        RuntimeState.LEFT: {"start": RuntimeState.STARTING, "loop closed": RuntimeState.LEFT},
        RuntimeState.STARTING: {
            "started": RuntimeState.RUNNING,
            "failed": RuntimeState.NEW,
            "loop closed": RuntimeState.LEFT,
        },
        RuntimeState.RUNNING: {"stop": RuntimeState.STOPPING, "loop closed": RuntimeState.LEFT},
        RuntimeState.STOPPING: {"stopped": RuntimeState.STOPPED, "loop closed": RuntimeState.LEFT},
        RuntimeState.STOPPED: {"loop closed": RuntimeState.NEW},
    }
)
