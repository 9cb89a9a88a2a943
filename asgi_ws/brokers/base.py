"""The interface of brokers: one Protocol, and the values that go through it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from ..sizes import check_bound


@dataclass(frozen=True, slots=True)
class Position:
    """Where an event stands in the history of its room.

    Attributes:
        epoch: changes when the store has lost the history of the room. Compare it for equality alone.
        offset: from 1 on, one more for each event of the epoch. 0 is the place before the first one.
    """

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The events that are kept of a room, for members that join late or reconnect.

    Attributes:
        messages: the number of newest messages.
        seconds: none that is older; `None` is "no age".

    Raises:
        InvalidLimit: `messages` is not a positive whole number, or `seconds` is neither a positive number nor None.
    """

    messages: int = 100
    seconds: float | None = 300.0

    def __post_init__(self) -> None:
        check_bound("History", "messages", self.messages)
        check_bound("History", "seconds", self.seconds, whole=False, optional=True)


class EnvelopeDraft:
    """An envelope before it is frozen: assign the fields, and then `Envelope` to `__class__`.

    The `__init__` of a frozen dataclass calls `object.__setattr__` for each field. It takes 5,600 instructions; this
    takes 1,800, and a function for it 500 more (`python -m benchmarks instructions`).

    Attributes:
        payload: the message as it goes over the wire, text in UTF-8. It is neither compared nor copied.
    """

    __slots__ = ("data", "key", "origin", "payload")

    data: str | bytes
    key: str | None
    origin: str | None
    payload: bytes


@dataclass(frozen=True, slots=True)
class Envelope(EnvelopeDraft):
    """A message as a hub hands it to a broker and gets it back, text or binary.

    Attributes:
        data: the message.
        key: of waiting messages with one key a conflating member gets the newest only.
        origin: the connection that is not to get the message.
    """

    data: str | bytes
    key: str | None = None
    origin: str | None = None


def payload_of(envelope: Envelope) -> bytes:
    """Return the bytes of a message, encoded at most once.

    Raises:
        UnicodeEncodeError: for text that UTF-8 cannot encode, which a hub does not publish.
    """
    try:
        return envelope.payload
    except AttributeError:
        data = envelope.data
        payload = data.encode() if isinstance(data, str) else data
        object.__setattr__(envelope, "payload", payload)
        return payload


class RoomEventDraft:
    """An event before it is frozen; see `EnvelopeDraft`."""

    __slots__ = ("envelope", "position", "previous")

    envelope: Envelope
    position: Position | None
    previous: Position | None


@dataclass(frozen=True, slots=True)
class RoomEvent(RoomEventDraft):
    """A message that was published in a room.

    Attributes:
        envelope: what was published.
        position: where it stands in the room's history; None where none is kept.
        previous: the position of the event before. Before the first one it has offset 0 and the same epoch. A member
            whose last position is another one has missed something.
    """

    envelope: Envelope
    position: Position | None = None
    previous: Position | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Events that a broker has read from the history of a room.

    Attributes:
        events: oldest first, one after the other without a hole.
        top: the position of the newest event there is, whether it is among `events` or not. It has offset 0 before the
            first event; None says that no history is kept.
    """

    events: tuple[RoomEvent, ...]
    top: Position | None

    def follows(self, since: Position) -> bool:
        """Return True if nothing is missing between `since` and the events, nor between them.

        A page without events follows when there is nothing after `since`. A page that `limit` has cut ends before
        `top`: read on from the position of its last event.
        """
        if self.top is None or self.top.epoch != since.epoch:
            return False
        if not self.events:
            return since.offset == self.top.offset
        reached: Position | None = since
        for event in self.events:
            if event.previous != reached:
                return False
            reached = event.position
        return True


class BrokerState(Enum):
    """The connection of a broker to its store."""

    STOPPED = "stopped"
    """Not started yet, or stopped."""
    CONNECTED = "connected"
    """Events come and go."""
    INTERRUPTED = "interrupted"
    """The connection to the store is lost, and the broker tries to get it back."""


OnEvent: TypeAlias = Callable[[str, RoomEvent], Awaitable[None]]
OnInterrupted: TypeAlias = Callable[[], Awaitable[None]]


class Broker(Protocol):
    """Carries the events of rooms between hubs that share a store, and keeps histories there.

    All methods are called in the event loop in which `start` was. Room names are text that is not empty; the hub
    checks them further, so a broker accepts any.
    """

    @property
    def state(self) -> BrokerState:
        """Return the state of the connection. Reading it is cheap and does not wait."""
        ...

    async def start(self, on_event: OnEvent, on_interrupted: OnInterrupted) -> None:
        """Connect to the store. A broker that has been stopped may be started again, and is subscribed to nothing then.

        Args:
            on_event: called with a room and an event, for each event of each subscribed room, those that this broker
                published included. The order of the plain calls is the order of the events, and in one room it is the
                same for every broker of the store. The result of a call is awaited: it has handed the event over then,
                and that is the back-pressure. The call itself publishes nothing. An exception is logged, and neither
                ends the delivery of later events nor reaches who published.
            on_interrupted: called and awaited after the connection to the store was lost and is back, with all
                subscriptions in force again. Events may have been missed.
        """
        ...

    async def stop(self) -> None:
        """Disconnect from the store and end all subscriptions; `on_event` is not called afterwards.

        Do nothing if the broker has stopped.
        """
        ...

    async def subscribe(self, room: str) -> None:
        """Deliver the events of a room. Those that are published after this has returned arrive, from every publisher.

        Subscribing twice is as good as once.
        """
        ...

    async def unsubscribe(self, room: str) -> None:
        """Deliver the events of a room no more, however often it was subscribed to. No error where it was not, nor when
        the broker has stopped.
        """
        ...

    async def publish(self, room: str, envelope: Envelope, history: History | None) -> Position | None:
        """Give an event to every broker of the store that is subscribed to the room, this one included.

        Args:
            room: where.
            envelope: the message.
            history: what is to be kept of the room; None keeps nothing, and the event has no position.

        Returns:
            The position of the event; None without a history.
        """
        ...

    async def read(self, room: str, since: Position | None, limit: int) -> HistoryPage:
        """Read from the history of a room, whether the broker is subscribed to it or not.

        Args:
            room: which.
            since: the events after it are read, from the oldest on; all that are kept where it is of another epoch.
                None reads the newest. After a `since` that is past `top` there is nothing.
            limit: the most events; 0 reads `top` alone.
        """
        ...
