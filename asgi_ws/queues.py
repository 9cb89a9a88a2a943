"""What waits on a connection: senders for their turn, and messages that nobody wanted yet."""

import asyncio
from collections.abc import Callable
from typing import Final

from ._asgi import Event, Receive

# What may wait unread while `wait_closed` or `until_closed` reads; past either bound messages are dropped and counted.
KEPT_MESSAGES: Final = 1024
KEPT_BYTES: Final = 256 * 1024


class Turns(list["asyncio.Future[None]"]):
    """Senders that wait for their turn, first come, first served. A list, since an empty deque takes 700 bytes."""

    __slots__ = ()

    async def wait(self, free: Callable[[], None]) -> None:
        """Wait for the turn. Whoever got it passes it on when it is done; if it goes to nobody, `free` is called."""
        turn = asyncio.get_running_loop().create_future()
        self.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # The turn may have come in the moment of the cancellation.
            if turn.done() and not turn.cancelled() and turn.exception() is None and not self.pass_on():
                free()
            raise

    def pass_on(self) -> bool:
        """Give the turn to the next one; False if nobody waits."""
        while self:
            turn = self.pop(0)
            if not turn.done():
                turn.set_result(None)
                return True
        return False

    def fail(self, error: Exception) -> None:
        """Raise `error` in everyone who waits."""
        while self:
            resolve(self.pop(0), error)


def resolve(waiter: "asyncio.Future[None]", error: Exception | None = None) -> None:
    """Let go on who waits, or raise `error` there, unless he has given up."""
    if waiter.done():
        return
    if error is None:
        waiter.set_result(None)
    else:
        waiter.set_exception(error)


def is_running_in(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is called by the loop, in its thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


class Kept(list[str | bytes]):
    """Messages that came while nobody wanted them, oldest first, bounded in number and in size."""

    __slots__ = ("_size",)

    def __init__(self) -> None:
        super().__init__()
        # The bytes that they took on the wire.
        self._size = 0

    def put(self, data: str | bytes) -> bool:
        """Keep a message; False if it is past a bound."""
        size = size_of(data)
        if len(self) >= KEPT_MESSAGES or self._size + size > KEPT_BYTES:
            return False
        self.append(data)
        self._size += size
        return True

    def take(self) -> str | bytes:
        """The oldest message. Raises IndexError if there is none."""
        data = self.pop(0)
        self._size -= size_of(data)
        return data


def size_of(data: str | bytes) -> int:
    """The size of a message in bytes, as it was on the wire."""
    return len(data) if not isinstance(data, str) or data.isascii() else len(data.encode())


class PendingReceive:
    """An ASGI `receive` of which a cancelled call loses nothing: the next call goes on where it was left."""

    __slots__ = ("_receive", "_task")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        # The call that is under way; None while there is none.
        self._task: asyncio.Task[Event] | None = None

    async def receive(self) -> Event:
        """The next event."""
        if self._task is None:
            self._task = asyncio.create_task(self._call(), name="asgi_ws receive")
        # A caller that is cancelled in the moment in which the event comes has not got it: it stays for the next one.
        event = await asyncio.shield(self._task)
        self._task = None
        return event

    async def _call(self) -> Event:
        return await self._receive()

    async def cancel(self) -> None:
        """Give up the call that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
