"""Bounds of waits that do not depend on how busy the machine is."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from asgi_ws.testing import clock

from ..hanging import HANGING

# A wait with a shorter bound is meant to time out.
BRIEF: Final = 1.0
# Iterations without another callback after which a loop is idle, and iterations with one after which it never will be.
_AT_REST: Final = 20
_NEVER_AT_REST: Final = 300


class AtRest:
    """A call that is made when the loop is idle, and no timer is due within the given seconds."""

    def __init__(self, seconds: float, callback: Callable[[], object]) -> None:
        self._loop: Any = asyncio.get_running_loop()
        self._callback = callback
        self._end = self._loop.time() + seconds
        self._idle = self._iterations = 0
        self._handle: asyncio.Handle = self._loop.call_soon(self._look)

    def cancel(self) -> None:
        self._handle.cancel()

    def _look(self) -> None:
        self._iterations += 1
        timers = [timer.when() for timer in self._loop._scheduled if not timer.cancelled()]
        is_due = bool(timers) and min(timers) <= self._end
        others = [handle for handle in self._loop._ready if not _is_ours(handle)]
        self._idle = 0 if others or is_due else self._idle + 1
        if self._idle >= _AT_REST or self._iterations >= _NEVER_AT_REST:
            self._callback()
        elif is_due and not others:
            # The timer itself is called before this.
            self._handle = self._loop.call_at(min(timers) + 0.001, self._look)
        else:
            self._handle = self._loop.call_soon(self._look)


def _is_ours(handle: Any) -> bool:
    return handle.cancelled() or isinstance(getattr(handle._callback, "__self__", None), AtRest)


def after(seconds: float, callback: Callable[[], object]) -> AtRest | clock.RealTimer:
    """Take the place of the kit's own `after`."""
    loop = asyncio.get_running_loop()
    if seconds >= BRIEF or clock.active(loop) is not None or not isinstance(loop, asyncio.BaseEventLoop):
        return clock.after(seconds if seconds < BRIEF else max(seconds, HANGING), callback)
    return AtRest(seconds, callback)
