"""A run whose events are held against the ASGI text, where there is no server's own way to tell apart from it."""

from typing import NoReturn

from .errors import ProtocolViolation
from .run import Run, unexplained

# A failing test shows its own line and the message, and none of these calls (pytest).
__tracebackhide__ = True


class CheckedRun(Run):
    """A run in which the first event that breaks the ASGI text is a failure, whatever the application makes of it."""

    # The first event that breaks the ASGI text; None while there is none.
    _violation: ProtocolViolation | None = None

    def _refuse(self, broken: ProtocolViolation) -> NoReturn:
        """Raise it here, in the application's `send`, and again where the test waits."""
        self._violation = self._violation or broken
        self._changed()
        raise broken

    def _failures(self, *, is_over: bool = False) -> list[BaseException]:
        broken = [] if self._violation is None else [self._violation]
        errors = super()._failures(is_over=is_over)
        # What the application has let out of `send` is no second failure, alone or in a group.
        return [*broken, *unexplained(errors, lambda leaf: leaf is self._violation)]
