"""The events that a client's frames come to (RFC 6455), and the interface by which compressed payloads are inflated.

A text message is a `str` or, where a `str` would be much larger, a `Utf8`; a binary one is `bytes`. Control frames and
violations have types of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from .masking import BytesLike


class Inflater(Protocol):
    """Inflates compressed messages: `deflate.Deflate`.

    Attributes:
        rest: gives what the last part inflates to beyond what `inflate` has returned, in steps, and becomes None with
            its end. It raises as `inflate` does, and comes before the next part.
    """

    rest: Iterator[bytes] | None

    def inflate(self, payload: BytesLike, *, final: bool, room: int) -> bytes:
        """Inflate a part of a message, its last one where `final`, and return the first of what that gives.

        Raises:
            TooLong: for more than `room` bytes.
            NotDeflate: for data that is not deflated.
        """
        ...


class TooLong(Exception):
    """A compressed message is longer than it may be."""


class NotDeflate(Exception):
    """The data of a compressed message cannot be inflated."""


@dataclass(frozen=True, slots=True)
class Utf8:
    """A text message that stays encoded until it is wanted: valid, and as long as it was on the wire or inflated.

    One character outside the Basic Multilingual Plane makes each of a `str` take four bytes.
    """

    payload: bytes

    def decode(self) -> str:
        """Return the text."""
        return self.payload.decode()


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping, to be answered with a pong of the same payload (RFC 6455 section 5.5.2)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """A pong (RFC 6455 section 5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """A close frame; the code is 1005 where it had none (RFC 6455 sections 5.5.1 and 7.1.5)."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A violation that ends the connection (RFC 6455 section 7.1.7).

    Attributes:
        code: the close code to answer with: 1002, 1007 or 1009.
        reason: a few words, none of them the peer's.
    """

    code: int
    reason: str


Message: TypeAlias = str | bytes | Utf8
Event: TypeAlias = Message | Ping | Pong | Close | Violation
