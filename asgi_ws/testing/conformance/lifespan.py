"""An application's lifespan events held against the ASGI text: each rule beside the clause that makes it one."""

from functools import partial
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from ..errors import ProtocolViolation
from .websocket import Broken, held_against, typed

STARTUP_COMPLETE: Final = 'ASGI, Lifespan, "Startup Complete - send event"'
STARTUP_FAILED: Final = 'ASGI, Lifespan, "Startup Failed - send event"'
SHUTDOWN_COMPLETE: Final = 'ASGI, Lifespan, "Shutdown Complete - send event"'
SHUTDOWN_FAILED: Final = 'ASGI, Lifespan, "Shutdown Failed - send event"'

# What the server has asked the application for.
Phase: TypeAlias = Literal["startup", "shutdown"]

_CLAUSES: Final = MappingProxyType(
    {
        "lifespan.startup.complete": STARTUP_COMPLETE,
        "lifespan.startup.failed": STARTUP_FAILED,
        "lifespan.shutdown.complete": SHUTDOWN_COMPLETE,
        "lifespan.shutdown.failed": SHUTDOWN_FAILED,
    }
)


def violation(event: object, phase: Phase, *, is_answered: bool) -> ProtocolViolation | None:
    """What is wrong with an event that an application sends in this phase, which it may have answered already."""
    return held_against(partial(_check, event, phase, is_answered=is_answered), event)


def _check(event: object, phase: Phase, *, is_answered: bool) -> None:
    kind, fields = typed(event)
    clause = _CLAUSES.get(kind)
    if clause is None:
        why = f"{kind!r} is no event of a lifespan; there are {', '.join(_CLAUSES)}"
        raise Broken(STARTUP_COMPLETE if phase == "startup" else SHUTDOWN_COMPLETE, why)
    if kind.startswith("lifespan.shutdown") and phase == "startup":
        raise Broken(clause, f"{kind} before lifespan.shutdown was received")
    if kind.startswith("lifespan.startup") and phase == "shutdown":
        raise Broken(clause, f"{kind} after lifespan.shutdown: the start-up is over")
    if is_answered:
        raise Broken(clause, f"{kind} after the application has answered lifespan.{phase} already")
    message = fields.get("message", "")
    if not isinstance(message, str):
        raise Broken(clause, f"message is str, not {type(message).__name__}")
