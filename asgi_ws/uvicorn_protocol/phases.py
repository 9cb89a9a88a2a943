"""The phases of a connection, and the transitions between them.

    UPGRADING ──► CONNECTING ──► OPEN ──► CLOSING ──► DRAINING ──► LOST
                      └────────► DENYING

A connection only goes forward, and each phase but LOST may also go straight to DRAINING or LOST: the client breaks a
rule, closes its side, falls silent or disappears, or the server stops.

| phase | we send | we read | it ends with |
|---|---|---|---|
| UPGRADING | nothing | the request | a valid request; DRAINING once a refusal is written |
| CONNECTING | nothing | nothing: the client has to wait | the application's accept, denial or close |
| DENYING | the application's response | nothing | the last part of its body |
| OPEN | messages, pings, pongs | frames | our close frame: CLOSING; the client's: DRAINING |
| CLOSING | nothing | frames, of which only the close frame counts | the client's close frame |
| DRAINING | what was written before | nothing | the end of the transport |
| LOST | nothing | nothing | |

Each phase but UPGRADING and OPEN has a deadline, so that the transport is closed in bounded time whatever the client
does. In OPEN the keep-alive has that part, in UPGRADING uvicorn's HTTP class.

Two facts are not phases, since each holds in several of them. The application has ended the connection itself
(`WebSocketProtocol._has_ended`): from then on its calls are mistakes, and not news of a client that left. The
application is still running (`_task`): a connection that is LOST stays with the server until it returns.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from ..errors import LifecycleError


class Phase(Enum):
    """Where a connection stands."""

    UPGRADING = 0
    """The request is to come."""
    CONNECTING = 1
    """The application has to answer the request."""
    DENYING = 2
    """The application has begun a response that refuses."""
    OPEN = 3
    CLOSING = 4
    """Our close frame is sent, and the client's is to come (RFC 6455 section 7.1.2)."""
    DRAINING = 5
    """Nothing more is sent, what comes is ignored, and the transport is about to close."""
    LOST = 6
    """The transport is closed."""

    # The members are what the table is read by, and Enum's own hash is a Python function.
    __hash__ = object.__hash__


TRANSITIONS: Final[Mapping[Phase, frozenset[Phase]]] = MappingProxyType(
    {
        Phase.UPGRADING: frozenset({Phase.CONNECTING, Phase.DRAINING, Phase.LOST}),
        Phase.CONNECTING: frozenset({Phase.DENYING, Phase.OPEN, Phase.DRAINING, Phase.LOST}),
        Phase.DENYING: frozenset({Phase.DRAINING, Phase.LOST}),
        Phase.OPEN: frozenset({Phase.CLOSING, Phase.DRAINING, Phase.LOST}),
        Phase.CLOSING: frozenset({Phase.DRAINING, Phase.LOST}),
        Phase.DRAINING: frozenset({Phase.LOST}),
        Phase.LOST: frozenset(),
    }
)

# From these nothing more can be ended.
DONE: Final = frozenset({Phase.DRAINING, Phase.LOST})
# In these the connection has ended for the application, which may not have received that yet.
ENDING: Final = DONE | {Phase.CLOSING}


def check_transition(before: Phase, after: Phase) -> None:
    """Check that a connection may go from one phase to another.

    Raises:
        LifecycleError: for a transition that is not in the table. That is a defect of this package.
    """
    if after not in TRANSITIONS[before]:
        raise LifecycleError(f"the transition to {after.name}", before.name)
