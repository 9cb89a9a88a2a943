"""Calls of a broker that fail for a while: when they are tried again, and what the log says of it."""

import asyncio
import logging
import random
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


class Trouble:
    """The rooms that the broker fails to do one thing for: one line in the log when that begins, and one when it ends.

    Args:
        what: the broker fails to do.
        therefore: follows from that.
    """

    __slots__ = ("_is_told", "_rooms", "_therefore", "_what")

    def __init__(self, what: str, therefore: str) -> None:
        self._what = what
        self._therefore = therefore
        self._rooms: set[str] = set()
        self._is_told = False

    def begin(self, room: str, error: Exception) -> None:
        """Note that the broker failed for a room."""
        self._rooms.add(room)
        if not self._is_told:
            self._is_told = True
            logger.error("broker failed to %s room %a; %s", self._what, room, self._therefore, exc_info=error)

    def end(self, room: str) -> None:
        """Note that the broker did what it was asked for a room."""
        self._rooms.discard(room)
        if self._is_told and not self._rooms:
            self._is_told = False
            logger.warning("broker does not fail any more to %s rooms", self._what)

    def forget(self, room: str) -> None:
        """Note that the broker is not asked for a room any more."""
        self._rooms.discard(room)


class Troubles:
    """The things that a broker may fail to do for rooms."""

    __slots__ = ("reading", "subscribing", "unsubscribing")

    def __init__(self) -> None:
        self.subscribing = Trouble("subscribe to", "retrying, and its members miss messages until it succeeds")
        self.unsubscribing = Trouble("unsubscribe from", "retrying some times")
        self.reading = Trouble("read the history of", "its members may miss messages")
