"""Failures of a test, named by their cause. Each has its facts as fields, and builds its text from them.

AssertionError
├── ProtocolViolation      the application sent what the ASGI text forbids; also raised in its `send`
├── HandshakeFailed        the application accepted in a way that a client refuses
├── Unanswered             the application ended before it had answered a request, or its start or stop
├── ApplicationCancelled   the application was cancelled, and not by the test
├── TaskFailed             a task of the application's raised, and nobody awaited it
├── LeakedTasks            the application has ended and left tasks running
└── ContractBroken         a broker does not do what every broker promises
TimeoutError
└── WaitTimeout            what the test waited for did not come in time
ConnectionClosed
├── ApplicationEnded       the application returned, or raised, without closing
└── HandshakeDenied        the test goes on as if a denied handshake had been accepted
"""

import asyncio
import traceback
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from ..errors import ConnectionClosed
from . import task_report

# How much of an event, and of a text in it, a message shows.
_SHOWN: Final = 200
_SHOWN_OF_TEXT: Final = 40
_SHOWN_OF_LIST: Final = 20
_DEEPEST: Final = 4


def show(event: object) -> str:
    """Return the repr of an event, cut to a length for a message. Never raises."""
    try:
        text = repr(_cut(event, _DEEPEST))
    except Exception as error:  # noqa: BLE001 -- a foreign repr must not change what happens
        return f"<{type(event).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


class _Shown(str):
    """A text that `repr` shows as it is."""

    __slots__ = ()
    __repr__ = str.__str__


def _cut(value: object, depth: int) -> object:
    """Return a value with the same `repr` but for long parts: the repr of many megabytes takes seconds."""
    if isinstance(value, str | bytes | bytearray) and len(value) > _SHOWN_OF_TEXT:
        unit = "characters" if isinstance(value, str) else "bytes"
        return _Shown(f"{value[:_SHOWN_OF_TEXT]!r}... of {len(value)} {unit}")
    if not isinstance(value, Mapping | list | tuple):
        return value
    if not depth:
        return _Shown("...")
    if isinstance(value, Mapping):
        return {key: _cut(part, depth - 1) for key, part in islice(value.items(), _SHOWN_OF_LIST)}
    parts = [_cut(part, depth - 1) for part in value[:_SHOWN_OF_LIST]]
    if len(value) > len(parts):
        parts.append(_Shown(f"... of {len(value)}"))
    return parts if isinstance(value, list) else tuple(parts)


class _RuleBroken(AssertionError):
    """`why` something is wrong, and the `clause` of the text that says so."""

    def __init__(self, clause: str, why: str) -> None:
        super().__init__(clause, why)
        self.clause = clause
        self.why = why

    def __str__(self) -> str:
        return f"{self.why}\n  see:   {self.clause}"


class HandshakeFailed(_RuleBroken):
    """The application accepted, and a client fails that handshake: the `clause` by which it does, and `why`."""


class Unanswered(_RuleBroken):
    """The application ended and still owed an answer: the `clause` that asks for it, and `why`."""


class ProtocolViolation(_RuleBroken):
    """The application sent an `event` that a `clause` of the ASGI text (or of an RFC) forbids, and `why`."""

    def __init__(self, event: object, clause: str, why: str) -> None:
        super().__init__(clause, why)
        self.args = (event, clause, why)
        self.event = event

    def __str__(self) -> str:
        return f"{self.why}\n  event: {show(self.event)}\n  see:   {self.clause}"


class ApplicationCancelled(AssertionError):
    """The application let out a CancelledError that the test had not asked for; the cause shows where it came from."""

    def __str__(self) -> str:
        return (
            "the application ended with a CancelledError: what it awaited was cancelled, or it cancelled itself "
            "(to end it from a test: stop())"
        )


class TaskFailed(AssertionError):
    """A task of the application's raised, and nobody awaited it: its `name`, with the exception as the cause."""

    def __init__(self, name: str, error: BaseException) -> None:
        super().__init__(name, error)
        self.name = name
        self.__cause__ = error

    def __str__(self) -> str:
        error = self.__cause__
        calls = list(traceback.walk_tb(None if error is None else error.__traceback__))
        # The application's own line tells more than that of a library.
        own = [(frame, line) for frame, line in calls if task_report.library_of(frame) is None] or calls
        place = "".join(f" ({task_report.place_in(frame, line)})" for frame, line in own[-1:])
        return f"task {self.name!r} of the application raised, and nobody awaited it: {show(error)}{place}"


class LeakedTasks(AssertionError):
    """The application has ended, and `tasks` that it started still run; the kit has cancelled them."""

    def __init__(self, tasks: Sequence["asyncio.Task[Any]"]) -> None:
        super().__init__(tasks)
        self.tasks = tuple(tasks)
        self.names = tuple(task.get_name() for task in tasks)
        # Where they stand now; when somebody reads this they are cancelled.
        self._report = task_report.report(tasks)

    def __str__(self) -> str:
        return (
            "the application has ended and left tasks running; keep them in a TaskGroup, or cancel and await them:\n"
            f"{self._report}"
        )


class ContractBroken(AssertionError):
    """A broker does not keep a `promise` of the contract: what was `expected`, and what was `found`."""

    def __init__(self, promise: str, expected: object, found: object) -> None:
        super().__init__(promise, expected, found)
        self.promise = promise
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        expected, found, after = self.expected, self.found, ""
        if isinstance(expected, list) and isinstance(found, list):
            # Of two long lists it matters where they part.
            pairs = zip(expected, found, strict=False)
            shorter = min(len(expected), len(found))
            same = next((index for index, (one, other) in enumerate(pairs) if one != other), shorter)
            expected, found, after = expected[same:], found[same:], f", after {same} as expected" if same else ""
        return f"{self.promise}\n  expected: {show(expected)}{after}\n  found:    {show(found)}{after}"


class WaitTimeout(TimeoutError):
    """The `awaited` thing did not happen within `seconds` of real time. `report` is the state of the application.

    `place` is the line of the application at which it is waiting, or "".
    """

    def __init__(self, awaited: str, seconds: float, report: str, place: str = "") -> None:
        super().__init__(awaited, seconds, report, place)
        self.awaited = awaited
        self.seconds = seconds
        self.report = report
        self.place = place

    def __str__(self) -> str:
        # The first line is all that a test runner's summary shows.
        where = f"; the application is at {self.place}" if self.place else ""
        return f"timed out after {self.seconds:g} s waiting for {self.awaited}{where}\n{self.report}"


class ApplicationEnded(ConnectionClosed):
    """The application returned, or raised, without closing the connection: the peer sees `code`, and `why`."""

    def __init__(self, code: int, reason: str, why: str) -> None:
        super().__init__(code, reason)
        self.why = why

    def __str__(self) -> str:
        return f"{self.why}; the peer sees close code {self.code}"


class HandshakeDenied(ConnectionClosed):
    """The handshake was answered with an HTTP `status`, so the connection does not exist."""

    def __init__(self, status: int) -> None:
        super().__init__(1006, f"HTTP {status}")
        self.status = status

    def __str__(self) -> str:
        return f"the handshake was denied with HTTP {self.status}, so the connection does not exist"
