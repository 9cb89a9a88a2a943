"""What makes a test fail, named by who caused it. Each carries its facts as fields, and builds its text from them.

AssertionError
├── ProtocolViolation      the application sent what the ASGI text forbids; also raised in its `send`
├── HandshakeFailed        the application accepted in a way that a client refuses
├── Unanswered             the application ended before it had answered a request, or its start or stop
├── ApplicationCancelled   the application ended with a cancellation that nobody asked for
└── LeakedTasks            the application has ended and left tasks running
TimeoutError
└── WaitTimeout            what the test waited for did not come in time
ConnectionClosed
├── ApplicationEnded       the application returned, or raised, without closing
└── HandshakeDenied        the test goes on as if a denied handshake had been accepted
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConnectionClosed
from . import whereabouts
from .manners import Misuse

_SHOWN = 200


def show(event: object) -> str:
    """The repr of an event, cut to a length that a message can bear."""
    text = repr(dict(event)) if isinstance(event, Mapping) else repr(event)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


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
    """The application sent an `event` that a `clause` of the ASGI text (or of an RFC) forbids, and `why`.

    `misuse` is its kind, where servers differ in what they do with it.
    """

    def __init__(self, event: object, clause: str, why: str, misuse: Misuse | None = None) -> None:
        super().__init__(clause, why)
        self.args = (event, clause, why, misuse)
        self.event = event
        self.misuse: Misuse | None = misuse

    def __str__(self) -> str:
        return f"{self.why}\n  event: {show(self.event)}\n  see:   {self.clause}"


class ApplicationCancelled(AssertionError):
    """The application let out a CancelledError though nobody had cancelled it; the cause shows where it came from."""

    def __str__(self) -> str:
        return "the application ended with a CancelledError that nobody asked for: what it awaited was cancelled"


class LeakedTasks(AssertionError):
    """The application has ended, and `tasks` that it started still run; the kit has cancelled them."""

    def __init__(self, tasks: Sequence["asyncio.Task[Any]"]) -> None:
        super().__init__(tasks)
        self.tasks = tuple(tasks)
        self.names = tuple(task.get_name() for task in tasks)
        # Where they stand now; when somebody reads this they are cancelled.
        self._report = whereabouts.report(tasks)

    def __str__(self) -> str:
        return (
            "the application has ended and left tasks running; keep them in a TaskGroup, or cancel and await them:\n"
            f"{self._report}"
        )


class WaitTimeout(TimeoutError):
    """What was `awaited` did not come within `seconds` of real time; `report` says how far things had come."""

    def __init__(self, awaited: str, seconds: float, report: str) -> None:
        super().__init__(awaited, seconds, report)
        self.awaited = awaited
        self.seconds = seconds
        self.report = report

    def __str__(self) -> str:
        return f"waited {self.seconds:g} s for {self.awaited}, in vain\n{self.report}"


class ApplicationEnded(ConnectionClosed):
    """The application returned, or raised, without closing the connection: the peer sees `code`, and `why`."""

    def __init__(self, code: int, reason: str, why: str) -> None:
        super().__init__(code, reason)
        self.why = why

    def __str__(self) -> str:
        return f"{self.why}; the peer sees {super().__str__()}"


class HandshakeDenied(ConnectionClosed):
    """There is no connection, since the handshake was answered with an HTTP `status`."""

    def __init__(self, status: int) -> None:
        super().__init__(1006, f"HTTP {status}")
        self.status = status

    def __str__(self) -> str:
        return f"the handshake was denied with HTTP {self.status}: there is no connection to use"
