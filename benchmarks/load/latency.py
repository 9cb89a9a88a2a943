"""Latencies without coordinated omission, and the schedule that they are counted from.

In the open loop messages are due at fixed times. A message that the server or the generator delays waits, and its
waiting counts: the latency runs from the moment at which the message was due.
"""

import asyncio
import math
import signal
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from hdrh.histogram import HdrHistogram

# Seconds. Messages that are due more often than this are due several at a time: each waking costs the generator.
FINEST: Final = 0.0001
_HOUR: Final = 3_600_000_000


class Span(Protocol):
    """From when to when, by the clock of `time.perf_counter`."""

    began: float
    ended: float


class Recorder:
    """All replies of a run, in the order in which they came.

    Attributes:
        due: for each reply the moment from which its latency counts.
        came: for each reply the moment when it was there.
        extra: bytes on the wire above `wire` for each reply, over all of them; negative where compression saves.
        wire: bytes on the wire of a reply as it was expected, uncompressed.
    """

    def __init__(self, wire: int = 0) -> None:
        self.due = array("d")
        self.came = array("d")
        self.extra = 0
        self.wire = wire

    def __len__(self) -> int:
        return len(self.came)

    def received(self, messages: int, extra: int) -> float:
        """Return the bytes on the wire for each of `messages`."""
        return self.wire + extra / messages if messages else 0.0

    def latency(self, which: slice) -> dict[str, float | None]:
        """Return the summary of those entries."""
        return summary(came - due for came, due in zip(self.came[which], self.due[which], strict=True))

    def latency_of_due(self, within: "Span") -> dict[str, float | None]:
        """Return the summary of the messages due within that time, including late ones."""
        both = zip(self.came, self.due, strict=True)
        return summary(came - due for came, due in both if within.began <= due < within.ended)


def summary(seconds: Iterable[float]) -> dict[str, float | None]:
    """Return p50, p99, p99.9 and max in milliseconds, and the count."""
    histogram = HdrHistogram(1, _HOUR, 3)
    # The histogram is plain Python: equal values together make a million of them bearable.
    for microseconds, count in Counter(max(0, round(each * 1_000_000)) for each in seconds).items():
        histogram.record_value(min(microseconds, _HOUR), count)
    found: dict[str, float | None] = {"count": histogram.get_total_count()}
    for percentile in (50, 99, 99.9):
        found[f"p{percentile}"] = histogram.get_value_at_percentile(percentile) / 1000 if found["count"] else None
    found["max"] = histogram.get_max_value() / 1000 if found["count"] else None
    return found


class Pacer:
    """Calls `fire` with the moment at which something was due, for everything that is due, until it is stopped.

    It wakes by an interval timer's signal: timers of event loops count in milliseconds, which is longer than a reply
    takes. Late wakings are made up for, each missed moment with its own due time.

    Attributes:
        late: seconds by which each waking was late.
    """

    def __init__(self, rate: float, fire: Callable[[float], None]) -> None:
        self.late = array("d")
        self._fire = fire
        self._together = max(1, math.ceil(rate * FINEST))
        self._every = self._together / rate
        self._origin = 0.0
        self._rung = 0
        self._running = False

    def start(self, origin: float) -> None:
        """Begin. The first moment is half an interval after `origin`, so that none falls on the ends of a whole one."""
        self._origin = origin
        self._running = True
        asyncio.get_running_loop().add_signal_handler(signal.SIGALRM, self._ring)
        self._arm()

    def stop(self) -> None:
        """End. Nothing is due any more."""
        self._running = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        asyncio.get_running_loop().remove_signal_handler(signal.SIGALRM)

    def lateness(self) -> dict[str, float | None]:
        """Return the summary of `late`."""
        return summary(self.late)

    def _ring(self) -> None:
        # A signal may be on its way here when `stop` is called, and must not arm the timer again: none would catch it.
        if not self._running:
            return
        now = time.perf_counter()
        while (due := self._due()) <= now:
            self._rung += 1
            self.late.append(now - due)
            for _ in range(self._together):
                self._fire(due)
        self._arm()

    def _due(self) -> float:
        return self._origin + (self._rung + 0.5) * self._every

    def _arm(self) -> None:
        # Zero would disarm it.
        signal.setitimer(signal.ITIMER_REAL, max(0.000_001, self._due() - time.perf_counter()))
