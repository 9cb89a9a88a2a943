"""The state machines of a hub, each as an enum and a table.

A table reads `state: {event: next state}`. An event that a state does not list is a mistake and raises KeyError, so
nothing changes state in silence. Three machines run one inside the other: a runtime for each event loop, in it the
subscription of each room, and in that the recovery of the room's events. Beside them each room has a fan-out, and each
connection has an outbox.

Modules on the path of a message keep members as constants, since Python 3.11 runs a Python function for each look-up in
an enum.

**The runtime: is the broker started?** A broker starts at the first use of the hub and serves one event loop. A start
that fails leads back to NEW, and the next call tries again. A stop is final: a hub that is entered again gets a new
runtime. The loop may be closed at any time, as by the tests of an application: the runtime in the next loop begins with
the state of "loop closed". It is LEFT where the broker may be started: then it is stopped before it is started again.

    NEW, LEFT ──start──► STARTING ──started──► RUNNING ──stop──► STOPPING ──stopped──► STOPPED
                            └────failed────► NEW

**The room: does the broker deliver its events?** A room follows its members: it subscribes with the first one and
unsubscribes after the last one. Members come and leave while a call of the broker is under way; the room looks at them
when the call has ended. A call that fails is repeated with back-off, at once when the broker has recovered. A broker
that fails too often to unsubscribe keeps its subscription, which is harmless. The room ends once the broker has been
unsubscribed, and the next member makes another one. A stop of the hub ends it in each state.

    UNSUBSCRIBED ──occupied──► SUBSCRIBING ──done──► SUBSCRIBED ──empty──► UNSUBSCRIBING ──done──► UNSUBSCRIBED
         └──empty──► ENDED      │       ▲                                   │         ▲
                              failed  retry                               failed    retry
                                ▼       │                                   ▼         │
                             SUBSCRIBE_FAILED                            UNSUBSCRIBE_FAILED
                                └──empty──► UNSUBSCRIBING                   ├──occupied──► SUBSCRIBING
                                                                            └──too often──► UNSUBSCRIBED

**The recovery: are events missing?** Each event of a room with a history names the position before it, so a gap is
found at the next event. From then on events are held while the history is read. The events of the history come first,
then the held ones. The history is read again if a gap is found meanwhile, as by another interruption. Where a read
fails and events are held, these go on after a notice; where none are held, the room stays BEHIND until the next try.

    FOLLOWING ──gap──► DUE ──read──► READING ──answered──► REPLAYING ──drained──► FOLLOWING
                       ▲ ▲               │ │                   │
    BEHIND ────gap─────┘ └──────gap──────┼─┴───────────────────┘
       ▲                                 │
       └───────────────failed────────────┘

**The fan-out: are messages on their way to the members of a room?** One message after the other is sent to all of them.
A message that takes longer than the time slice yields to the loop; one that meets full outboxes waits for them a
moment, and then goes on. A stop leads to IDLE from each state.

    IDLE ──run──► RUNNING ──end──► IDLE
                   ▲  └──wait──► WAITING
                  run                │
                   │                 ▼
                YIELDED ◄───yield────┴── also from IDLE and RUNNING

**The outbox: does the server of a connection take messages?** It goes back and forth between IDLE and SENDING. After
the connection has left its last room, or while it is being closed, pending messages are sent; an abort drops them.

    IDLE ──send──► SENDING ──leave──► FLUSHING ──close──► CLOSING ──abort──► ABORTING
     ▲                │                   │                  │                  │
     └──────sent──────┘                   └───────sent───────┴───────sent───────┴──► CLOSED
"""

from collections.abc import Mapping
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


