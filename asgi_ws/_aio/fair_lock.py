"""A lock that goes to those who wait in the order of their coming."""

import asyncio
from collections.abc import Callable

from .futures import resolve


class FairLock(list["asyncio.Future[None]"]):
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
