"""The members of one room, and what is on its way to them: one message after the other, whoever publishes."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Final, Protocol

from .._aio.eager import Starter, Work
from .._aio.futures import resolve
from .._aio.time_slice import TimeSlice
from .._asgi import Broadcast
from ..sizes import size_of
from .outbox import Outbox
from .overflow import Source

# After so many members the clock is looked at.
_MEMBERS_PER_LOOK: Final = 64
# So many bytes of a message count as one member more.
_BYTES_LIKE_A_MEMBER: Final = 1024
# How long a room waits for members whose outboxes are full before their policies are applied, in seconds; and for which
# share of the time it may do that again and again, however many of its members are slow.
_PATIENCE_SECONDS: Final = 0.1
_PATIENCE_SHARE: Final = 0.01
# A member that reads is given this much also by a room without patience, and then so many iterations of the loop as it
# takes a server to write what its transport holds and to take more. On granian that is the work of another thread.
_LEAST_PATIENCE_SECONDS: Final = 0.001
_GRACE_ITERATIONS: Final = 4


class Recipient(Source, Protocol):
    """A member of a room, as a message sees it."""

    active: bool
    outbox: Outbox
    origin: str


_NOTHING: Final = Broadcast("", 0)


class _Message:
    """One message on its way to those who were members when it came, and still are when its turn comes.

    Attributes:
        exclude: the connection that is not to get it.
        key: for members that conflate.
        newest: the number of the newest member when it came.
        make: gives its data when its turn comes; None where `broadcast` is there from the beginning.
        broadcast: what is sent, once that is known.
        to: the members that are left; None before its turn.
        late: those whose outbox is full, but may not be for long.
        is_through: whether it has come to the end of `to`.
        waiter: who published it, if that took more than an iteration.
    """

    __slots__ = ("broadcast", "exclude", "is_through", "key", "late", "make", "newest", "to", "waiter")

    def __init__(self, newest: int, exclude: str | None, key: str | None = None) -> None:
        self.newest = newest
        self.exclude = exclude
        self.key = key
        self.make: Callable[[], str | bytes | None] | None = None
        self.broadcast = _NOTHING
        self.to: Iterator[Recipient] | None = None
        self.late: list[Recipient] | None = None
        self.is_through = False
        self.waiter: asyncio.Future[None] | None = None

    def is_late(self, recipient: Recipient) -> None:
        """Leave a member for later."""
        if self.late is None:
            self.late = []
        self.late.append(recipient)

    def release(self) -> None:
        """Let its publisher go on."""
        if self.waiter is not None:
            resolve(self.waiter)


class _Done:
    """An awaitable that need not be waited for."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


DONE: Final = _Done()


