"""A lock that its waiters get in the order of their calls."""

import asyncio
from collections.abc import Callable

from .futures import resolve


class FairLock(list["asyncio.Future[None]"]):
    """Waiting senders, first in, first out. A list, since an empty deque takes 700 bytes."""

    __slots__ = ()

    async def wait(self, free: Callable[[], None]) -> None:
        """Wait for the lock. Its holder calls `pass_on` when it is done; without a waiter left, call `free`."""
        turn = asyncio.get_running_loop().create_future()
        self.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # The lock may have been given in the moment of the cancellation.
            if turn.done() and not turn.cancelled() and turn.exception() is None and not self.pass_on():
                free()
            raise

    def pass_on(self) -> bool:
        """Give the lock to the next waiter; return False if there is none."""
        while self:
            turn = self.pop(0)
            if not turn.done():
                turn.set_result(None)
                return True
        return False

    def fail(self, error: Exception) -> None:
        """Raise `error` in all waiters."""
        while self:
            resolve(self.pop(0), error)
