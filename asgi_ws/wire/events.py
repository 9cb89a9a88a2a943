"""What a client's frames come to (RFC 6455), and what opens compressed ones.

A text message is a `str`, a binary one `bytes`; for control frames, and for what the peer did wrong, there are types.
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from .masking import BytesLike


class Inflater(Protocol):
    """What opens compressed messages: `deflate.Deflate`."""

    def inflate(self, payload: BytesLike, *, final: bool, room: int) -> bytes:
        """Open a part of a message, its last one where `final`.

        Raises:
            TooLong: for more than `room` bytes.
            NotDeflate: for what is no such data.
        """
        ...


class TooLong(Exception):
    """A compressed message is longer than it may be."""


class NotDeflate(Exception):
    """The data of a compressed message cannot be inflated."""


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
class Failed:
    """What the peer sent ends the connection (RFC 6455 section 7.1.7).

    Attributes:
        code: the close code to answer with: 1002, 1007 or 1009.
        reason: a few words, none of them the peer's.
    """

    code: int
    reason: str


Event: TypeAlias = str | bytes | Ping | Pong | Close | Failed