RUNTIME_TRANSITIONS: Final[Mapping[RuntimeState, Mapping[str, RuntimeState]]] = MappingProxyType(
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


class RoomState(Enum):
    """How far the subscription to the events of a room has come."""

    UNSUBSCRIBED = 0
    SUBSCRIBING = 1
    SUBSCRIBED = 2
    SUBSCRIBE_FAILED = 3
    UNSUBSCRIBING = 4
    UNSUBSCRIBE_FAILED = 5
    ENDED = 6

    __hash__ = object.__hash__


ROOM_TRANSITIONS: Final[Mapping[RoomState, Mapping[str, RoomState]]] = MappingProxyType(
    {
        RoomState.UNSUBSCRIBED: {
            "occupied": RoomState.SUBSCRIBING,
            "empty": RoomState.ENDED,
            "stop": RoomState.ENDED,
        },
        RoomState.SUBSCRIBING: {
            "done": RoomState.SUBSCRIBED,
            "failed": RoomState.SUBSCRIBE_FAILED,
            "stop": RoomState.ENDED,
        },
        RoomState.SUBSCRIBED: {"empty": RoomState.UNSUBSCRIBING, "stop": RoomState.ENDED},
        RoomState.SUBSCRIBE_FAILED: {
            "retry": RoomState.SUBSCRIBING,
            "empty": RoomState.UNSUBSCRIBING,
            "stop": RoomState.ENDED,
        },
        RoomState.UNSUBSCRIBING: {
            "done": RoomState.UNSUBSCRIBED,
            "failed": RoomState.UNSUBSCRIBE_FAILED,
            "stop": RoomState.ENDED,
        },
        RoomState.UNSUBSCRIBE_FAILED: {
            "retry": RoomState.UNSUBSCRIBING,
            "occupied": RoomState.SUBSCRIBING,
            "too often": RoomState.UNSUBSCRIBED,
            "stop": RoomState.ENDED,
        },
        RoomState.ENDED: {"stop": RoomState.ENDED},
    }
)


class RecoveryState(Enum):
    """Whether events of a room are missing."""

    FOLLOWING = 0
    """No event is known to be missing."""
    DUE = 1
    """A task is about to read the history."""
    READING = 2
    """The task reads the history, and no gap was found since it began to."""
    REPLAYING = 3
    """The task passes on the events that came meanwhile."""
    BEHIND = 4
    """The history has to be read, and no task is about to."""
    STOPPED = 5

    __hash__ = object.__hash__


RECOVERY_TRANSITIONS: Final[Mapping[RecoveryState, Mapping[str, RecoveryState]]] = MappingProxyType(
    {
        RecoveryState.FOLLOWING: {"gap": RecoveryState.DUE, "stop": RecoveryState.STOPPED},
        RecoveryState.DUE: {
            "gap": RecoveryState.DUE,
            "read": RecoveryState.READING,
            "answered": RecoveryState.DUE,
            "failed": RecoveryState.BEHIND,
            "stop": RecoveryState.STOPPED,
        },
        RecoveryState.READING: {
            "gap": RecoveryState.DUE,
            "answered": RecoveryState.REPLAYING,
            "failed": RecoveryState.BEHIND,
            "stop": RecoveryState.STOPPED,
        },
        RecoveryState.REPLAYING: {
            "gap": RecoveryState.DUE,
            "drained": RecoveryState.FOLLOWING,
            "failed": RecoveryState.BEHIND,
            "stop": RecoveryState.STOPPED,
        },
        RecoveryState.BEHIND: {"gap": RecoveryState.DUE, "stop": RecoveryState.STOPPED},
        RecoveryState.STOPPED: dict.fromkeys(("gap", "answered", "failed", "stop"), RecoveryState.STOPPED),
    }
)


class FanoutState(Enum):
    """Whether messages are on their way to the members of a room."""

    IDLE = 0
    """Every message has been sent."""
    RUNNING = 1
    """A message is being sent, within a call of the fan-out."""
    YIELDED = 2
    """The time slice is over. Sending goes on in the next iteration of the loop."""
    WAITING = 3
    """Members whose outboxes are full are given a moment to take the message."""

    __hash__ = object.__hash__


FANOUT_TRANSITIONS: Final = MappingProxyType(
    {
        FanoutState.IDLE: {
            "run": FanoutState.RUNNING,
            "yield": FanoutState.YIELDED,
            "stop": FanoutState.IDLE,
        },
        FanoutState.RUNNING: {
            "end": FanoutState.IDLE,
            "yield": FanoutState.YIELDED,
            "wait": FanoutState.WAITING,
            "stop": FanoutState.IDLE,
        },
        FanoutState.YIELDED: {"run": FanoutState.RUNNING, "stop": FanoutState.IDLE},
        FanoutState.WAITING: {"yield": FanoutState.YIELDED, "stop": FanoutState.IDLE},
    }
)


class OutboxState(Enum):
    """The handling of messages by an outbox."""

    IDLE = 0
    """The server has taken everything. The next message is sent at once."""
    SENDING = 1
    """A send waits for the server. Further messages wait behind it, within bounds."""
    FLUSHING = 2
    """The same, and the connection has left its last room: nothing more comes, unless it joins again."""
    CLOSING = 3
    """The same, and the connection is being closed: nothing more comes."""
    ABORTING = 4
    """Pending messages are dropped. The send that is under way is being cancelled, or has failed."""
    CLOSED = 5
    """Nothing is being sent, and nothing more comes."""

    __hash__ = object.__hash__


OUTBOX_TRANSITIONS: Final = MappingProxyType(
    {
        OutboxState.IDLE: {
            "send": OutboxState.SENDING,
            "join": OutboxState.IDLE,
            "leave": OutboxState.CLOSED,
            "close": OutboxState.CLOSED,
            "abort": OutboxState.CLOSED,
        },
        OutboxState.SENDING: {
            "sent": OutboxState.IDLE,
            "join": OutboxState.SENDING,
            "leave": OutboxState.FLUSHING,
            "close": OutboxState.CLOSING,
            "abort": OutboxState.ABORTING,
        },
        OutboxState.FLUSHING: {
            "sent": OutboxState.CLOSED,
            "join": OutboxState.SENDING,
            "close": OutboxState.CLOSING,
            "abort": OutboxState.ABORTING,
        },
        OutboxState.CLOSING: {
            "sent": OutboxState.CLOSED,
            "close": OutboxState.CLOSING,
            "abort": OutboxState.ABORTING,
        },
        OutboxState.ABORTING: {
            "sent": OutboxState.CLOSED,
            "close": OutboxState.ABORTING,
            "abort": OutboxState.ABORTING,
        },
        OutboxState.CLOSED: {"close": OutboxState.CLOSED, "abort": OutboxState.CLOSED},
    }
)

# In these an outbox takes messages of a room that the connection joins.
OUTBOX_OPEN: Final = frozenset({OutboxState.IDLE, OutboxState.SENDING, OutboxState.FLUSHING})
