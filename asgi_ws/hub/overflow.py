"""Pending messages of a slow connection: a queue with a bound, and a policy for each of its sources."""

from collections import OrderedDict
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Protocol

from .._asgi import Broadcast
from ..errors import InvalidOverflow
from ..sizes import KIB, check_bound


class Overflow(StrEnum):
    """The policy for a connection that does not keep up, when its outbox is full."""

    CLOSE = "close"
    """It is closed with 1013, so that the client can come back and ask for what it missed."""
    DROP_OLDEST = "drop_oldest"
    """The oldest message that waits is dropped for the new one."""
    DROP_NEWEST = "drop_newest"
    """The new message is dropped."""
    CONFLATE = "conflate"
    """Of the messages that wait with the same key only the newest stays; past the bound as `drop_oldest`."""


def overflow_of(value: str) -> Overflow:
    """Return the policy with this name.

    Raises:
        InvalidOverflow: when there is none.
    """
    try:
        return Overflow(value)
    except ValueError:
        raise InvalidOverflow(value, Overflow) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLimits:
    """The bounds of the pending messages of one connection.

    Attributes:
        max_bytes: of all messages that wait, text counted in UTF-8. A larger message passes when no other waits.
        max_messages: that wait.
        max_age: seconds that one may wait.
        unpaced_bytes_per_second: sent at most where the server takes everything at once and keeps it in memory
            (daphne), so that what is past it waits where there is a bound.

    Raises:
        InvalidLimit: for a value that is not a positive number, or not a whole one where bytes and messages count.
    """

    max_bytes: int = 256 * KIB
    max_messages: int = 1024
    max_age: float = 10.0
    unpaced_bytes_per_second: int = 1024 * KIB

    def __post_init__(self) -> None:
        for limit in fields(self):
            check_bound("OutboxLimits", limit.name, getattr(self, limit.name), whole=limit.name != "max_age")


class Source(Protocol):
    """Where messages come from: a membership in one room."""

    @property
    def overflow(self) -> Overflow:
        """Return the policy for these messages."""
        ...

    @property
    def announces(self) -> bool:
        """Return True if `notice` may return a message."""
        ...

    def on_drop(self) -> None:
        """Count a message of this source that was dropped."""

    def notice(self, missed: int) -> Broadcast | None:
        """Return the message that replaces `missed` ones, if any."""


@dataclass(slots=True)
class Waiting:
    """A message; without a broadcast, the place of `missed` ones that were dropped."""

    source: Source
    broadcast: Broadcast | None
    size: int = 0
    key: str | None = None
    since: float = 0.0
    missed: int = 0


