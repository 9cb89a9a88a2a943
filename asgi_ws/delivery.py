"""The members of one room, and what is on its way to them: one message after the other, whoever publishes."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from ._asgi import Broadcast
from .backlog import Source
from .eager import Starter, Work
from .outbox import Outbox
from .queues import resolve, size_of

# How long all rooms of a hub together may serve their members before the loop gets a turn, in seconds.
_SLICE_SECONDS: Final = 0.01
# After so many members the clock is looked at.
_MEMBERS_PER_LOOK: Final = 64
# So many bytes of a message count as one member more.
_BYTES_LIKE_A_MEMBER: Final = 1024


class Slice:
    """The time that is left in this turn of the loop.

    It is the thread's own: a busy machine makes no turn shorter, and uvloop's clock would stand still within one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._until: float | None = None

    def begin(self) -> None:
        """Begin to count, if nobody has in this turn."""
        if self._until is None:
            self._until = time.thread_time() + _SLICE_SECONDS
            self._loop.call_soon(self._end)

    def _end(self) -> None:
        self._until = None

    @property
    def is_over(self) -> bool:
        return self._until is not None and time.thread_time() > self._until


class Recipient(Source, Protocol):
    """A member of a room, as a message sees it."""

    active: bool
    outbox: Outbox
    origin: str


@dataclass(slots=True)
class _Message:
    """One message on its way to the members that there were when it came."""

    broadcast: Broadcast
    key: str | None
    exclude: str | None
    to: Iterator[Recipient]
    # Those whose outbox is full, but not for long yet.
    late: list[Recipient] = field(default_factory=list)
    # Whether it has come to the end of `to`.
    is_through: bool = False
    # Who published it, if it took more than his turn.
    waiter: "asyncio.Future[None] | None" = None

    @property
    def is_done(self) -> bool:
        return self.is_through and not self.late

    def release(self) -> None:
        """Let who published it go on."""
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

    A message is begun at once, and done in the turn of who published it unless that takes too long; then a task goes on
    with it, which no cancellation of the publisher ends, and what is published meanwhile comes after it.
    """

    __slots__ = ("_is_busy", "_messages", "_pump", "_recipients", "_slice", "_snapshot", "_starter")

    def __init__(self, starter: Starter, slice_: Slice) -> None:
        self._starter = starter
        self._slice = slice_
        self._recipients: dict[Recipient, None] = {}
        # The same, for who goes through them while they change.
        self._snapshot: tuple[Recipient, ...] | None = None
        self._messages: deque[_Message] = deque()
        self._is_busy = False
        self._pump: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._recipients)

    def add(self, recipient: Recipient) -> None:
        """One more, from the next message on."""
        self._recipients[recipient] = None
        self._snapshot = None

    def remove(self, recipient: Recipient) -> None:
        """One less."""
        del self._recipients[recipient]
        self._snapshot = None

    def recipients(self) -> tuple[Recipient, ...]:
        """All that there are now."""
        if self._snapshot is None:
            self._snapshot = tuple(self._recipients)
        return self._snapshot

    def bring(self, data: str | bytes, *, key: str | None = None, exclude: str | None = None) -> Awaitable[None]:
        """Bring a message to all but the connection `exclude`; what it returns ends when all have it."""
        message = _Message(Broadcast(data, size_of(data)), key, exclude, iter(self.recipients()))
        self._messages.append(message)
        if not self._is_busy:
            self._is_busy = True
            try:
                self._is_busy = not self._run()
            except BaseException:
                # What ends the program, or tries to.
                self._is_busy = False
                self._give_up()
                raise
            if self._is_busy:
                self._pump = asyncio.create_task(self._go_on(), name="asgi_ws hub delivery")
        if message.is_done:
            return DONE
        message.waiter = asyncio.get_running_loop().create_future()
        return message.waiter

    async def _go_on(self) -> None:
        try:
            while True:
                await asyncio.sleep(0)
                await self._wait_for_late()
                if self._run():
                    return
        finally:
            # Nothing is left, unless this is the end of it.
            self._give_up()
            self._pump = None
            self._is_busy = False

    async def _wait_for_late(self) -> None:
        """Give those whose outbox is full a moment, before what their policy says is done."""
        message = self._messages[0]
        if message.is_through and message.late:
            late, message.late = message.late, []
            # All at once: many that do not read take no longer than one.
            await asyncio.gather(*(recipient.outbox.room_for(message.broadcast.size) for recipient in late))
            message.to = iter(late)
            message.is_through = False

    def _run(self) -> bool:
        """Bring messages until the time is over; whether none is left."""
        self._slice.begin()
        while self._messages:
            message = self._messages[0]
            self._starter.start(self._writes(message))
            if not message.is_done:
                return False
            self._messages.popleft()
            message.release()
        return True

    def _writes(self, message: _Message) -> Iterator[Work]:  # noqa: C901, PLR0912 -- each call less is one for each delivery
        """What is to be begun for a message; for who cannot take it now, it is put into his outbox."""
        broadcast, exclude = message.broadcast, message.exclude
        # A large message may have to be compressed anew for each of them.
        cost = 1 + broadcast.size // _BYTES_LIKE_A_MEMBER
        left = _MEMBERS_PER_LOOK
        for recipient in message.to:
            if recipient.active and recipient.origin != exclude:
                outbox = recipient.outbox
                if outbox.writer is not None:
                    if outbox.is_crowded(broadcast.size):
                        message.late.append(recipient)
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
                            yield outbox.write(broadcast)
            left -= cost
            if left <= 0:
                if self._slice.is_over:
                    return
                left = _MEMBERS_PER_LOOK
        message.is_through = True

    def stop(self) -> None:
        """Bring nothing more."""
        if self._pump is not None:
            self._pump.cancel()
        self._give_up()

    def _give_up(self) -> None:
        """Let go of who publishes: that nobody is left to wait for is no reason to cancel him."""
        for message in self._messages:
            message.release()
        self._messages.clear()
