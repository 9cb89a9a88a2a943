"""What waits on a connection: senders for their turn, and messages that nobody wanted yet."""

import asyncio
from collections import deque
from typing import Final

from ._asgi import Event, Receive

# What may wait unread while `wait_closed` or `until_closed` reads; past either bound messages are dropped and counted.
KEPT_MESSAGES: Final = 1024
KEPT_BYTES: Final = 256 * 1024


class Turns(deque["asyncio.Future[None]"]):
    """Senders that wait for their turn, first come, first served."""

    async def wait(self) -> None:
        """Wait for the turn. Whoever got it passes it on when it is done."""
        turn = asyncio.get_running_loop().create_future()
        self.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # The turn may have come in the moment of the cancellation.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.pass_on()
            raise

    def pass_on(self) -> bool:
        """Give the turn to the next one; False if nobody waits."""
        while self:
            turn = self.popleft()
            if not turn.done():
                turn.set_result(None)
                return True
        return False

    def fail(self, error: Exception) -> None:
        """Raise `error` in everyone who waits."""
        while self:
            turn = self.popleft()
            if not turn.done():
                turn.set_exception(error)


class Kept(deque[str | bytes]):
    """Messages that came while nobody wanted them, oldest first, bounded in number and in size."""

    def __init__(self) -> None:
        super().__init__()
        # The sum of their lengths: bytes, or characters for text.
        self._size = 0

    def put(self, data: str | bytes) -> bool:
        """Keep a message; False if it is past a bound."""
        if len(self) >= KEPT_MESSAGES or self._size + len(data) > KEPT_BYTES:
            return False
        self.append(data)
        self._size += len(data)
        return True

    def take(self) -> str | bytes:
        """The oldest message. Raises IndexError if there is none."""
        data = self.popleft()
        self._size -= len(data)
        return data


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
