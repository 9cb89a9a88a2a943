"""Calls of a broker that fail for a while: the time of the next try, and what is logged."""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final

from ..errors import end_of_program

logger = logging.getLogger("asgi_ws")

_FIRST_SECONDS: Final = 0.1
MOST_SECONDS: Final = 5.0


def delay_after(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row.

    It doubles with each, up to five seconds. A random half keeps many from trying in the same moment.
    """
    most = min(_FIRST_SECONDS * 2.0 ** min(failures - 1, 32), MOST_SECONDS)
    return most * random.uniform(0.5, 1.0)  # noqa: S311 -- not a secret


def failure_of(error: BaseException) -> Exception:
    """Return how a broker's call failed; raise again what ends the program, and a cancellation of the current task.

    Libraries cancel what waits for a connection that they lose, and raise what is not an Exception in groups.
    """
    if isinstance(error, Exception):
        return error
    # Python closes with a GeneratorExit what a loop left behind.
    if isinstance(error, GeneratorExit) or end_of_program(error) is not None:
        raise error
    is_cancelled = isinstance(error, asyncio.CancelledError)
    task = asyncio.current_task()
    if is_cancelled and (task is None or task.cancelling()):
        raise error
    did = "cancelled the call" if is_cancelled else f"raised {type(error).__name__}"
    failure = ConnectionError(f"the broker {did}")
    failure.__cause__ = error
    return failure


class Backoff:
    """The failures of a call in a row, and the timer of its next try.

    Attributes:
        failures: since the last success.
    """

    __slots__ = ("_loop", "_timer", "failures")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self.failures = 0

    def plan(self, again: Callable[[], object]) -> float:
        """Count a failure and call `again` later; return in how many seconds."""
        self.failures += 1
        seconds = delay_after(self.failures)
        self._timer = self._loop.call_later(seconds, again)
        return seconds

    def cancel(self) -> None:
        """Cancel the next try."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reset(self) -> None:
        """Cancel the next try and forget the failures."""
        self.cancel()
        self.failures = 0


class FailureLog:
    """The rooms that one kind of call fails for: one line in the log when that begins, and one when it ends.

    Args:
        call: the words for it.
        result: the words for what follows from a failure.
    """

    __slots__ = ("_call", "_is_logged", "_result", "_rooms")

    def __init__(self, call: str, result: str) -> None:
        self._call = call
        self._result = result
        self._rooms: set[str] = set()
        self._is_logged = False

    def failed(self, room: str, error: Exception) -> None:
        """Note that the call failed for a room."""
        self._rooms.add(room)
        if not self._is_logged:
            self._is_logged = True
            logger.error("broker failed to %s room %a; %s", self._call, room, self._result, exc_info=error)

    def succeeded(self, room: str) -> None:
        """Note that the call succeeded for a room."""
        self._rooms.discard(room)
        if self._is_logged and not self._rooms:
            self._is_logged = False
            logger.warning("broker can %s rooms again", self._call)

    def discard(self, room: str) -> None:
        """Note that the broker is not called for a room any more."""
        self._rooms.discard(room)


class FailureLogs:
    """The kinds of calls that a broker may fail in."""

    __slots__ = ("reading", "subscribing", "unsubscribing")

    def __init__(self) -> None:
        self.subscribing = FailureLog("subscribe to", "retrying, and its members miss messages until it succeeds")
        self.unsubscribing = FailureLog("unsubscribe from", "retrying some times")
        self.reading = FailureLog("read the history of", "its members may miss messages")