class Delivery:
    """Brings messages to members in one order for all.

    A message is begun at once, and done in the iteration of its publisher unless that takes too long; then the slices
    of the next iterations go on with it, and no cancellation of the publisher ends that. Messages published meanwhile
    come after it.

    A message that waits has no list of members: those that came before it and are there still get it. So a crowd that
    leaves takes memory for each of its announcements, and not for each of their recipients.
    """

    __slots__ = (
        "_grace",
        "_is_busy",
        "_late",
        "_late_size",
        "_left",
        "_loop",
        "_messages",
        "_newest",
        "_patience",
        "_patience_at",
        "_recipients",
        "_slice",
        "_snapshot",
        "_starter",
        "_timer",
        "_wait_began",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, starter: Starter, slice_: TimeSlice) -> None:
        self._loop = loop
        self._starter = starter
        self._slice = slice_
        # In the order of their joining, each with its number in that order.
        self._recipients: dict[Recipient, int] = {}
        self._newest = 0
        # The same, for who goes through them while they change; None after a change.
        self._snapshot: tuple[Recipient, ...] | None = None
        self._messages: deque[_Message] = deque()
        # Whether a message is under way; the slice or the end of a wait goes on with it.
        self._is_busy = False
        # Members until the clock is looked at.
        self._left = _MEMBERS_PER_LOOK
        # The full outboxes that the first message waits for, with what ends the wait; empty while there is none.
        self._late: dict[Outbox, None] = {}
        self._late_size = 0
        self._timer: asyncio.Handle | None = None
        self._wait_began = 0.0
        # Iterations that are left of a wait when its time is over.
        self._grace = 0
        # How long the room might have waited at that time.
        self._patience = _PATIENCE_SECONDS
        self._patience_at = loop.time()

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

    def _recipients_of(self, message: _Message) -> Iterator[Recipient]:
        if message.newest != self._newest:
            return iter([each for each, number in self._recipients.items() if number <= message.newest])
        if self._snapshot is None:
            self._snapshot = tuple(self._recipients)
        return iter(self._snapshot)

    # -- messages

    def bring(self, data: str | bytes, *, key: str | None = None, exclude: str | None = None) -> Awaitable[None]:
        """Bring a message to all but the connection `exclude`; what it returns ends when all have it."""
        message = _Message(self._newest, exclude, key)
        message.broadcast = Broadcast(data, size_of(data))
        self._messages.append(message)
        if not self._is_busy:
            self._begin()
        if message.is_through and message.late is None:
            return DONE
        message.waiter = self._loop.create_future()
        return message.waiter

    def announce(self, make: Callable[[], str | bytes | None], *, exclude: str) -> None:
        """Bring what `make` gives when its turn comes, if it gives anything, to all but `exclude`; wait for nothing."""
        message = _Message(self._newest, exclude)
        message.make = make
        self._messages.append(message)
        if self._is_busy:
            return
        if self._slice.is_over:
            self._is_busy = True
            self._slice.go_on(self._go_on)
        else:
            self._begin()

    def _begin(self) -> None:
        self._is_busy = True
        if not self._go_on():
            self._slice.go_on(self._go_on)

    def _go_on(self) -> bool:
        """Bring messages until the slice is over; False if it is to be called again."""
        try:
            return self._run()
        except BaseException:
            # It ends the program, or tries to.
            self._give_up()
            raise

    def _run(self) -> bool:
        self._slice.begin()
        messages = self._messages
        while messages:
            message = messages[0]
            if message.to is not None or self._prepare(message):
                self._starter.start(self._writes(message))
                if not message.is_through:
                    return False
                if message.late is not None:
                    late, message.late = message.late, None
                    self._wait(message, late)
                    return True
            messages.popleft()
            message.release()
            self._left -= 1
            if self._left <= 0 and messages:
                if self._slice.is_over:
                    return False
                self._left = _MEMBERS_PER_LOOK
        self._is_busy = False
        return True

    def _prepare(self, message: _Message) -> bool:
        """Find out what the message is and for whom; False if there is nothing to send."""
        message.to = self._recipients_of(message)
        if message.make is not None:
            data = message.make() if self._recipients else None
            if data is None:
                return False
            message.broadcast = Broadcast(data, size_of(data))
        return True

    def _writes(self, message: _Message) -> Iterator[Work]:  # noqa: C901, PLR0912 -- each call less is one for each delivery
        """Give what is to be begun for a message; for members that cannot take it now, put it into their outboxes."""
        broadcast, exclude = message.broadcast, message.exclude
        # A large message may have to be compressed anew for each of them.
        cost = 1 + broadcast.size // _BYTES_LIKE_A_MEMBER
        left = self._left
        for recipient in message.to or ():
            if recipient.active and recipient.origin != exclude:
                outbox = recipient.outbox
                if outbox.writer is not None:
                    if outbox.is_crowded(broadcast.size):
                        message.is_late(recipient)
                    else:
                        outbox.put(recipient, broadcast, message.key)
                elif outbox.push is None:
                    yield outbox.write(broadcast)
                else:
                    try:
                        is_sent = outbox.push(broadcast)
                    except BaseException as error:  # noqa: BLE001 -- `fail` raises again what ends the program
                        outbox.fail(error)
                    else:
                        if is_sent:
                            outbox.delivered += 1
                        else:
                            yield outbox.write_refused(recipient, broadcast, message.key)
            left -= cost
            if left <= 0:
                if self._slice.is_over:
                    self._left = 0
                    return
                left = _MEMBERS_PER_LOOK
        self._left = left
        message.is_through = True

    # -- members whose outboxes are full

    def _wait(self, message: _Message, late: list[Recipient]) -> None:
        """Give them a moment before their policies are applied, all at once: many that do not read take no longer.

        The room has one budget for that. When it is spent, a member that reads still gets the moment in which its
        server writes what it holds, since a burst is to close no such client. A member that has taken nothing in a wait
        gets no other before it takes something.
        """
        self._late = dict.fromkeys(recipient.outbox for recipient in late)
        self._late_size = message.broadcast.size
        for outbox in self._late:
            outbox.watch(self._on_progress)
        message.to, message.is_through = iter(late), False
        self._wait_began = now = self._loop.time()
        self._patience = min(_PATIENCE_SECONDS, self._patience + (now - self._patience_at) * _PATIENCE_SHARE)
        self._grace = _GRACE_ITERATIONS
        self._timer = self._loop.call_later(max(self._patience, _LEAST_PATIENCE_SECONDS), self._pass_grace)

    def _pass_grace(self) -> None:
        if self._grace:
            self._grace -= 1
            self._timer = self._loop.call_soon(self._pass_grace)
        else:
            self._end_wait()

    def _on_progress(self, outbox: Outbox) -> None:
        if not outbox.is_full(self._late_size):
            del self._late[outbox]
            outbox.unwatch(self._on_progress)
            if not self._late:
                self._end_wait()

    def _end_wait(self) -> None:
        self._forget_wait()
        now = self._loop.time()
        self._patience = max(0.0, self._patience - (now - self._wait_began))
        self._patience_at = now
        self._slice.go_on(self._go_on)

    def _forget_wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        late, self._late = self._late, {}
        for outbox in late:
            outbox.unwatch(self._on_progress)
            outbox.is_stuck = True

    def stop(self) -> None:
        """Bring nothing more, to nobody."""
        self._recipients.clear()
        self._snapshot = None
        self._give_up()

    def _give_up(self) -> None:
        """Release waiting publishers. That no member is left is no reason to cancel them."""
        self._forget_wait()
        messages, self._messages = self._messages, deque()
        for message in messages:
            message.release()
        self._is_busy = False