class Backlog:
    """Messages in the order of their sending, no more than the limits allow.

    Where buffer space is missing, messages that may be dropped for a newer one are dropped, oldest first. If there
    are none, the policy of the new message decides.

    Attributes:
        messages: that wait.
        size: their bytes.
        is_stuck: whether a room has waited for it to become less full, and nothing has left it since.
    """

    __slots__ = (
        "_by_key",
        "_droppable",
        "_fronts",
        "_limits",
        "_queue",
        "_serial",
        "_tails",
        "is_stuck",
        "messages",
        "size",
    )

    def __init__(self, limits: OutboxLimits) -> None:
        self._limits = limits
        self._serial = 0
        self._queue: OrderedDict[int, Waiting] = OrderedDict()
        # Which of them may be dropped for something newer, oldest first.
        self._droppable: OrderedDict[int, None] = OrderedDict()
        self._by_key: dict[tuple[Source, str], int] = {}
        # Of each source the place of what was dropped first, and whatever of it came last.
        self._fronts: dict[Source, Waiting] = {}
        self._tails: dict[Source, Waiting] = {}
        self.messages = 0
        self.size = 0
        self.is_stuck = False

    def put(self, source: Source, broadcast: Broadcast, key: str | None, now: float) -> bool:
        """Queue a message, or drop one by its source's policy; return False to close the connection."""
        overflow, size = source.overflow, broadcast.size
        if key is not None and overflow is Overflow.CONFLATE:
            self._supersede(source, key)
        else:
            key = None
        while self.is_full(size):
            if self._droppable and overflow is not Overflow.DROP_NEWEST:
                serial, _ = self._droppable.popitem(last=False)
                self._drop(serial)
            elif overflow is Overflow.CLOSE:
                return False
            else:
                self._refuse(source)
                return True
        waiting = Waiting(source, broadcast, size, key, now)
        serial = self._append(waiting)
        if overflow in (Overflow.DROP_OLDEST, Overflow.CONFLATE):
            self._droppable[serial] = None
        if key is not None:
            self._by_key[source, key] = serial
        self.messages += 1
        self.size += size
        return True

    def is_full(self, size: int) -> bool:
        """Return True if a message of this size would exceed a bound."""
        limits = self._limits
        return self.messages > 0 and (self.messages >= limits.max_messages or self.size + size > limits.max_bytes)

    def _append(self, waiting: Waiting) -> int:
        self._serial += 1
        self._queue[self._serial] = self._tails[waiting.source] = waiting
        return self._serial

    def _supersede(self, source: Source, key: str) -> None:
        """Remove the message that a newer one replaces. The policy asks for that, so there is no notice."""
        serial = self._by_key.pop((source, key), None)
        if serial is not None:
            self._droppable.pop(serial, None)
            self._uncount(self._queue.pop(serial))

    def _uncount(self, waiting: Waiting) -> None:
        """Subtract a message that leaves without being sent."""
        self.messages -= 1
        self.size -= waiting.size
        waiting.source.on_drop()

    def _drop(self, serial: int) -> None:
        """Drop the oldest message of its source."""
        waiting = self._queue[serial]
        source = waiting.source
        self._uncount(waiting)
        if waiting.key is not None:
            del self._by_key[source, waiting.key]
        front = self._fronts.get(source)
        if front is None and source.announces:
            # It becomes the place of what is missing.
            waiting.broadcast, waiting.size, waiting.key = None, 0, None
            front = self._fronts[source] = waiting
        else:
            del self._queue[serial]
        if front is not None:
            front.missed += 1

    def _refuse(self, source: Source) -> None:
        """Drop a new message."""
        source.on_drop()
        if source.announces:
            tail = self._tails.get(source)
            if tail is None or tail.broadcast is not None:
                tail = Waiting(source, None)
                self._append(tail)
            tail.missed += 1

    def take(self) -> Waiting:
        """Remove and return the next message; there must be one."""
        serial, waiting = self._queue.popitem(last=False)
        source = waiting.source
        self._droppable.pop(serial, None)
        if waiting.key is not None:
            del self._by_key[source, waiting.key]
        if self._fronts.get(source) is waiting:
            del self._fronts[source]
        if self._tails.get(source) is waiting:
            del self._tails[source]
        if waiting.broadcast is not None:
            self.messages -= 1
            self.size -= waiting.size
        return waiting

    @property
    def is_empty(self) -> bool:
        """Return True if there is nothing to take."""
        return not self._queue

    @property
    def oldest(self) -> float | None:
        """Return the time since which the oldest message waits."""
        return next((waiting.since for waiting in self._queue.values() if waiting.broadcast is not None), None)

    def drop_aged(self, now: float) -> bool:
        """Drop messages that have reached the maximum age; return False to close the connection instead."""
        for serial, waiting in list(self._queue.items()):
            if waiting.broadcast is not None:
                # The same sum as the timer's, so that no rounding comes between the two.
                if waiting.since + self._limits.max_age > now:
                    break
                if waiting.source.overflow is Overflow.CLOSE:
                    return False
                self._droppable.pop(serial, None)
                self._drop(serial)
        return True

    def clear(self) -> None:
        """Drop all pending messages."""
        for waiting in self._queue.values():
            if waiting.broadcast is not None:
                self._uncount(waiting)
        self._queue.clear()
