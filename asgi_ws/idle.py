"""A deadline that every message moves, at the price of one attribute for each message."""

import asyncio
from collections.abc import Callable


class IdleTimer:
    """Calls `on_idle` once, when nothing was touched for `seconds`. One timer of the loop serves a whole connection."""

    __slots__ = ("_handle", "_last", "_loop", "_on_idle", "_seconds")

    def __init__(self, seconds: float, on_idle: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._on_idle = on_idle
        self._last = self._loop.time()
        self._handle = self._loop.call_at(self._last + seconds, self._check)

    def touch(self) -> None:
        """There was a message now."""
        self._last = self._loop.time()

    def stop(self) -> None:
        """Never call `on_idle`, and let go of it."""
        self._handle.cancel()
        self._on_idle = _nothing

    def _check(self) -> None:
        due = self._last + self._seconds
        if due > self._loop.time():
            self._handle = self._loop.call_at(due, self._check)
        else:
            self._on_idle()


def _nothing() -> None: ...
