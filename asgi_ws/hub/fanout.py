"""Fan-out: sends the messages of one room to its members, one after the other, in the same order for all."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain
from typing import Final, Protocol, TypeAlias, cast

from .._aio.eager import Starter, Work
from .._aio.futures import resolve
from .._aio.time_slice import TimeSlice
from .._asgi import Broadcast
from ..token_bucket import TokenBucket
from .outbox import Outbox
from .overflow import Source
from .state import FANOUT_TRANSITIONS, FanoutState, OutboxState

# The clock is read after this number of members.
_MEMBERS_PER_LOOK: Final = 64
# This number of bytes of a message counts as one member more.
_BYTES_LIKE_A_MEMBER: Final = 1024
# How long a room waits for members whose outboxes are full before their policies are applied, in seconds; and for which
# share of the time it may do that again and again, however many of its members are slow.
_PATIENCE_SECONDS: Final = 0.1
_PATIENCE_SHARE: Final = 0.01
# A member that reads is given this much also by a room without patience, and then as many iterations of the loop as it
# takes a server to write what its transport holds and to take more. On granian that is the work of another thread.
_LEAST_PATIENCE_SECONDS: Final = 0.001
_GRACE_ITERATIONS: Final = 4

_OUTBOX_IDLE: Final = OutboxState.IDLE

# The data of a message, and its bytes: text in UTF-8.
Encoded: TypeAlias = tuple[str | bytes, bytes]


class Recipient(Source, Protocol):
    """A member of a room, as a message sees it."""

    outbox: Outbox
    origin: str

    @property
    def ending(self) -> object | None:
        """Return the reason why it is not a member any more; None while it is."""


class _Message(Broadcast):
    """A message for those who were members when it was published and still are when its turn comes.

    Attributes:
        newest: the number of the newest member at that time.
        key: for members that conflate.
        exclude: the origin of the connection that does not get the message.
        make: called when the turn of an announcement comes; returns its message, or None to send nothing. None where
            the message is made.
        waiter: awaited by the publisher; DONE once all members or their outboxes have the message.
    """

    __slots__ = ("exclude", "key", "make", "newest", "waiter")

    newest: int
    key: str | None
    exclude: str | None
    make: Callable[[], Encoded | None] | None
    waiter: Awaitable[None] | None

    def on_done(self) -> None:
        """Release the publisher if it waits already."""
        waiter, self.waiter = self.waiter, DONE
        if isinstance(waiter, asyncio.Future):
            resolve(waiter)


# Creates a message without its fields. `_Message(...)` would add 800 instructions to the 31,500 of a publish
# (`python -m benchmarks instructions`).
_new: Final = cast("Callable[[type[_Message]], _Message]", _Message.__new__)


class _Done:
    """An awaitable that need not be waited for."""

    __slots__ = ()

    # Not a Python function, which would be a call for each publish.
    __await__ = staticmethod(iter(()).__iter__)


DONE: Final = cast("Awaitable[None]", _Done())


_IDLE: Final = FanoutState.IDLE
_RUNNING: Final = FanoutState.RUNNING


class Fanout:
    """Sends messages to members in one order for all.

    A message is begun at once, and done in the iteration of its publisher unless that takes too long. Then the time
    slices of the next iterations go on with it, and no cancellation of the publisher ends that. Messages published
    meanwhile come after it.

    A message that waits has no list of members: those that came before it and are there still get it. So a crowd that
    leaves takes memory for each of its announcements, and not for each of their recipients.
    """

    __slots__ = (
        "_full",
        "_full_size",
        "_grace",
        "_late",
        "_left",
        "_loop",
        "_messages",
        "_newest",
        "_patience",
        "_recipients",
        "_rest",
        "_slice",
        "_snapshot",
        "_starter",
        "_state",
        "_timer",
        "_wait",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, starter: Starter, slice_: TimeSlice) -> None:
        self._loop = loop
        self._starter = starter
        self._slice = slice_
        # In the order of their joining, each with its number in that order.
        self._recipients: dict[Recipient, int] = {}
        self._newest = 0
        # The same, to be iterated over while they change; None after a change.
        self._snapshot: tuple[Recipient, ...] | None = None
        self._state = _IDLE
        # The first is the one that is being sent.
        self._messages: deque[_Message] = deque()
        # The members that the first message has not come to; None before its turn.
        self._rest: Iterator[Recipient] | None = None
        # Members until the clock is read.
        self._left = _MEMBERS_PER_LOOK
        # Those of them whose outboxes are full, but may not be for long.
        self._late: list[Recipient] = []
        # The full outboxes that the first message waits for, the bytes that each of them lacks space for, and what
        # ends the wait.
        self._full: dict[Outbox, None] = {}
        self._full_size = 0
        self._timer: asyncio.Handle | None = None
        # Iterations that are left of a wait when its time is over.
        self._grace = 0
        # The seconds that the room may wait, and of the wait its beginning and what it may take of them.
        self._patience = TokenBucket(_PATIENCE_SHARE, _PATIENCE_SECONDS)
        self._wait = 0.0, 0.0

    def __len__(self) -> int:
        return len(self._recipients)

    def __iter__(self) -> Iterator[Recipient]:
        return iter(self._recipients)

    def add(self, recipient: Recipient) -> None:
        """Add a member, from the next message on."""
        self._newest += 1
        self._recipients[recipient] = self._newest
        self._snapshot = None

    def remove(self, recipient: Recipient) -> None:
        """Remove a member, if it is there still."""
        self._recipients.pop(recipient, None)
        self._snapshot = None

    # -- messages

    def publish(
        self, data: str | bytes, payload: bytes, key: str | None = None, exclude: str | None = None
    ) -> Awaitable[None]:
        """Send a message to all but the connection `exclude`; return an awaitable that is done when all have it.

        Args:
            data: the message.
            payload: its bytes.
            key: for members that conflate.
            exclude: the origin of a connection.
        """
        message = _new(_Message)
        # As `Broadcast.__init__` does.
        message.event = {"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data}
        message.payload = payload
        message.size = len(payload)
        message.frame = None
        message.newest = self._newest
        message.key = key
        message.exclude = exclude
        message.make = None
        message.waiter = None
        self._messages.append(message)
        if self._state is _IDLE and not self._go_on():
            self._slice.go_on(self._go_on)
        if message.waiter is None:
            message.waiter = self._loop.create_future()
        return message.waiter

    def announce(self, make: Callable[[], Encoded | None], *, exclude: str) -> None:
        """Send what `make` returns when its turn comes to all but `exclude`; wait for nothing."""
        message = _new(_Message)
        message.newest = self._newest
        message.key = None
        message.exclude = exclude
        message.make = make
        message.waiter = DONE
        self._messages.append(message)
        if self._state is _IDLE:
            if self._slice.is_spent():
                self._yield()
            elif not self._go_on():
                self._slice.go_on(self._go_on)

    def _yield(self) -> None:
        self._state = FANOUT_TRANSITIONS[self._state]["yield"]
        self._slice.go_on(self._go_on)

    def _go_on(self) -> bool:
        """Send messages until the slice is over; return False if this is to be called again."""
        # The usual transitions, as the table has them: looked up, they add 600 to the 31,500 instructions of a publish
        # (`python -m benchmarks instructions`).
        self._state = _RUNNING if self._state is _IDLE else FANOUT_TRANSITIONS[self._state]["run"]
        try:
            end = self._run()
        except BaseException:
            # It ends the program, or tries to.
            self._abort()
            raise
        if end == "end":
            self._state = _IDLE
            return True
        self._state = FANOUT_TRANSITIONS[self._state][end]
        return end != "yield"

    def _run(self) -> str:
        """Send messages to all members, until the fan-out has to wait; return the event for the table."""
        messages = self._messages
        while messages:
            message = messages[0]
            if message.make is None or self._is_made(message, message.make):
                sends = self._sends(message)
                # Nothing is yielded if the servers of all members have a `push`.
                for send in sends:
                    self._starter.start(chain((send,), sends))
                if self._state is not _RUNNING:
                    # The hub was stopped meanwhile.
                    return "stop"
                if self._rest is not None:
                    return "yield"
                if self._late:
                    self._wait_for_late(message.size)
                    return "wait"
                if message.waiter is None:
                    message.waiter = DONE
                else:
                    message.on_done()
            messages.popleft()
            self._left -= 1
            if self._left <= 0 and messages:
                if self._slice.is_spent():
                    return "yield"
                self._left = _MEMBERS_PER_LOOK
        return "end"

    def _is_made(self, announcement: _Message, make: Callable[[], Encoded | None]) -> bool:
        """Make the message of an announcement; return False if there is nothing to send."""
        encoded = make() if self._recipients else None
        if encoded is None:
            return False
        Broadcast.__init__(announcement, *encoded)
        announcement.make = None
        return True

    def _recipients_of(self, message: _Message) -> tuple[Recipient, ...]:
        if message.newest != self._newest:
            return tuple(each for each, number in self._recipients.items() if number <= message.newest)
        self._snapshot = tuple(self._recipients)
        return self._snapshot

    def _sends(self, message: _Message) -> Iterator[Work]:  # noqa: C901, PLR0912 -- each call less is one for each delivery
        """Push a message to members, put it into outboxes, and yield the sends that are to be started."""
        exclude, size = message.exclude, message.size
        # A large message may have to be compressed anew for each of them.
        cost = 1 + size // _BYTES_LIKE_A_MEMBER
        left, rest = self._left, self._rest
        if rest is None:
            snapshot = self._snapshot
            if snapshot is None:
                snapshot = self._recipients_of(message)
            rest = self._rest = iter(snapshot)
            if len(self._recipients) * cost >= left:
                # The clock will be read. The slices of small rooms begin at the end of publish().
                self._slice.begin()
        for recipient in rest:
            if recipient.ending is None and (exclude is None or recipient.origin != exclude):
                outbox = recipient.outbox
                if outbox.state is not _OUTBOX_IDLE:
                    if outbox.is_crowded(size):
                        self._late.append(recipient)
                    else:
                        outbox.put(recipient, message, message.key)
                elif outbox.push is None:
                    yield outbox.write(message)
                else:
                    try:
                        is_sent = outbox.push(message)
                    except BaseException as error:  # noqa: BLE001 -- `fail` raises again what ends the program
                        outbox.fail(error)
                    else:
                        if is_sent:
                            outbox.delivered += 1
                        else:
                            yield outbox.write_refused(recipient, message, message.key)
            left -= cost
            if left <= 0:
                if self._slice.is_spent():
                    self._left = 0
                    return
                left = _MEMBERS_PER_LOOK
        self._left = left
        self._rest = None

    # -- members whose outboxes are full

    def _wait_for_late(self, size: int) -> None:
        """Wait a moment for all late members at once before their policies are applied.

        The room has one budget for that. When it is spent, a member that reads still gets the moment in which its
        server writes what it holds, since a burst is to close no such client. A member that has taken nothing in a wait
        gets no other before it takes something.
        """
        late, self._late = self._late, []
        self._rest = iter(late)
        self._full = dict.fromkeys(recipient.outbox for recipient in late)
        self._full_size = size
        for outbox in self._full:
            outbox.watch(self._on_progress)
        now = self._loop.time()
        seconds = self._patience.available(now)
        self._wait = now, seconds
        self._grace = _GRACE_ITERATIONS
        self._timer = self._loop.call_later(max(seconds, _LEAST_PATIENCE_SECONDS), self._pass_grace)

    def _pass_grace(self) -> None:
        if self._grace:
            self._grace -= 1
            self._timer = self._loop.call_soon(self._pass_grace)
        else:
            self._end_wait()

    def _on_progress(self, outbox: Outbox) -> None:
        if not outbox.is_full(self._full_size):
            del self._full[outbox]
            outbox.unwatch(self._on_progress, in_vain=False)
            if not self._full:
                self._end_wait()

    def _end_wait(self) -> None:
        self._cancel_wait()
        began, seconds = self._wait
        now = self._loop.time()
        # Beyond its budget a wait is short, and costs nothing.
        self._patience.spend(now, min(now - began, seconds))
        self._yield()

    def _cancel_wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        full, self._full = self._full, {}
        for outbox in full:
            outbox.unwatch(self._on_progress, in_vain=True)

    def stop(self) -> None:
        """Drop all members and messages."""
        self._recipients.clear()
        self._snapshot = None
        self._abort()

    def _abort(self) -> None:
        """Drop all messages and release their publishers. Losing all members is not a reason to cancel them."""
        self._cancel_wait()
        messages, self._messages = self._messages, deque()
        self._rest = None
        self._late = []
        for message in messages:
            message.on_done()
        self._state = FANOUT_TRANSITIONS[self._state]["stop"]
