"""Measurements by the loop's clock for each message: the rates, and the deadline that a message moves."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from .._asgi import Event, Send
from ..limits import Limits, Measure, Refusal, measure_rates

# asyncio's own clock, as it is here: a test that replaces it has its own read.
_LOOP_TIME: Final = asyncio.BaseEventLoop.time


def measure_of(limits: Limits, loop: asyncio.AbstractEventLoop) -> Measure | None:
    """Return a function that counts each received message against the rates, or None without rates."""
    if limits.messages_per_second is limits.bytes_per_second is None:
        return None
    # asyncio's own clock is `time.monotonic` in a function, which makes a reading dearer by half.
    is_plain = getattr(loop.time, "__func__", None) is _LOOP_TIME
    return measure_rates(limits, time.monotonic if is_plain else loop.time)


class IdleTimer:
    """Calls `on_idle` once, after `seconds` without a message. One timer of the loop serves a whole connection."""

    __slots__ = ("_handle", "_last", "_loop", "_on_idle", "_seconds")

    def __init__(self, seconds: float, on_idle: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._on_idle = on_idle
        self._last = 0.0
        # None before the start.
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Count from now on."""
        self._last = self._loop.time()
        self._handle = self._loop.call_at(self._last + self._seconds, self._check)

    def noting_sends(self, send: Send) -> Send:
        """Return `send` with a touch when it is done."""

        async def send_noted(event: Event) -> None:
            await send(event)
            self._last = self._loop.time()

        return send_noted

    def noting_messages(self, measure: Measure | None) -> Measure:
        """Return a function that touches, and calls `measure` if there is one."""

        def measure_noted(data: str | bytes) -> Refusal | None:
            self._last = self._loop.time()
            return None if measure is None else measure(data)

        return measure_noted

    def stop(self) -> None:
        """Stop: do not call `on_idle` any more, and drop the reference to it."""
        if self._handle is not None:
            self._handle.cancel()
        self._on_idle = _nothing

    def _check(self) -> None:
        due = self._last + self._seconds
        if due > self._loop.time():
            self._handle = self._loop.call_at(due, self._check)
        else:
            self._on_idle()


def _nothing() -> None: ...
